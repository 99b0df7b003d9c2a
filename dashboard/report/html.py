"""A report as one HTML file that needs nothing else: no network, no other file."""

import base64
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs

from dashboard.report.blocks import Block, Chart, Code, Picture, Pictures, Section, Table, Words
from dashboard.report.figures import figure_json

_FOLDER = Path(__file__).parent
_MARKED = ' class="marked"'


def html_report(title: str, sections: Sequence[Section], most_points: int) -> str:
    """Returns a report as a page.

    Args:
        title: of the page; a person may have typed it.
        sections: in order.
        most_points: of a line.
    """
    body = _Body(most_points)
    parts = [body.section(section) for section in sections]
    scripts = [_script(get_plotlyjs()), _script(_own("report.js"))] if body.figures else []
    links = "".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in sections)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(title)}</title><style>{_own('report.css')}</style></head><body>",
            f"<header><h1>{escape(title)}</h1>",
            f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main>',
            *parts,
            "</main><footer>Made with Thaw. This file loads nothing from anywhere.</footer>",
            *body.figures,
            *scripts,
            "</body></html>\n",
        ]
    )


def _policy() -> str:
    """Returns what the page may load: its own two scripts and styles, and what stands in it."""
    hashes = " ".join(f"'sha256-{_digest(one)}'" for one in (get_plotlyjs(), _own("report.js")))
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _script(text: str) -> str:
    assert "</script" not in text.lower()
    return f"<script>{text}</script>"


@cache
def _own(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


class _Body:
    """Writes sections down, and keeps the figures that the page's script is to draw."""

    def __init__(self, most_points: int):
        self._most_points = most_points
        self.figures: list[str] = []

    def section(self, section: Section) -> str:
        blocks = "\n".join(self._side_by_side(section.blocks))
        heading = f'<h2 id="{section.anchor}">{escape(section.title)}</h2>'
        return f'<section aria-labelledby="{section.anchor}">{heading}\n{blocks}</section>'

    def _side_by_side(self, blocks: Sequence[Block]) -> Iterator[str]:
        """Gives the blocks; charts that follow each other share rows where there is room."""
        for are_charts, group in itertools.groupby(blocks, lambda one: isinstance(one, Chart)):
            written = "\n".join(self._block(block) for block in group)
            yield f'<div class="charts">{written}</div>' if are_charts else written

    def _block(self, block: Block) -> str:
        if isinstance(block, Words):
            return f'<p class="{block.tone}">{escape(block.text)}</p>'
        if isinstance(block, Table):
            return _table(block)
        if isinstance(block, Chart):
            return self._chart(block)
        if isinstance(block, Pictures):
            return _pictures(block)
        return _code(block)

    def _chart(self, chart: Chart) -> str:
        name = f"figure-{len(self.figures) + 1}"
        data = figure_json(chart.figure, self._most_points)
        self.figures.append(f'<script type="application/json" id="{name}">{data}</script>')
        height = chart.figure.layout.height or 330
        return (
            f'<figure class="chart"><figcaption><h3>{escape(chart.title)}</h3></figcaption>'
            f'<div class="plot" role="img" aria-label="{escape(chart.alt)}" '
            f'data-figure="{name}" data-name="{escape(chart.title)}" '
            f'style="height: {int(height)}px"><noscript>This chart is drawn by a script.'
            "</noscript></div></figure>"
        )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_number(table, place)}>{escape(name)}</th>'
        for place, name in enumerate(table.columns)
    )
    rows = "".join(_row(table, place) for place in range(len(table.rows)))
    title = escape(table.title)
    return (
        f'<div class="table" role="region" aria-label="{title}" tabindex="0"><table>'
        f"<caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</div>"
    )


def _row(table: Table, number: int) -> str:
    first, *rest = table.rows[number]
    cells = "".join(
        f"<td{_number(table, place)}>{escape(text)}</td>"
        for place, text in enumerate(rest, start=1)
    )
    mark = _MARKED if number in table.marked else ""
    return f'<tr{mark}><th scope="row">{escape(first)}</th>{cells}</tr>'


def _number(table: Table, place: int) -> str:
    return ' class="number"' if place in table.numbers else ""


def _pictures(pictures: Pictures) -> str:
    some_are_seen = any(one.source is not None for one in pictures.shown)
    shown = "".join(_picture(one, some_are_seen) for one in pictures.shown)
    left = pictures.total - len(pictures.shown)
    count = f"{pictures.total:,}" + (f", {left:,} of them left out here" if left else "")
    inside = f'<ul class="pictures">{shown}</ul>' if shown else "<p>There are none.</p>"
    return f"<h3>{escape(pictures.title)}: {count}</h3>{inside}"


def _picture(one: Picture, with_room: bool) -> str:
    image = '<span class="unseen">not shown</span>' if with_room else ""
    if one.source is not None:
        alt = escape(f"{one.label}: {one.name}")
        image = f'<img src="{one.source}" alt="{alt}" width="112" height="112">'
    lines = "".join(f"<br>{escape(line)}" for line in one.lines)
    return (
        f"<li>{image}<div><b>{escape(one.label)}</b>{lines}"
        f'<br><span class="file">{escape(one.name)}</span></div></li>'
    )


def _code(code: Code) -> str:
    inside = f'<pre tabindex="0"><code>{escape(code.text)}</code></pre>'
    if not code.folded:
        return f"<h3>{escape(code.title)}</h3>{inside}"
    return f"<details><summary>{escape(code.title)}</summary>{inside}</details>"
