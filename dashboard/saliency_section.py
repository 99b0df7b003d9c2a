"""Where runs look in one picture: asked with a click, worked out beside the page, then shown."""

from collections.abc import Sequence

import streamlit as st

from dashboard.pair_choice import short_name
from dashboard.roots import is_allowed
from dashboard.runs import plain
from engine.errors import ThawError
from engine.insight.compare import RunReport
from engine.insight.explaining import explain_state, start_explaining, stop_explaining
from engine.insight.images import JudgedImage
from engine.insight.overlay import overlay, square_picture
from engine.insight.saliency_maps import Method, Question, SaliencyMap, known_maps
from engine.runs.background import WorkState

FOR_NAMED = "the class it names"
FOR_LABEL = "the true class"
METHODS: dict[Method, str] = {"fit": "what fits the network", "occlusion": "covering parts"}
LEGEND = (
    "Lit parts speak for the class, grey and dark ones do not. Each map is relative to its own "
    "strongest part, and as coarse as its cells. It shows where a model finds evidence, not why "
    "that is evidence."
)


def saliency_section(page: str, pair: Sequence[RunReport], image: JudgedImage) -> None:
    """Shows the picture as each run sees it, with what speaks for a class laid over it.

    Args:
        page: prefix of the state keys.
        pair: one run or two, in the order of the image's answers.
        image: the picture.
    """
    if not is_allowed(image.path):
        st.caption("This picture lies outside the folders that Thaw may read here.")
        return
    st.markdown(f"**Where each looks** · {plain(image.label)}")
    aim, method = _choices(page, image)
    classes = [answer.named if aim == FOR_NAMED else image.label for answer in image.answers]
    questions = [
        Question(one.run.id, image.path, (name,), method)
        for one, name in zip(pair, classes, strict=True)
    ]
    try:
        known = [known_maps(question) for question in questions]
        state = explain_state(questions)
        if all(known):
            maps = [found[name] for found, name in zip(known, classes, strict=True)]
            _show(pair, image, maps)
        elif state is not None and state.is_working:
            _follow(page, questions)
        else:
            _offer(page, questions, state)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _choices(page: str, image: JudgedImage) -> tuple[str, Method]:
    with st.container(horizontal=True, gap="medium"):
        aim = FOR_NAMED
        if not all(answer.is_right for answer in image.answers):
            aim = st.segmented_control(
                "What speaks for",
                [FOR_NAMED, FOR_LABEL],
                default=FOR_NAMED,
                required=True,
                key=f"{page}.saliency.aim",
                help="Where a run is wrong, see also what would have spoken for the true class.",
            )
        method = st.segmented_control(
            "Found by",
            list(METHODS),
            default="fit",
            required=True,
            format_func=METHODS.__getitem__,
            key=f"{page}.saliency.method",
            help="Grad-CAM (Selvaraju et al. 2017) fits networks whose last map has at least 4 × 4 "
            "cells, such as CNNs and Swin on pictures of 128 px and more. Covering one part after "
            "the other (Zeiler & Fergus 2014) fits all, ViTs among them, and takes 64 looks at "
            "the picture.",
        )
    return aim, method


def _offer(page: str, questions: Sequence[Question], state: WorkState | None) -> None:
    """Begins at once where nothing was tried; after a failure, says why and offers another try."""
    if state is None or state.status == "finished":
        # A finished search whose maps are gone, with the cache say, is one that was never made.
        start_explaining(questions)
        _follow(page, questions)
        return
    if state.status == "failed":
        st.error(plain(state.reason), icon=":material/error:")
    st.button(
        "Look again" if state.status == "failed" else "Look",
        icon=":material/center_focus_strong:",
        key=f"{page}.saliency.start",
        on_click=start_explaining,
        args=(list(questions),),
    )


@st.fragment(run_every=1)
def _follow(page: str, questions: Sequence[Question]) -> None:
    """Shows how far it is; once it has ended, the page is drawn anew."""
    state = explain_state(questions)
    if state is None or not state.is_working:
        st.rerun()
    task = state.task[:1].upper() + state.task[1:] or "Starting"
    share = min(state.done / state.total, 1.0) if state.total else 0.0
    counted = f": {state.done:,} of {state.total:,}" if state.total else "…"
    st.progress(share, f"{task}{counted}")
    st.button(
        "Stop",
        icon=":material/stop:",
        key=f"{page}.saliency.stop",
        on_click=stop_explaining,
        args=(list(questions),),
    )


def _show(pair: Sequence[RunReport], image: JudgedImage, maps: Sequence[SaliencyMap]) -> None:
    with st.container(horizontal=True, gap="medium"):
        first = square_picture(image.path, pair[0].run.spec, maps[0].mean)
        with st.container(width=260, gap="xsmall"):
            st.image(first, width=260)
            st.caption(f"as {plain(short_name(pair[0].run))} is shown it: **{plain(image.label)}**")
        for one, found in zip(pair, maps, strict=True):
            square = square_picture(image.path, one.run.spec, found.mean)
            with st.container(width=260, gap="xsmall"):
                st.image(overlay(square, found), width=260)
                st.caption(_told(short_name(one.run), image.label, found))
    st.caption(LEGEND)


def _told(name: str, label: str, found: SaliencyMap) -> str:
    mark = ":material/check:" if found.class_name == label else ":material/close:"
    lines = [
        f"{mark} {plain(name)}: **{plain(found.class_name)}** {100 * found.probability:.0f} %",
        f"{plain(found.method)}, {plain(found.cells)}",
    ]
    if found.is_empty:
        lines.append("No part by itself speaks for this class, so there is no bright one.")
    return "  \n".join(lines)
