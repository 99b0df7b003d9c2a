"""What happened in a run, for who asks: its log, what its process printed, and both as files."""

from collections.abc import Callable, Sequence
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.log_text import entries_html
from dashboard.runs import label_of, store
from engine.errors import StoreError
from engine.logs.files import existing
from engine.logs.output import MOST_BYTES, tail
from engine.logs.places import run_log, run_output
from engine.logs.reading import last_entries
from engine.redact import redacted
from engine.runs.store import Run

LINES = 500
HEIGHT = 400
OUTPUT_BYTES = 64 * 2**10
REFRESH_SECONDS = 2.0
LEVELS = {"DEBUG": "All", "WARNING": "Warnings", "ERROR": "Errors"}


def log_section(page: str, runs: Sequence[Run]) -> None:
    """Shows the log of one of some runs, once a person opens it; it moves on while the run does.

    Args:
        page: prefix of the state keys.
        runs: to choose from.
    """
    if not runs:
        return
    box = st.expander("Log", icon=":material/notes:", key=f"{page}.log", on_change="rerun")
    if not box.open:
        return
    with box:
        run = runs[0] if len(runs) == 1 else _pick(page, runs)
        every = REFRESH_SECONDS if run.is_active else None
        st.fragment(_log, run_every=every)(page, run.id, run.is_active)


def _pick(page: str, runs: Sequence[Run]) -> Run:
    by_id = {run.id: run for run in runs}
    key = f"{page}.log.run"
    if st.session_state.get(key) not in by_id:
        st.session_state.pop(key, None)
    picked = st.selectbox(
        "Run",
        list(by_id),
        format_func=lambda run_id: label_of(by_id[run_id]),
        key=key,
        label_visibility="collapsed",
    )
    return by_id[picked]


def _log(page: str, run_id: str, was_active: bool) -> None:
    if was_active and not _is_active(run_id):
        # It needs no looking after any more.
        st.rerun()
    level = st.segmented_control(
        "Level",
        list(LEVELS),
        default="DEBUG",
        required=True,
        format_func=LEVELS.__getitem__,
        key=f"{page}.log.level",
        label_visibility="collapsed",
    )
    count_key = f"{page}.log.lines.{run_id}"
    count = st.session_state.get(count_key, LINES)
    file = run_log(run_id)
    entries, has_more = last_entries(file.parts, count, level or "DEBUG")
    if has_more:
        st.button(
            "Earlier lines",
            icon=":material/expand_less:",
            key=f"{page}.log.more",
            on_click=lambda: st.session_state.update({count_key: count + LINES}),
        )
    if entries:
        with st.container(height=HEIGHT if len(entries) > 8 else "content", autoscroll=True):
            st.html(entries_html(entries, _zone()))
    else:
        st.caption("Nothing of the kind." if existing(file.parts) else "Nothing is written yet.")
    _output(page, run_id)


def _output(page: str, run_id: str) -> None:
    printed = redacted(tail(run_output(run_id), OUTPUT_BYTES)).strip()
    if printed:
        st.caption("What the process printed:")
        is_long = printed.count("\n") > 12
        with st.container(
            height=HEIGHT if is_long else "content", autoscroll=is_long, border=False
        ):
            st.code(printed, language=None, wrap_lines=True)
    with st.container(horizontal=True):
        if existing(run_log(run_id).parts):
            told = f"thaw-{run_id}-log.jsonl"
            _download(page, "Download the log", partial(_whole_log, run_id), told)
        if printed:
            output = f"thaw-{run_id}-output.txt"
            _download(page, "Download what was printed", partial(_whole_output, run_id), output)


def _download(page: str, label: str, whole: Callable[[], str | bytes], name: str) -> None:
    st.download_button(
        label,
        whole,
        file_name=name,
        mime="text/plain",
        icon=":material/download:",
        on_click="ignore",
        key=f"{page}.log.{label}",
    )


def _whole_log(run_id: str) -> bytes:
    return b"".join(part.read_bytes() for part in reversed(existing(run_log(run_id).parts)))


def _whole_output(run_id: str) -> str:
    return redacted(tail(run_output(run_id), MOST_BYTES))


def _is_active(run_id: str) -> bool:
    try:
        return store().run(run_id).is_active
    except StoreError:
        return False


def _zone() -> ZoneInfo | None:
    """Returns the time zone of who looks, None where the browser does not say."""
    try:
        name = st.context.timezone
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
