"""Which validation images one or two runs get right, as a gallery with what each says of them."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard.gallery import gallery
from dashboard.pair_choice import choose_pair, said_instead, short_name
from dashboard.runs import label_of, plain
from dashboard.saliency_section import saliency_section
from engine.insight.compare import RunReport
from engine.insight.images import (
    GROUPS,
    JudgedImage,
    confident_mistakes,
    in_group,
    judged_images,
)

CHOICES = (*GROUPS, "first mistakes", "second mistakes")
ALONE = ("first mistakes", "right")
ANY = "any class"


def images_section(page: str, reports: Sequence[RunReport]) -> None:
    """Shows the images that both, one or neither of two runs gets right; of one run, its mistakes.

    Args:
        page: prefix of the state keys.
        reports: the runs to choose two of.
    """
    judged = [one for one in reports if one.predictions() is not None]
    if not judged:
        said_instead(reports)
        return
    st.subheader("Which images each gets right", anchor=False)
    pair = choose_pair(f"{page}.images", judged)
    images = judged_images(pair)
    if not images:
        _say_why_none(pair)
        return
    names = [short_name(one.run) for one in pair]
    key = f"{page}.images.{'.'.join(one.run.id for one in pair)}"
    images = _of_class(key, images)
    choices = CHOICES if len(pair) == 2 else ALONE
    sorted_images = {choice: _chosen(images, choice) for choice in choices}
    choice = st.segmented_control(
        "Images that",
        choices,
        default=_telling(sorted_images),
        format_func=lambda one: _label(one, names, len(sorted_images[one])),
        key=f"{key}.group",
        required=True,
        help="Those on which the two are furthest apart come first; of mistakes, the most "
        "confident.",
    )
    if len(pair) == 1:
        st.caption(
            "Choose a second run above, of the same data and split, to see what only one of the "
            "two gets right."
        )
    why = partial(saliency_section, page, pair)
    gallery(f"{page}.images.{choice}", sorted_images[choice], names, why)


def _say_why_none(pair: Sequence[RunReport]) -> None:
    if len(pair) == 1:
        st.info(
            f"What {plain(label_of(pair[0].run))} was judged on is not known any more: the list of "
            "its images is missing or damaged. Train it again.",
            icon=":material/image_not_supported:",
        )
        return
    st.info(
        "These two were not judged on the same images; choose runs of the same data and split.",
        icon=":material/balance:",
    )


def _of_class(key: str, images: list[JudgedImage]) -> list[JudgedImage]:
    classes = sorted({image.label for image in images})
    wanted = st.selectbox(
        "Class",
        [ANY, *classes],
        key=f"{key}.class",
        help="Only images that are labelled with this class.",
        width=260,
    )
    return images if wanted == ANY else [image for image in images if image.label == wanted]


def _chosen(images: Sequence[JudgedImage], choice: str) -> list[JudgedImage]:
    if choice == "first mistakes":
        return confident_mistakes(images, 0)
    if choice == "second mistakes":
        return confident_mistakes(images, 1)
    if choice == "right":
        right = [image for image in images if image.answers[0].is_right]
        return sorted(right, key=lambda image: (image.answers[0].probability, image.path))
    return in_group(images, next(group for group in GROUPS if group == choice))


def _telling(sorted_images: dict[str, list[JudgedImage]]) -> str:
    """Returns the choice that tells most at first sight: where the two differ."""
    if "right" in sorted_images:
        return "first mistakes" if sorted_images["first mistakes"] else "right"
    return next((c for c in ("first", "second", "neither") if sorted_images[c]), "both")


def _label(choice: str, names: Sequence[str], count: int) -> str:
    first, second = plain(names[0]), plain(names[-1])
    words = {
        "both": "both get right",
        "first": f"only {first} gets right",
        "second": f"only {second} gets right",
        "neither": "neither gets right",
        "first mistakes": f"{first} gets wrong",
        "second mistakes": f"{second} gets wrong",
        "right": f"{first} gets right, the least sure first",
    }
    return f"{words[choice]} · {count:,}"
