"""The new images that lie farthest from the old ones of their class, beside what is usual there."""

from collections.abc import Sequence

import streamlit as st

from dashboard.data_summary import thumbnail
from dashboard.roots import is_allowed
from dashboard.runs import plain
from engine.insight.batch_classes import NEIGHBOURS
from engine.insight.batch_drift import BatchDrift, FarImage

SHOWN = 6
WIDTH = 96
EVERY = ""


def far_gallery(page: str, found: BatchDrift) -> None:
    """Shows the farthest new images, of one class or all, each beside the old one most like it.

    Args:
        page: prefix of the state keys.
        found: of a batch.
    """
    st.markdown("#### The farthest new images")
    if not found.far:
        st.caption("There are none to show: no new image is of a class that has old ones.")
        return
    st.caption(
        "In each pair the new image comes first, then the old one of its class that is most like "
        f"it. How far is the mean distance to the {NEIGHBOURS} nearest old images of the class; 1 "
        "is what is usual among those."
    )
    # In the order of each one's farthest image.
    names = list(dict.fromkeys(one.label for one in found.far))
    chosen = st.selectbox(
        "Class",
        [EVERY, *names],
        format_func=lambda name: plain(name) if name else "All",
        help="Of one class the most usual old images are shown, too.",
        key=f"{page}.drift.class",
        width=260,
    )
    gone = 0
    if chosen:
        st.caption("Usual old images")
        with st.container(horizontal=True, gap="small"):
            gone += sum(_picture(path) for path in found.usual.get(chosen, ()))
        st.caption("Farthest new images")
    far = [one for one in found.far if chosen in (EVERY, one.label)]
    gone += _pairs(_page(page, chosen, far))
    if gone:
        st.caption(
            f"{gone} of these images cannot be read here: they are gone, or lie outside the "
            "folders that Thaw may read (`--root`)."
        )


def _page(page: str, chosen: str, far: Sequence[FarImage]) -> Sequence[FarImage]:
    num_pages = -(-len(far) // SHOWN)
    number = 1
    if num_pages > 1:
        number = int(
            st.number_input(
                f"Page of {num_pages:,}",
                1,
                num_pages,
                key=f"{page}.drift.page.{chosen}",
                help=f"{SHOWN} of {len(far):,} images each, the farthest first.",
                width=160,
            )
        )
    return far[SHOWN * (number - 1) : SHOWN * number]


def _pairs(far: Sequence[FarImage]) -> int:
    """Shows images with the old one that is most like each; returns how many cannot be read."""
    gone = 0
    with st.container(horizontal=True, gap="medium"):
        for one in far:
            with st.container(width=2 * WIDTH + 24, gap="xsmall"):
                with st.container(horizontal=True, gap="xsmall"):
                    gone += _picture(one.path) + _picture(one.nearest)
                st.caption(
                    f"**{plain(one.label)}** {one.times:.1f} × as far as usual, farther than "
                    f"{100 * one.beyond:.0f} % of the old ones"
                )
    return gone


def _picture(path: str) -> bool:
    """Shows a picture; returns whether it cannot be read."""
    picture = thumbnail(path) if is_allowed(path) else None
    if picture is not None:
        st.image(picture, width=WIDTH)
    return picture is None
