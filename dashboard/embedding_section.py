"""Validation images on a plane, before and after training: worked out when asked, then shown."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.embedding import heard_selection, linked_maps
from dashboard.embedding_maps import MOST_COLOURED, SharedImages, embedding_maps
from dashboard.gallery import gallery
from dashboard.pair_choice import choose_pair, short_name
from dashboard.runs import colour_of, percent, plain, store
from engine.errors import ThawError
from engine.events import WORKING
from engine.insight.compare import RunReport
from engine.insight.differences import Difference, difference_of_runs
from engine.insight.embedding import (
    METHODS,
    MOST_IMAGES,
    Embedding,
    Method,
    Plane,
    embedding_work,
    known_embedding,
    start_embedding,
    why_not_embed,
)
from engine.insight.images import JudgedImage
from engine.insight.intervals import LEVEL, Estimate
from engine.runs.background import Work, WorkState
from engine.runs.store import Run

INTRODUCTION = (
    "Where validation images lie for the backbone, as it was before training and as each run left "
    "it: images that it finds alike lie together. Hover over a point to see the picture; what is "
    "selected on one map is selected on all. Each image is looked at once a backbone, and what "
    "comes out is kept."
)
HOW_TO_READ = {
    "pca": (
        "PCA looks from the side from which most can be seen: distances are true as far as the two "
        "axes hold the variance, and images may lie apart in what they do not show. Each map has "
        "its own axes."
    ),
    "tsne": (
        "t-SNE keeps neighbours together and nothing else: the size of a cluster, and how far "
        "clusters lie apart, mean little (Wattenberg et al. 2016). Before and after are maps of "
        "their own; each is turned and mirrored so that it fits the one before best."
    ),
}
HOW_MEASURED = (
    "*Among their own class*: images whose five nearest neighbours, the image itself left out, "
    "speak for its class; *silhouette*: how much nearer images are to their own class than to the "
    "next, from -1 to 1. Both are taken in the space of all features, so no map bends them; in "
    "brackets the 95 % interval for other images. Features have length one before all of this."
)


def embedding_section(page: str, reports: Sequence[RunReport]) -> None:
    """Shows validation images on a plane for one or two runs, or the button that works it out.

    Args:
        page: prefix of the state keys.
        reports: the runs to choose two of.
    """
    st.subheader("Validation images on a plane", anchor=False)
    st.caption(INTRODUCTION)
    reasons = [why_not_embed(one.run) for one in reports]
    for reason in filter(None, reasons):
        st.caption(plain(f"Left out: {reason}"))
    usable = [one for one, reason in zip(reports, reasons, strict=True) if not reason]
    if not usable:
        st.info(
            "None of these runs can be shown yet; choose one that has finished.",
            icon=":material/scatter_plot:",
        )
        return
    runs = [one.run for one in choose_pair(f"{page}.embedding", usable)]
    method = st.segmented_control(
        "How",
        list(METHODS),
        default="pca",
        format_func=lambda one: METHODS[one],
        required=True,
        key=f"{page}.embedding.method",
        help="PCA shows true distances along the two axes that hold most of the variance; t-SNE "
        "keeps neighbours together.",
    )
    try:
        known = [known_embedding(run, method) for run in runs]
        found = [one for one in known if one is not None]
        if len(found) == len(runs):
            _show(page, runs, found)
        else:
            _work_out(page, runs, method)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _work_out(page: str, runs: Sequence[Run], method: Method) -> None:
    """Shows how far it is, or the button that starts it and why it failed before."""
    work = embedding_work(runs, method)
    state = work.state()
    if state is not None and state.is_working:
        _follow(page, work)
        return
    if state is not None and state.status == "failed":
        st.error(plain(state.reason), icon=":material/error:")
    if store().all_runs(WORKING):
        st.caption("A run is going on: both will be slower.")
    st.button(
        "Lay the images out",
        icon=":material/scatter_plot:",
        key=f"{page}.embedding.start",
        on_click=start_embedding,
        args=(runs, method),
        help="Works in the background, and goes on when this page is closed.",
    )


@st.fragment(run_every=1)
def _follow(page: str, work: Work) -> None:
    """Shows how far it is; once it has ended, the page is drawn anew."""
    state = work.state()
    if state is None or not state.is_working:
        st.rerun()
    assert state is not None
    share = min(state.done / state.total, 1.0) if state.total else 0.0
    st.progress(share, _text(state))
    st.button(
        "Stop",
        icon=":material/stop:",
        key=f"{page}.embedding.stop",
        on_click=work.stop,
    )


def _text(state: WorkState) -> str:
    task = state.task[:1].upper() + state.task[1:] or "Starting"
    return f"{task}: {state.done:,} of {state.total:,}" if state.total else f"{task}…"


@st.fragment
def _show(page: str, runs: Sequence[Run], found: Sequence[Embedding]) -> None:
    shared = SharedImages(found)
    if not shared.images:
        st.info(
            "These two have no validation image in common; choose runs of the same data and split.",
            icon=":material/balance:",
        )
        return
    names = [short_name(run) for run in runs]
    key = f"{page}.embedding.{'.'.join(run.id for run in runs)}"
    places = _places(shared.images, names)
    _box(key, places, names)
    selected, token = st.session_state.get(f"{key}.selected", ((), 0))
    classes = [one.removeprefix("class:") for one in st.session_state[f"{key}.box"]]
    linked_maps(
        f"{key}.maps",
        embedding_maps(found, names, shared, classes),
        selected,
        token,
        partial(_hear_maps, key, len(shared.images)),
    )
    _notes(runs, found, shared)
    if selected:
        # Each selection begins with its first page: another has other pages.
        pages = f"{key}.gallery.{hash(selected)}"
        _gallery(pages, [shared.images[place] for place in selected], names)
    _numbers(runs, names, found, shared)


def _places(images: Sequence[JudgedImage], names: Sequence[str]) -> dict[str, list[int]]:
    """Returns what can be selected in the box, with the positions of the images."""
    places: dict[str, list[int]] = {
        f"class:{name}": [] for name in sorted({one.label for one in images})
    }
    for run in range(len(names)):
        places[f"wrong:{run}"] = []
    for place, one in enumerate(images):
        places[f"class:{one.label}"].append(place)
        for run, answer in enumerate(one.answers):
            if not answer.is_right:
                places[f"wrong:{run}"].append(place)
    return places


def _box(key: str, places: Mapping[str, list[int]], names: Sequence[str]) -> None:
    """Shows the box in which classes and mistakes are selected without a pointer."""

    def label(one: str) -> str:
        kind, _, which = one.partition(":")
        told = which if kind == "class" else f"what {names[int(which)]} gets wrong"
        return plain(f"{told} · {len(places[one]):,}")

    st.multiselect(
        "Select",
        list(places),
        format_func=label,
        key=f"{key}.box",
        on_change=_hear_box,
        args=(key, places),
        placeholder="Classes and mistakes to select on every map",
        help="Does what drawing round images on a map does: they stand out on every map, and are "
        f"shown below. Where there are more than {MOST_COLOURED} classes, those named here have a "
        "colour.",
    )


def _hear_box(key: str, places: Mapping[str, list[int]]) -> None:
    """Selects what the box names, in place of what was selected on a map."""
    named = [place for one in st.session_state[f"{key}.box"] for place in places[one]]
    _, token = st.session_state.get(f"{key}.selected", ((), 0))
    st.session_state[f"{key}.selected"] = (tuple(sorted(set(named))), token + 1)


def _hear_maps(key: str, num_images: int) -> None:
    """Takes what was selected on a map, which knows it already, in place of what the box named."""
    _, token = st.session_state.get(f"{key}.selected", ((), 0))
    st.session_state[f"{key}.selected"] = (heard_selection(f"{key}.maps", num_images), token)
    st.session_state[f"{key}.box"] = []


def _gallery(key: str, images: Sequence[JudgedImage], names: Sequence[str]) -> None:
    st.subheader("Selected images" if len(images) > 1 else "The selected image", anchor=False)
    told = [
        f"{plain(name)} gets {sum(one.answers[run].is_right for one in images):,} right"
        for run, name in enumerate(names)
    ]
    st.caption(f"{len(images):,} selected; {', '.join(told)}.")
    gallery(key, images, names)


def _numbers(
    runs: Sequence[Run], names: Sequence[str], found: Sequence[Embedding], shared: SharedImages
) -> None:
    """Shows what backs the maps, as a table and in sentences."""
    st.subheader("How well classes lie apart", anchor=False)
    rows, colours = [], []
    for run, name, one in zip(runs, names, found, strict=True):
        rows += [_row(f"{name}, before", one.before), _row(f"{name}, after", one.after)]
        colours += [f"color: {colour_of(run)}; font-weight: 700"] * 2
    table = pd.DataFrame(rows).style.apply(lambda _: colours, subset=[""])
    st.dataframe(table, hide_index=True, column_config={"": st.column_config.Column(width=40)})
    for sentence in _sentences(names, found, shared):
        st.markdown(sentence)
    st.caption(HOW_MEASURED)


def _row(name: str, plane: Plane) -> dict[str, Any]:
    among, apart = plane.neighbours, plane.silhouette
    return {
        "": "●",
        "backbone": name,
        "among their own class": f"{percent(among.value)} "
        f"({100 * among.low:.1f} to {100 * among.high:.1f})",
        "silhouette": "–"
        if apart is None
        else f"{apart.value:+.3f} ({apart.low:+.3f} to {apart.high:+.3f})",
    }


def _sentences(names: Sequence[str], found: Sequence[Embedding], shared: SharedImages) -> list[str]:
    """Says what training changed, and whether that may be chance."""
    told = [
        f"**{plain(name)}**: {_change(one.more_neighbours)}"
        if one.has_moved
        else f"**{plain(name)}** left its backbone as it was, so that nothing here can change."
        for name, one in zip(names, found, strict=True)
    ]
    if len(found) > 1:
        among = [
            np.array([one.after.is_among_own[row] for row in rows])
            for one, rows in zip(found, shared.rows, strict=True)
        ]
        told.append(_apart(names, difference_of_runs(among[1], among[0])))
    return told


def _change(more: Estimate) -> str:
    points = f"{100 * more.value:+.1f} points ({100 * more.low:+.1f} to {100 * more.high:+.1f})"
    if more.low > 0.0:
        return f"training brought more images among their own class: {points}."
    if more.high < 0.0:
        return f"training left fewer images among their own class: {points}."
    return (
        f"among their own class lie {points} after training; that may be chance with these images."
    )


def _apart(names: Sequence[str], difference: Difference) -> str:
    first, second = (f"**{plain(name)}**" for name in names)
    lead = difference.estimate
    points = (
        f"{100 * abs(lead.value):.1f} points of {difference.num_images:,} images "
        f"(p = {difference.p_value:.2g}, McNemar)"
    )
    if difference.p_value >= 1 - LEVEL:
        return f"After training {first} and {second} cannot be told apart by this: {points}."
    ahead, behind = (second, first) if lead.value > 0 else (first, second)
    return f"After training {ahead} has more images among their own class than {behind}: {points}."


def _notes(runs: Sequence[Run], found: Sequence[Embedding], shared: SharedImages) -> None:
    """Says how the maps are to be read, and what is not on them."""
    st.caption(HOW_TO_READ[found[0].method])
    for run, one in zip(runs, found, strict=True):
        name = plain(short_name(run))
        if len(one.images) < one.num_val:
            st.caption(
                f"{name}: {len(one.images):,} of {one.num_val:,} validation images are laid out; "
                f"of copies there is one, of more than {MOST_IMAGES:,} images a part is drawn by "
                "their content, the same for every run."
            )
        if len(shared.images) < len(one.images):
            st.caption(
                f"{name}: {len(one.images) - len(shared.images):,} images are not shown, since the "
                "other run was not judged on them; the table counts them."
            )
        then = run.summary.get("weights")
        if then and then != one.started_from:
            st.caption(
                plain(
                    f"{short_name(run)} started from {then}; what is found here now, and shown as "
                    f"before, is {one.started_from}."
                )
            )
