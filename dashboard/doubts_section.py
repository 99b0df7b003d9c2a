"""Labels that are likely wrong, and pictures that are like no other: asked for, then shown."""

from pathlib import Path

import streamlit as st

from dashboard.report_sections import finding_section
from dashboard.runs import percent, plain, store
from engine.data.found import listed_classes
from engine.data.report import DataReport
from engine.errors import ThawError
from engine.events import WORKING
from engine.models.catalogue import DEFAULT_BACKBONE, backbone_record
from engine.runs.doubts import DoubtsState, doubts_state, reported_key, start_doubts, stop_doubts
from engine.spec import DataSpec
from engine.training.doubts_record import Doubts, doubt_findings

INTRODUCTION = (
    "A pre-trained network can tell which labels contradict all the others, and which pictures are "
    "like no other. It looks at each picture once; a frozen run uses the same features afterwards."
)


def doubts_section(page: str, report: DataReport) -> None:
    """Shows what a pre-trained network doubts of a data set, or the button that asks it."""
    st.subheader("Doubtful labels", anchor=False)
    data = DataSpec(folder=report.folder, remedies=report.remedies)
    try:
        key = _key(page, report)
        state = doubts_state(key)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if state is not None and state.is_working:
        _follow(page, key)
        return
    if state is not None and state.doubts is not None:
        _show(page, report, state.doubts)
        return
    st.caption(INTRODUCTION)
    if state is not None and state.status == "failed":
        st.error(plain(state.reason), icon=":material/error:")
    if store().all_runs(WORKING):
        st.caption("A run is going on: both will be slower.")
    st.button(
        "Look for doubtful labels",
        icon=":material/troubleshoot:",
        key=f"{page}.doubts.start",
        on_click=start_doubts,
        args=(key, data),
    )


def _key(page: str, report: DataReport) -> str:
    """Returns the name under which doubts are kept; worked out once for a report."""
    place = f"{page}.doubts.key"
    known = st.session_state.get(place)
    if known is None or known[0] is not report:
        known = (report, reported_key(report.pictures))
        st.session_state[place] = known
    key: str = known[1]
    return key


@st.fragment(run_every=1)
def _follow(page: str, key: str) -> None:
    """Shows how far it is; once it has ended, the page is drawn anew."""
    state = doubts_state(key)
    if state is None or not state.is_working:
        st.rerun()
    st.progress(_share(state), _text(state))
    st.button(
        "Stop",
        icon=":material/stop:",
        key=f"{page}.doubts.stop",
        on_click=stop_doubts,
        args=(key,),
    )


def _share(state: DoubtsState) -> float:
    return min(state.done / state.total, 1.0) if state.total else 0.0


def _text(state: DoubtsState) -> str:
    task = state.task[:1].upper() + state.task[1:] or "Starting"
    return f"{task}: {state.done:,} of {state.total:,}" if state.total else f"{task}…"


def _show(page: str, report: DataReport, doubts: Doubts) -> None:
    left = doubts.without(report.kept)
    findings = doubt_findings(left)
    if not findings:
        st.success("No label and no picture that stands out.", icon=":material/check_circle:")
    for finding in findings:
        finding_section(page, finding, Path(report.folder), 0)
    label = backbone_record(doubts.backbone or DEFAULT_BACKBONE).label
    if doubts.accuracy is not None:
        st.caption(
            f"{doubts.num_judged:,} labels were judged by what {plain(label)} sees in the other "
            f"pictures; of them it would have guessed {percent(doubts.accuracy)}. The more it "
            "guesses, the more its doubts are worth."
        )
    if doubts.small_classes:
        named = plain(listed_classes(doubts.small_classes))
        st.caption(f"Too few pictures to judge a label by are in {named}.")
