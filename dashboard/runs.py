"""What the pages know of runs: the store they share, and how a run is named and coloured."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import streamlit as st

from dashboard.words import colour_of, duration, label_of, percent
from engine.errors import RunNotFoundError
from engine.runs.store import Run, Store

# Pages ask for these here, too.
__all__ = [
    "asked_runs",
    "colour_of",
    "duration",
    "label_of",
    "percent",
    "pick_runs",
    "plain",
    "store",
]


@cache
def store() -> Store:
    """Returns the one store of this process."""
    return Store()


def plain(text: str) -> str:
    """Returns text from a person, a folder's name say, so that Streamlit shows it letter by letter.

    Streamlit reads most texts as Markdown, with colours and formulas on top.
    """
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"([\\`*_\[\]<>~$:])", r"\\\1", text)


def asked_runs() -> list[Run]:
    """Returns the runs that the page's address names, and warns of those that do not exist."""
    found: list[Run] = []
    for run_id in st.query_params.get_all("run"):
        try:
            run = store().run(run_id)
        except RunNotFoundError as error:
            st.warning(plain(str(error)), icon=":material/link_off:")
            continue
        if run.id not in {other.id for other in found}:
            found.append(run)
    return found


def pick_runs(
    page: str, label: str, by_id: Mapping[str, Run], shown: Sequence[Run], help_text: str
) -> list[Run]:
    """Shows a choice of runs, which a change writes to the address; returns the chosen runs.

    Args:
        page: prefix of the state key.
        label: what is chosen.
        by_id: all runs.
        shown: those that are chosen already.
        help_text: one sentence.
    """
    # One that was put away can still be named in the address.
    by_id = dict(by_id) | {run.id: run for run in shown}
    key = f"{page}.runs.{'-'.join(run.id for run in shown)}"

    def remember() -> None:
        st.query_params["run"] = st.session_state[key]

    picked = st.multiselect(
        label,
        list(by_id),
        default=[run.id for run in shown],
        format_func=lambda run_id: label_of(by_id[run_id]),
        help=help_text,
        key=key,
        on_change=remember,
    )
    return [by_id[run_id] for run_id in picked]
