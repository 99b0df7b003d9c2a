"""Which validation images two runs get right, as a gallery with what each says of them."""

from collections.abc import Sequence

import streamlit as st

from dashboard.data_summary import thumbnail
from dashboard.roots import is_allowed
from dashboard.runs import label_of, plain
from engine.insight.compare import RunReport
from engine.insight.images import (
    GROUPS,
    Answer,
    JudgedImage,
    confident_mistakes,
    in_group,
    judged_images,
)
from engine.runs.store import Run

PAGE_OF_IMAGES = 12
WIDTH = 128
CHOICES = (*GROUPS, "first mistakes", "second mistakes")


def images_section(page: str, reports: Sequence[RunReport]) -> None:
    """Shows the images that both, one or neither of two runs gets right.

    Args:
        page: prefix of the state keys.
        reports: the runs to choose two of.
    """
    judged = [one for one in reports if one.predictions() is not None]
    if len(judged) < 2:
        return
    st.subheader("Which images each gets right", anchor=False)
    pair = two_of(page, judged)
    images = judged_images(pair)
    if not images:
        st.info(
            "These two were not judged on the same images; choose runs of the same data and split.",
            icon=":material/balance:",
        )
        return
    names = [short_of(one.run) for one in pair]
    sorted_images = {choice: _chosen(images, choice) for choice in CHOICES}
    choice = st.segmented_control(
        "Images that",
        CHOICES,
        default=_telling(sorted_images),
        format_func=lambda one: _label(one, names, len(sorted_images[one])),
        key=f"{page}.images.group.{'.'.join(one.run.id for one in pair)}",
        required=True,
        help="Those on which the two are furthest apart come first; of mistakes, the most "
        "confident.",
    )
    gallery(f"{page}.images.{choice}", sorted_images[choice], names)


def two_of(page: str, judged: Sequence[RunReport]) -> list[RunReport]:
    """Returns two runs, which a person chooses where there are more."""
    if len(judged) == 2:
        return list(judged)
    by_id = {one.run.id: one for one in judged}
    ids = list(by_id)
    with st.container(horizontal=True):
        first = st.selectbox(
            "One run",
            ids,
            format_func=lambda run_id: label_of(by_id[run_id].run),
            help="One of the two runs whose answers are held against each other.",
            key=f"{page}.images.first",
        )
        others = [run_id for run_id in ids if run_id != first]
        second = st.selectbox(
            "The other",
            others,
            index=_most_telling(by_id[first], [by_id[run_id] for run_id in others]),
            format_func=lambda run_id: label_of(by_id[run_id].run),
            help="The other of the two.",
            key=f"{page}.images.second",
        )
    return [by_id[first], by_id[second]]


def _most_telling(first: RunReport, others: Sequence[RunReport]) -> int:
    """Returns the place of the first run that was trained in another way, else the first."""
    strategy = first.run.spec.strategy.name
    differs = (i for i, one in enumerate(others) if one.run.spec.strategy.name != strategy)
    return next(differs, 0)


def short_of(run: Run) -> str:
    """Returns a name of a run that fits beside a picture."""
    return run.name.partition(" · ")[0] + f" {run.id[:4]}"


def _chosen(images: Sequence[JudgedImage], choice: str) -> list[JudgedImage]:
    if choice == "first mistakes":
        return confident_mistakes(images, 0)
    if choice == "second mistakes":
        return confident_mistakes(images, 1)
    return in_group(images, next(group for group in GROUPS if group == choice))


def _telling(sorted_images: dict[str, list[JudgedImage]]) -> str:
    """Returns the choice that tells most at first sight: where the two differ."""
    return next((c for c in ("first", "second", "neither") if sorted_images[c]), "both")


def _label(choice: str, names: Sequence[str], count: int) -> str:
    first, second = (plain(name) for name in names)
    words = {
        "both": "both get right",
        "first": f"only {first} gets right",
        "second": f"only {second} gets right",
        "neither": "neither gets right",
        "first mistakes": f"{first} gets wrong",
        "second mistakes": f"{second} gets wrong",
    }
    return f"{words[choice]} · {count:,}"


def gallery(key: str, images: Sequence[JudgedImage], names: Sequence[str]) -> None:
    """Shows images with what runs say of each, a page of them at a time.

    Args:
        key: prefix of the state keys.
        images: judged by the runs.
        names: of the runs.
    """
    if not images:
        st.caption("There are none.")
        return
    num_pages = -(-len(images) // PAGE_OF_IMAGES)
    number = 1
    if num_pages > 1:
        page_help = f"{PAGE_OF_IMAGES} of {len(images):,} images each."
        label = f"Page of {num_pages:,}"
        number = int(st.number_input(label, 1, num_pages, key=f"{key}.page", help=page_help))
    shown = images[PAGE_OF_IMAGES * (number - 1) : PAGE_OF_IMAGES * number]
    gone = 0
    with st.container(horizontal=True, gap="medium"):
        for image in shown:
            picture = thumbnail(image.path) if is_allowed(image.path) else None
            gone += picture is None
            with st.container(width=WIDTH, gap="xsmall"):
                if picture is not None:
                    st.image(picture, width=WIDTH)
                st.caption(_told(image, names))
    if gone:
        st.caption(
            f"{gone} of these images cannot be read here: they are gone, or lie outside the "
            "folders that Thaw may read (`--root`). What was said of them stays."
        )


def _told(image: JudgedImage, names: Sequence[str]) -> str:
    lines = [f"**{plain(image.label)}**"]
    lines += [
        _answer(plain(name), answer) for name, answer in zip(names, image.answers, strict=True)
    ]
    return "  \n".join(lines)


def _answer(name: str, answer: Answer) -> str:
    mark = ":material/check:" if answer.is_right else ":material/close:"
    named = "" if answer.is_right else f" {plain(answer.named)}"
    return f"{mark} {name}{named} {100 * answer.probability:.0f} %"
