"""What came of a depth frontier: progress, a verdict, three charts and a table."""

import pandas as pd
import streamlit as st

from dashboard.frontier_charts import (
    depth_accuracy_figure,
    depth_memory_figure,
    depth_seconds_figure,
)
from dashboard.runs import duration, plain, store
from dashboard.show import show_chart
from engine.events import WORKING
from engine.insight.frontier import Frontier, frontier
from engine.runs.queue import tend
from engine.runs.store import Run

UNDONE = ("failed", "interrupted", "stopped")
PAUSED = "paused"


def depth_results(page: str, group_id: str, was_active: bool) -> None:
    """Shows a frontier as it stands; to be drawn again and again while it goes on.

    Args:
        page: prefix of the state keys.
        group_id: of its runs.
        was_active: whether it went on when the whole page was drawn.
    """
    if was_active:
        tend(store())
    found = frontier(store(), group_id)
    if was_active and not found.is_active:
        # The whole page once more, which draws this part without its timer.
        st.rerun()
    _progress(page, found)
    _say_undone(found)
    for warning in found.warnings:
        st.warning(plain(warning), icon=":material/balance:")
    _verdict(found)
    _links(page, found)
    _charts(page, found)
    _table(page, found)


def _progress(page: str, found: Frontier) -> None:
    runs = found.runs
    ended = [run for run in runs if not run.is_active and run.status != PAUSED]
    text = f"{len(ended)} of {len(runs)} runs have ended"
    if not found.is_active:
        st.progress(len(ended) / len(runs), text=text)
        return
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.progress(len(ended) / len(runs), text=f"{text}{_going_on(found)}")
    if right.button(
        "Stop all",
        icon=":material/stop:",
        width="stretch",
        key=f"{page}.stop",
        help="The run that goes on ends after its present step, the others do not start; what is "
        "finished is kept.",
    ):
        # From the end, so that none that waits takes the place of one that was stopped.
        for run in reversed(runs):
            store().request_stop(run.id)
        st.rerun()


def _going_on(found: Frontier) -> str:
    """Returns what goes on at the moment, in words; empty where everything waits."""
    reports = [one for point in found.points for one in point.reports]
    working = [one for one in reports if one.run.status in WORKING]
    if not working:
        return " · waiting to start"
    told = (
        f"{plain(one.run.name)}, epoch {min(len(one.epochs) + 1, one.run.spec.training.epochs)} of "
        f"{one.run.spec.training.epochs}"
        + ("" if one.run.status == "running" else f", {one.run.status}")
        for one in working
    )
    return " · " + "; ".join(told)


def _say_undone(found: Frontier) -> None:
    if paused := [run for run in found.runs if run.status == PAUSED]:
        st.info(
            f"{_count(paused)} paused: resume on the Live page, or with `thaw resume`, and the "
            "frontier goes on.",
            icon=":material/pause_circle:",
        )
    undone = [run for run in found.runs if run.status in UNDONE]
    if not undone:
        return
    stopped = all(run.status == "stopped" for run in undone)
    if stopped:
        st.info(
            f"{_count(undone)} stopped before the end and cannot be judged with the others; start "
            "the frontier anew to have them all.",
            icon=":material/stop_circle:",
        )
        return
    listed = "\n".join(f"- {plain(run.name)} {run.status}: {plain(run.reason)}" for run in undone)
    st.error(
        f"{_count(undone)} did not finish and cannot be judged with the others; mend what is "
        f"named and start the frontier anew.\n\n{listed}",
        icon=":material/error:",
    )


def _count(runs: list[Run]) -> str:
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}"


def _verdict(found: Frontier) -> None:
    if found.best is None:
        if found.is_active:
            st.info(
                "The first depth is on its way; its epochs are on the Live page. Charts appear "
                "here with the first epoch.",
                icon=":material/timer:",
            )
        return
    st.markdown(f"**{found.sentence}**")
    quickest = found.quickest_as_good
    if quickest is not None and quickest is not found.best:
        st.markdown(
            f"Quickest of those within chance of it: {found.words(quickest.depth)}, in "
            f"{duration(quickest.seconds)} instead of {duration(found.best.seconds)}."
        )


def _links(page: str, found: Frontier) -> None:
    left, right, _ = st.columns([1, 1, 2])
    if left.button(
        "Show its runs on Live",
        icon=":material/monitoring:",
        width="stretch",
        key=f"{page}.live",
        help="All its runs on the live charts.",
    ):
        st.switch_page("app_pages/live.py", query_params={"run": [run.id for run in found.runs]})
    ends_and_best = [found.points[0], *([found.best] if found.best else []), found.points[-1]]
    run_ids = list(dict.fromkeys(point.reports[0].run.id for point in ends_and_best))
    if right.button(
        "Compare the ends and the best" if len(run_ids) > 2 else "Compare the ends",
        icon=":material/compare_arrows:",
        width="stretch",
        key=f"{page}.compare",
        help="Curves, confusion matrices and settings side by side.",
    ):
        st.switch_page("app_pages/compare.py", query_params={"run": run_ids})


def _charts(page: str, found: Frontier) -> None:
    if all(point.accuracy is None for point in found.points):
        return
    st.subheader("Accuracy against depth", anchor=False)
    st.caption(
        "k = 0 is the frozen end, at which only the head learns; each step to the right lets one "
        "more stage learn, from the last to the stem, up to full fine-tuning. Hollow and pale: not "
        "finished."
    )
    show_chart(
        depth_accuracy_figure(found),
        key=f"{page}.accuracy.{found.group_id}",
        name=f"Accuracy against depth {found.group_id}",
        alt="Validation accuracy against the number of stages that learn",
    )
    left, right = st.columns(2)
    with left:
        st.subheader("Seconds against depth", anchor=False)
        show_chart(
            depth_seconds_figure(found),
            key=f"{page}.seconds.{found.group_id}",
            name=f"Seconds against depth {found.group_id}",
            alt="Seconds of a run against the number of stages that learn",
        )
    with right:
        st.subheader("Memory against depth", anchor=False)
        show_chart(
            depth_memory_figure(found),
            key=f"{page}.memory.{found.group_id}",
            name=f"Memory against depth {found.group_id}",
            alt="Peak memory of a run against the number of stages that learn",
        )


def _table(page: str, found: Frontier) -> None:
    st.subheader("Depths", anchor=False)
    rows = [
        {
            "k": point.depth,
            "stage added": point.stage or "none: the head alone",
            "best val accuracy (%)": None if point.accuracy is None else 100 * point.accuracy,
            "time (s)": point.seconds,
            "peak memory (MiB)": None if memory is None else round(memory),
            "parameters trained": point.trained_parameters,
            "status": point.status + (", best" if point is found.best else ""),
            "run": f"compare?run={point.reports[0].run.id}",
        }
        for point in found.points
        for memory in [point.peak_memory_mib]
    ]
    tenths = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        placeholder="–",
        key=f"{page}.depths.{found.group_id}",
        column_config={
            "best val accuracy (%)": tenths,
            "time (s)": tenths,
            "peak memory (MiB)": st.column_config.NumberColumn(format="localized"),
            "parameters trained": st.column_config.NumberColumn(format="localized"),
            "run": st.column_config.LinkColumn(
                display_text=r"run=(\w+)",
                help="Opens the run on the Compare page; of several seeds, the first.",
            ),
        },
    )
