"""What became of a model's updates: what they gained and forgot, their lineage, what is in use."""

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from dashboard.adopt_section import adopt_section
from dashboard.lineage_section import lineage_section
from dashboard.runs import label_of, plain
from dashboard.update_list import updates_of
from dashboard.update_results import update_results
from engine.runs.store import Run
from engine.update.known import is_run
from engine.update.request import Base

RESULTS, LINEAGE, ADOPTION = "Gained and forgotten", "Lineage", "Adopt"
NO_RUN = (
    "This model is a file. A lineage is of runs: export and import the run that it came from, and "
    "update that."
)


def after_section(page: str, base: Base) -> None:
    """Shows one of three views of a model's updates; only what is looked at is worked out.

    Args:
        page: prefix of the state keys.
        base: the model.
    """
    updates = updates_of(base)
    if not updates and not _is_update(base):
        return
    views: dict[str, Callable[[str, Base, Sequence[Run]], None]] = {
        RESULTS: _results,
        LINEAGE: _lineage,
        ADOPTION: _adoption,
    }
    chosen = st.segmented_control(
        "View",
        list(views),
        default=RESULTS if updates else LINEAGE,
        label_visibility="collapsed",
        help="Only the view that is chosen is worked out.",
        key=f"{page}.view",
        persist_state="session",
    )
    if chosen is not None:
        views[chosen](page, base, updates)


def _is_update(base: Base) -> bool:
    return bool(base.spec.update.start)


def _results(page: str, base: Base, updates: Sequence[Run]) -> None:
    """Shows the updates with one folder of images: others cannot be held against each other."""
    folders = list(dict.fromkeys(run.spec.data.folder for run in updates))
    folder = folders[0] if folders else ""
    if len(folders) > 1:
        folder = st.selectbox(
            "Updates with",
            folders,
            format_func=lambda one: plain(f"{Path(one).name} ({one})"),
            help="Updates with other new images are judged on others, too.",
            key=f"{page}.results.folder",
        )
    if not folders:
        st.info("This model has not been updated yet.", icon=":material/update:")
        return
    update_results([run for run in reversed(updates) if run.spec.data.folder == folder], page)


def _lineage(page: str, base: Base, updates: Sequence[Run]) -> None:
    if is_run(base.start):
        lineage_section(base.start, page)
    else:
        st.info(NO_RUN, icon=":material/account_tree:")


def _adoption(page: str, base: Base, updates: Sequence[Run]) -> None:
    """Shows the gate for one of the updates that have ended."""
    done = {run.id: run for run in updates if run.status == "finished"}
    if not done:
        st.info(
            "There is no finished update of this model yet that could be adopted.",
            icon=":material/hourglass_top:",
        )
        return
    chosen = st.selectbox(
        "Update to adopt",
        list(done),
        format_func=lambda run_id: label_of(done[run_id]),
        help="It takes the model's place where the rule below holds.",
        key=f"{page}.adopt.run",
    )
    adopt_section(done[chosen], page)
