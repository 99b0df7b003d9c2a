"""Validation images a page at a time, with what runs say of each; one of them can be asked why."""

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.data_summary import thumbnail
from dashboard.roots import is_allowed
from dashboard.runs import plain
from engine.insight.images import Answer, JudgedImage

PAGE_OF_IMAGES = 12
WIDTH = 128


def gallery(
    key: str,
    images: Sequence[JudgedImage],
    names: Sequence[str],
    why: Callable[[JudgedImage], None] | None = None,
) -> None:
    """Shows images with what each run says of them.

    Args:
        key: prefix of the state keys.
        images: in the order in which they are shown.
        names: of the runs.
        why: shows more of the one that is chosen, right below it.
    """
    if not images:
        st.caption("There are none.")
        return
    shown = _page(key, images)
    chosen = st.session_state.get(f"{key}.why")
    place = next((i for i, one in enumerate(shown) if one.path == chosen), None)
    parts = [shown] if place is None or why is None else [shown[: place + 1], shown[place + 1 :]]
    gone = 0
    for number, part in enumerate(parts):
        gone += _row(f"{key}.{number}", part, names, f"{key}.why" if why is not None else "")
        if number == 0 and place is not None and why is not None:
            with st.container(border=True):
                why(shown[place])
    if gone:
        st.caption(
            f"{gone} of these images cannot be read here: they are gone, or lie outside the "
            "folders that Thaw may read (`--root`). What was said of them stays."
        )


def _page(key: str, images: Sequence[JudgedImage]) -> Sequence[JudgedImage]:
    num_pages = -(-len(images) // PAGE_OF_IMAGES)
    number = 1
    if num_pages > 1:
        page_help = f"{PAGE_OF_IMAGES} of {len(images):,} images each."
        label = f"Page of {num_pages:,}"
        number = int(
            st.number_input(label, 1, num_pages, key=f"{key}.page", help=page_help, width=160)
        )
    return images[PAGE_OF_IMAGES * (number - 1) : PAGE_OF_IMAGES * number]


def _row(key: str, images: Sequence[JudgedImage], names: Sequence[str], why_key: str) -> int:
    """Shows images side by side; returns how many of them cannot be read."""
    gone = 0
    with st.container(horizontal=True, gap="medium"):
        for place, image in enumerate(images):
            picture = thumbnail(image.path) if is_allowed(image.path) else None
            gone += picture is None
            with st.container(width=WIDTH, gap="xsmall"):
                if picture is not None:
                    st.image(picture, width=WIDTH)
                st.caption(told(image, names))
                if picture is not None and why_key:
                    _why_button(f"{key}.{place}", why_key, image.path)
    return gone


def _why_button(key: str, why_key: str, path: str) -> None:
    is_open = st.session_state.get(why_key) == path

    def choose() -> None:
        st.session_state[why_key] = None if is_open else path

    st.button(
        "Close" if is_open else "Why?",
        icon=":material/close:" if is_open else ":material/center_focus_strong:",
        help="Which parts of the picture speak for the class, as each run sees it.",
        key=f"{key}.button",
        type="tertiary",
        on_click=choose,
    )


def told(image: JudgedImage, names: Sequence[str]) -> str:
    """Returns the class of an image and what each run says of it, as Markdown."""
    lines = [f"**{plain(image.label)}**"]
    lines += [
        _answer(plain(name), answer) for name, answer in zip(names, image.answers, strict=True)
    ]
    return "  \n".join(lines)


def _answer(name: str, answer: Answer) -> str:
    mark = ":material/check:" if answer.is_right else ":material/close:"
    named = "" if answer.is_right else f" {plain(answer.named)}"
    return f"{mark} {name}{named} {100 * answer.probability:.0f}\u00a0%"
