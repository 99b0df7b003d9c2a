"""A log as the page shows it. Whatever a log holds is shown as text, never as a page's own."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from html import escape

from dashboard.palette import SPLIT_COLOURS, WARM
from engine.logs.lines import LogEntry, one_line

STYLE = f"""<style>
.thaw-log {{ font: 0.8rem/1.45 "Source Code Pro", monospace; }}
.thaw-log > div {{ display: flex; flex-wrap: wrap; column-gap: 0.75em; }}
.thaw-log > div + div {{ margin-top: 0.1rem; }}
.thaw-log time, .thaw-log i {{ opacity: 0.65; font-style: normal; white-space: nowrap; }}
.thaw-log b {{ min-width: 4.6em; }}
.thaw-log span, .thaw-log pre {{
  flex: 1 1 24em; min-width: 0; overflow-wrap: anywhere; white-space: pre-wrap; margin: 0;
}}
.thaw-log details {{ flex: 1 0 100%; margin: 0.1rem 0 0.3rem; min-width: 0; }}
.thaw-log summary {{ cursor: pointer; }}
.thaw-log pre {{ font: inherit; padding: 0.4rem 0 0.2rem 1rem; background: none; }}
.thaw-log .warning b {{ color: {SPLIT_COLOURS[1]}; }}
.thaw-log .error b, .thaw-log .critical b {{ color: {WARM[3]}; }}
.thaw-log .debug {{ opacity: 0.6; }}
</style>"""


def entries_html(entries: Sequence[LogEntry], zone: tzinfo | None) -> str:
    """Returns entries as HTML, in which all that they say is text; tracebacks are folded.

    Args:
        entries: in the order in which they are shown.
        zone: of who looks; this machine's where None.
    """
    rows = "".join(_row(entry, zone) for entry in entries)
    return f'{STYLE}<div class="thaw-log">{rows}</div>'


def _row(entry: LogEntry, zone: tzinfo | None) -> str:
    level = escape(entry.level.lower(), quote=True)
    who = f"{entry.kind} {entry.pid}" if entry.kind else ""
    cells = (
        f"<time>{escape(short_time(entry.time, zone))}</time>",
        f"<b>{level}</b>",
        f"<i>{escape(who)}</i>" if who else "",
        f"<span>{escape(one_line(entry))}</span>",
        _traceback(str(entry.fields.get("traceback") or "")),
    )
    return f'<div class="{level}">{"".join(cells)}</div>'


def short_time(at: float | None, zone: tzinfo | None) -> str:
    """Returns a day and time for people, with dashes where none is known."""
    if at is None:
        return "–"
    return f"{datetime.fromtimestamp(at, zone):%d %b, %H:%M:%S}"


def _traceback(text: str) -> str:
    if not text:
        return ""
    last = text.rstrip().rpartition("\n")[2][:120]
    return f"<details><summary>{escape(last)}</summary><pre>{escape(text)}</pre></details>"
