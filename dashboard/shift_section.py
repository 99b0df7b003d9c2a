"""Runs under shift: judged when asked, then shown side by side with what may be chance."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from dashboard.data_summary import CHECKED_AT_ONCE
from dashboard.roots import allowed_images
from dashboard.runs import duration, plain, store
from dashboard.shift_results import shift_results
from dashboard.source_choice import folder_choice
from engine.errors import ThawError
from engine.events import WORKING
from engine.insight.compare import RunReport
from engine.insight.shift import shift_of_judged
from engine.insight.shift_judged import JudgedRun, judged_runs
from engine.insight.shift_tests import (
    OtherImages,
    ShiftTest,
    corruption_test,
    folder_test,
    other_images,
)
from engine.insight.shift_work import ASK_SECONDS, shift_state, start_shift, stop_shift
from engine.runs.background import WorkState
from engine.runs.store import Run
from engine.spec import DataSpec

# The first images, on which the time is measured, tell nothing yet.
TELLING_IMAGES = 10
CORRUPTED, OTHER = "corrupted", "other"
SHIFTS = {CORRUPTED: "The same images, corrupted", OTHER: "Another folder"}
INTRODUCTION = (
    "Images that a model meets later are seldom like those it learnt from, and which way of "
    "training is better may change there: fine-tuning everything can gain on images like those of "
    "the training and lose on others (Kumar et al. 2022)."
)
CORRUPTED_TEXT = (
    "The validation images as they are and in 25 worse versions: noise, blur, contrast, JPEG and "
    "fog at five severities (Hendrycks & Dietterich 2019). Each image is made worse in the same "
    "way for every run."
)
OTHER_TEXT = (
    "Images from elsewhere in folders with the same class names, none of which a run has learnt "
    "from."
)


def shift_section(page: str, reports: Sequence[RunReport]) -> None:
    """Shows how runs do under shift, and offers to judge them as far as they are not.

    Args:
        page: prefix of the state keys.
        reports: the runs.
    """
    st.subheader("Under shift", anchor=False)
    st.caption(INTRODUCTION)
    kind = st.segmented_control(
        "Shifted images",
        list(SHIFTS),
        default=CORRUPTED,
        required=True,
        format_func=SHIFTS.__getitem__,
        help=f"{CORRUPTED_TEXT}\n\n{OTHER_TEXT}",
        key=f"{page}.shift.kind",
        persist_state="session",
    )
    if kind == CORRUPTED:
        st.caption(CORRUPTED_TEXT)
        _judged_on(page, reports, "", lambda: corruption_test)
        return
    st.caption(OTHER_TEXT)
    try:
        folder = _other_folder(page)
        if folder is not None:
            _judged_on(page, reports, folder, lambda: _tester(folder))
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _other_folder(page: str) -> str | None:
    """Shows the choice of a folder; returns it if it lies where images may be read.

    Raises:
        SpecError: what was typed is no path.
        DataError: the folder cannot be used.
    """
    folder = folder_choice(f"{page}.shift")
    if folder is None:
        return None
    data = DataSpec.parse({"folder": folder})
    allowed_images(data)
    return data.folder


def _tester(folder: str) -> Callable[[Run], ShiftTest]:
    others = _others(folder)
    return lambda run: folder_test(run, others)


@st.cache_data(ttl=20, max_entries=10, show_spinner="Looking at the pictures…")
def _others(folder: str) -> OtherImages:
    return other_images(folder)


def _judged_on(
    page: str,
    reports: Sequence[RunReport],
    folder: str,
    tester: Callable[[], Callable[[Run], ShiftTest]],
) -> None:
    runs = [one.run for one in reports]
    state = shift_state(runs, folder)
    if state is not None and state.is_working:
        _follow(page, runs, folder)
        return
    if state is None and folder and _is_large(folder):
        st.caption("The folder is large: each picture is opened and checked before it is judged.")
        _start_button(page, runs, folder, "Judge these runs on it", 0, asks=True)
        return
    judged = judged_runs(reports, tester())
    found = shift_of_judged(judged, folder)
    is_all = not any(one.num_left for one in judged)
    _offer(page, runs, folder, judged, state)
    if found is not None and (is_all or found.num_shifted >= TELLING_IMAGES):
        told = {one.failure for one in judged}
        notes = tuple(note for note in found.notes if note not in told)
        shift_results(page, replace(found, notes=notes), next(j for j in judged if j.is_judged))


def _is_large(folder: str) -> bool:
    found = allowed_images(DataSpec.parse({"folder": folder}))
    return sum(map(len, (*found.train, *(found.val or ())))) > CHECKED_AT_ONCE


@st.fragment(run_every=1)
def _follow(page: str, runs: Sequence[Run], folder: str) -> None:
    """Shows how far it is; once it has ended, the page is drawn anew."""
    state = shift_state(runs, folder)
    if state is None or not state.is_working:
        st.rerun()
    share = min(state.done / state.total, 1.0) if state.total else 0.0
    task = plain(state.task[:1].upper() + state.task[1:])
    st.progress(
        share, f"{task}: {state.done:,} of {state.total:,} images" if state.total else f"{task}…"
    )
    st.caption("It goes on when you leave this page. What is judged stays when you stop it.")
    st.button(
        "Stop",
        icon=":material/stop:",
        help="Ends after the present images; those that were judged by then are shown.",
        key=f"{page}.shift.stop",
        on_click=stop_shift,
        args=(runs, folder),
    )


def _offer(
    page: str,
    runs: Sequence[Run],
    folder: str,
    judged: Sequence[JudgedRun],
    state: WorkState | None,
) -> None:
    """Says what is left to be judged and what went wrong, with the button that goes on."""
    failures = list(dict.fromkeys(one.failure for one in judged if one.failure))
    for failure in failures:
        st.warning(plain(failure), icon=":material/block:")
    if state is not None and state.status == "failed":
        reason = state.reason
        if not any(failure in reason for failure in failures):
            st.error(plain(reason), icon=":material/error:")
    left = [one for one in judged if one.test is not None and one.num_left]
    if not left:
        return
    if store().all_runs(WORKING):
        st.caption("A run is going on: both will be slower.")
    known = [one.seconds_per_image for one in judged if one.seconds_per_image is not None]
    if not known:
        _start_button(page, runs, folder, "Judge these runs under shift", 0, asks=True)
        st.caption(
            "How long it takes is measured on the first images; if that is more than "
            f"{ASK_SECONDS / 60:.0f} minutes, it asks how many to judge."
        )
        return
    _go_on(page, runs, folder, left, max(known))


def _go_on(
    page: str, runs: Sequence[Run], folder: str, left: Sequence[JudgedRun], slowest: float
) -> None:
    most = max(len(one.test.items) for one in left if one.test is not None)
    least = min(most - 1, min(one.num_done for one in left))
    names = "1 run is" if len(left) == 1 else f"{len(left)} runs are"
    wanted = most
    with st.container(border=True):
        st.markdown(f"**{names} not judged on all {most:,} images yet.**")
        if most - least > 1:
            wanted = st.slider(
                "Images to judge",
                least + 1,
                most,
                most,
                help="Drawn at random, the same for each run; those judged before count.",
                key=f"{page}.shift.images.{folder}.{least}",
            )
        seconds = sum(
            max(0, wanted - one.num_done) * (one.seconds_per_image or slowest) for one in left
        )
        st.caption(f"That takes about {duration(seconds)}, measured on those judged so far.")
        _start_button(page, runs, folder, "Judge them", 0 if wanted == most else wanted)


def _start_button(
    page: str, runs: Sequence[Run], folder: str, label: str, images: int, asks: bool = False
) -> None:
    st.button(
        label,
        icon=":material/foggy:",
        type="primary",
        help="Each run's best weights judge the images, in a process of its own; it is done once "
        "for each run.",
        key=f"{page}.shift.start",
        on_click=start_shift,
        args=(runs, folder, images, asks),
    )
