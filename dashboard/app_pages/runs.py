"""Runs: all of them in a table, with what a person says of each and can do with several."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.log_section import log_section
from dashboard.run_actions import actions_section, marks_form, undo_section
from dashboard.runs import duration, percent, plain, store
from dashboard.transfer_section import elsewhere_note, import_section
from engine.doctor.glance import faults_at_a_glance
from engine.runs.queue import tend
from engine.runs.store import Run
from engine.strategies import STRATEGIES

PAGE = "runs"
SHOWN = {
    "usual": "All",
    "starred": "With a star",
    "archived": "Archived",
    "deleted": "Deleted",
}


def main() -> None:
    """Shows the runs that are asked for, what can be done with them, and where others come in."""
    st.title("Runs")
    tend(store())
    _runs()
    import_section(PAGE)


def _runs() -> None:
    every = store().all_runs(hidden=True)
    for fault in faults_at_a_glance():
        st.warning(plain(f"{fault.found} {fault.mend}"), icon=":material/stethoscope:")
    undo_section(PAGE)
    if not every:
        st.info(
            "No run yet. Start the first one on the Train page; it is listed here from then on.",
            icon=":material/list:",
        )
        st.page_link("app_pages/train.py", label="Go to Train", icon=":material/tune:")
        return
    runs = _filtered(every)
    if not runs:
        st.info("No run fits what is asked for above.", icon=":material/filter_alt_off:")
        return
    chosen = _table(runs)
    if not chosen:
        st.caption(
            "Tick runs on the left to compare, resume, mark or delete them, or to use their "
            "settings."
        )
        return
    actions_section(PAGE, chosen)
    if len(chosen) == 1:
        elsewhere_note(chosen[0])
        log_section(PAGE, chosen)
        marks_form(PAGE, chosen[0])


def _filtered(every: Sequence[Run]) -> list[Run]:
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    with left:
        shown = st.segmented_control(
            "Which",
            list(SHOWN),
            default="usual",
            required=True,
            wrap=True,
            format_func=SHOWN.__getitem__,
            key=f"{PAGE}.shown",
        )
    with middle:
        words = st.text_input(
            "Search", placeholder="name, note, id", key=f"{PAGE}.words"
        ).casefold()
    with right:
        tags = sorted({tag for run in every for tag in run.tags})
        wanted = st.multiselect("Tags", tags, key=f"{PAGE}.tags", disabled=not tags)
    return [run for run in every if _is_shown(run, shown) and _fits(run, words, wanted)]


def _is_shown(run: Run, shown: str) -> bool:
    if shown == "deleted" or run.deleted_at is not None:
        return shown == "deleted" and run.deleted_at is not None
    if shown == "archived" or run.archived:
        return shown == "archived" and run.archived
    return shown == "usual" or run.starred


def _fits(run: Run, words: str, tags: Sequence[str]) -> bool:
    text = " ".join((run.name, run.note, run.id, *run.tags)).casefold()
    return all(word in text for word in words.split()) and set(tags) <= set(run.tags)


def _status(run: Run, order: Sequence[str]) -> str:
    """Returns how a run stands; of one that waits, when its turn is."""
    if run.id not in order:
        return run.status
    return f"{run.status}, {order.index(run.id) + 1} of {len(order)}"


def _table(runs: Sequence[Run]) -> list[Run]:
    """Shows the runs; returns those that are ticked."""
    short, order = store().short_ids(), store().queue_order()
    ids = [short.get(run.id, run.id) for run in runs]
    table = pd.DataFrame(
        {
            "": ["★" if run.starred else "" for run in runs],
            "name": [run.name for run in runs],
            "status": [_status(run, order) for run in runs],
            "best": [percent(run.summary.get("best_val_accuracy")) for run in runs],
            "time": [duration(run.summary.get("seconds")) for run in runs],
            "strategy": [STRATEGIES[run.spec.strategy.name].label for run in runs],
            "backbone": [run.spec.model.backbone for run in runs],
            "images": [Path(run.spec.data.folder).name for run in runs],
            "tags": [", ".join(run.tags) for run in runs],
            "note": [run.note for run in runs],
            "made": [datetime.fromtimestamp(run.created_at) for run in runs],
            "id": ids,
        }
    )
    # Another list has other rows: what was ticked in one is not in the next.
    key = f"{PAGE}.table.{'-'.join(ids)}"
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={"made": st.column_config.DatetimeColumn(format="D MMM, HH:mm")},
        key=key,
    )
    return [runs[row] for row in event.selection.rows if row < len(runs)]


main()
