"""The updates of a model so far, with how each stands."""

from collections.abc import Sequence, Set
from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.runs import duration, percent, plain, store
from engine.runs.store import Run
from engine.strategies import STRATEGIES
from engine.update.methods import METHODS
from engine.update.request import Base

REFRESH_SECONDS = 2.0
ABOUT = (
    "Best: share of all validation images, old and new ones together, that the kept model tells "
    "right."
)


def updates_of(base: Base) -> list[Run]:
    """Returns the runs that update a model, the latest first."""
    # Reading a spec takes long where there are many runs, so a look at its text comes first.
    return [
        run
        for run in store().all_runs()
        if '"start"' in run.spec_json and run.spec.update.start == base.start
    ]


def updates_section(page: str, base: Base) -> None:
    """Shows the updates of a model, following those that go on.

    Args:
        page: prefix of the state keys.
        base: the model.
    """
    st.subheader("Updates of this model", anchor=False)
    active = {run.id for run in updates_of(base) if run.is_active}
    every = REFRESH_SECONDS if active else None
    st.fragment(_draw, run_every=every)(page, base, active)


def _draw(page: str, base: Base, were_active: Set[str]) -> None:
    runs = updates_of(base)
    active = [run for run in runs if run.is_active]
    if were_active - {run.id for run in active}:
        # What one that has ended came to belongs to the results, which are no part of this.
        st.rerun()
    if not runs:
        st.info(
            "None yet. Name the new images above, choose how to learn from them and press the "
            "button: what each method gained and forgot is shown here.",
            icon=":material/update:",
        )
        return
    _buttons(page, runs, active)
    for run in runs:
        if run.status == "failed":
            st.error(plain(f"{run.name}: {run.reason}"), icon=":material/error:")
    st.dataframe(_table(runs), hide_index=True, key=f"{page}.updates")
    st.caption(ABOUT)


def _buttons(page: str, runs: Sequence[Run], active: Sequence[Run]) -> None:
    shown = active or [run for run in runs if run.group_id == runs[0].group_id]
    done = [run for run in runs if run.status == "finished"]
    with st.container(horizontal=True, gap="small"):
        if st.button(
            f"Follow {len(active)} live" if active else "Show the curves",
            icon=":material/monitoring:",
            key=f"{page}.live",
            help="The Live page draws how accuracy on old and new images goes, epoch by epoch.",
        ):
            ids = [run.id for run in reversed(shown)]
            st.switch_page("app_pages/live.py", query_params={"run": ids})
        if done and st.button(
            "Compare them" if len(done) > 1 else "Look closer",
            icon=":material/compare_arrows:",
            key=f"{page}.compare",
            help="Curves, confusion, images and settings of all that are finished, side by side.",
        ):
            ids = [run.id for run in reversed(done)]
            st.switch_page("app_pages/compare.py", query_params={"run": ids})


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    order = store().queue_order()
    return pd.DataFrame(
        {
            "update": [run.name for run in runs],
            "status": [_status(run, order) for run in runs],
            "method": [METHODS[run.spec.update.method].name for run in runs],
            "strategy": [STRATEGIES[run.spec.strategy.name].label for run in runs],
            "seed": [run.spec.seed for run in runs],
            "new images": [Path(run.spec.data.folder).name for run in runs],
            "best": [percent(run.summary.get("best_val_accuracy")) for run in runs],
            "time": [duration(run.summary.get("seconds")) for run in runs],
            "made": [
                datetime.fromtimestamp(run.created_at).strftime("%d %b %H:%M") for run in runs
            ],
            "id": [run.id[:4] for run in runs],
        }
    )


def _status(run: Run, order: Sequence[str]) -> str:
    if run.id not in order:
        return run.status
    return f"{run.status}, {order.index(run.id) + 1} of {len(order)}"
