"""What is taken for what, by one run or two: matrices whose cells open the images behind them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard.confusion_charts import (
    MOST_WITH_NUMBERS,
    SCALES,
    Scale,
    clicked_cell,
    confusion_figure,
    difference_figure,
)
from dashboard.gallery import gallery
from dashboard.pair_choice import short_name
from dashboard.runs import colour_of, label_of, percent, plain
from dashboard.saliency_section import saliency_section
from dashboard.show import show_chart
from engine.insight.classes import Judgement, confused_pairs, shared_matrices
from engine.insight.compare import RunReport
from engine.insight.images import JudgedImage, judged_images

ANY = "any class"
EITHER = "either"


def confusion_section(
    page: str, pair: Sequence[RunReport], judged: Sequence[Judgement], epochs: Sequence[int]
) -> None:
    """Shows a confusion matrix a run, their difference, the most confused pairs and their images.

    Args:
        page: prefix of the state keys.
        pair: one run or two.
        judged: what each says of its validation images.
        epochs: that each says it in.
    """
    st.subheader("Which classes are taken for which", anchor=False)
    scale = st.segmented_control(
        "Cells say",
        SCALES,
        default=SCALES[0],
        required=True,
        key=f"{page}.confusion.scale",
        help="Colours show the share of the true class either way, so that rare classes are judged "
        "like common ones.",
    )
    st.caption(
        "The diagonal is right. Click a cell (tap it twice on a phone), or choose below, to see "
        "the images behind it."
    )
    _matrices(page, pair, judged, epochs, scale)
    images = judged_images(pair)
    names = [short_name(one.run) for one in pair]
    if len(pair) == 2 and not images:
        st.info(
            "These two were not judged on the same images, so their matrices have no difference; "
            "choose runs of the same data and split.",
            icon=":material/balance:",
        )
    elif images:
        _between(page, pair, judged, images, scale)
        _images_behind(page, pair, images, names, judged[0].classes)


def _matrices(
    page: str,
    pair: Sequence[RunReport],
    judged: Sequence[Judgement],
    epochs: Sequence[int],
    scale: Scale,
) -> None:
    columns = st.columns(2)
    for column, one, found, epoch in zip(columns, pair, judged, epochs, strict=False):
        with column:
            st.markdown(f"**{plain(label_of(one.run))}**, epoch {epoch}")
            figure = confusion_figure(found.counts_KK, found.classes, colour_of(one.run), scale)
            _clickable(page, f"confusion.{one.run.id}", figure, one.run.id)
    if max(len(found.classes) for found in judged) > MOST_WITH_NUMBERS:
        st.caption("With so many classes numbers stand in no cell; point at one to read it.")


def _between(
    page: str,
    pair: Sequence[RunReport],
    judged: Sequence[Judgement],
    images: Sequence[JudgedImage],
    scale: Scale,
) -> None:
    """Shows the difference of two matrices, if there are two, beside the most confused pairs."""
    shared = shared_matrices(images, judged[0].classes)
    left, right = st.columns(2)
    if len(pair) == 2:
        names = [short_name(one.run) for one in pair]
        with left:
            st.markdown(f"**{plain(names[1])}** less **{plain(names[0])}**")
            first_KK, second_KK = shared.matrices
            figure = difference_figure(
                first_KK, second_KK, shared.classes, (names[0], names[1]), scale
            )
            _clickable(page, "confusion.difference", figure, EITHER)
            st.caption(
                f"On the {shared.num_images:,} images that both were judged on. Blue: the second "
                "run says so more often, orange: less often. Blue on the diagonal is better, blue "
                "beside it worse."
            )
    with right if len(pair) == 2 else left:
        _pairs_table(pair, shared.classes, shared.matrices)


def _pairs_table(
    pair: Sequence[RunReport],
    classes: Sequence[str],
    matrices: Sequence[NDArray[np.int64]],
) -> None:
    pairs = confused_pairs(classes, matrices)
    st.markdown("**Most confused**")
    if not pairs:
        st.caption("Nothing is taken for anything else.")
        return
    rows = [
        {
            "true class": one.label,
            "taken for": one.named,
            **{
                short_name(of.run): f"{count} ({percent(share)})"
                for of, count, share in zip(pair, one.counts, one.shares, strict=True)
            },
        }
        for one in pairs
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height=min(36 * (len(rows) + 1), 420))
    st.caption(f"{len(pairs):,} pairs of classes; images, and their share of the true class.")


def _clickable(page: str, name: str, figure: Any, by: str) -> None:
    """Shows a matrix; a click on a cell sets the choice of classes below, and of the run."""
    key = f"{page}.{name}"

    def take() -> None:
        cell = clicked_cell(st.session_state.get(key))
        if cell is not None:
            st.session_state[f"{page}.behind.label"] = cell[0]
            st.session_state[f"{page}.behind.named"] = cell[1]
            st.session_state[f"{page}.behind.by"] = by

    show_chart(figure, key=key, name=f"{name} of classes", on_select=take, selection_mode="points")


def _images_behind(
    page: str,
    pair: Sequence[RunReport],
    images: Sequence[JudgedImage],
    names: Sequence[str],
    classes: Sequence[str],
) -> None:
    st.subheader("The images behind a cell", anchor=False)
    by_id = {one.run.id: name for one, name in zip(pair, names, strict=True)}
    label, named, by = _choices(page, by_id, classes)
    if label == ANY and named == ANY:
        st.caption("Click a cell above, or choose a class here.")
        return
    places = [place for place, run_id in enumerate(by_id) if by in (run_id, EITHER)]
    chosen = [
        image
        for image in images
        if label in (image.label, ANY)
        and any(named in (image.answers[place].named, ANY) for place in places)
    ]
    first = places[0]
    chosen.sort(key=lambda image: (-image.answers[first].probability, image.path))
    st.caption(f"{len(chosen):,} of {len(images):,} images.")
    why = partial(saliency_section, page, pair)
    gallery(f"{page}.behind.{label}.{named}.{by}", chosen, names, why)


def _choices(page: str, by_id: dict[str, str], classes: Sequence[str]) -> tuple[str, str, str]:
    """Returns the true class, the class that was named, and by which run."""
    with st.container(horizontal=True):
        label = _pick_class(
            f"{page}.behind.label", "True class", classes, "Only images labelled with this class."
        )
        named = _pick_class(
            f"{page}.behind.named", "Taken for", classes, "Only images taken for this class."
        )
        key = f"{page}.behind.by"
        options = [EITHER, *by_id] if len(by_id) > 1 else list(by_id)
        if st.session_state.get(key) not in options:
            st.session_state[key] = options[0]
        by = st.selectbox(
            "By",
            options,
            format_func=lambda one: by_id.get(one, one),
            key=key,
            help="Which run took it for that class.",
        )
    return label, named, by


def _pick_class(key: str, label: str, classes: Sequence[str], help_text: str) -> str:
    options = [ANY, *classes]
    if st.session_state.get(key, ANY) not in options:
        st.session_state[key] = ANY
    return str(st.selectbox(label, options, key=key, help=help_text))
