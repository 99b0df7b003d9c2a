"""What one update takes for what, and which old images it broke and mended."""

from collections.abc import Sequence
from typing import get_args

import streamlit as st

from dashboard.confusion_charts import SCALES
from dashboard.gallery import PAGE_OF_IMAGES, gallery
from dashboard.runs import colour_of, label_of, plain
from dashboard.show import show_chart
from dashboard.update_charts import blocks_figure
from dashboard.words import names_of
from engine.insight.images import JudgedImage
from engine.insight.update_images import Blocks, Which, blocks_of, broken_images, mended_images
from engine.insight.updates import Update

WHICH = {"all": "all images", "old": "old images", "new": "new images"}
NAMES = ("before", "now")


def choose_update(page: str, updates: Sequence[Update]) -> Update:
    """Returns the update that a person wants to look at; first the best on all images.

    Args:
        page: prefix of the state keys.
        updates: at least one.
    """
    by_id = {one.run.id: one for one in updates}
    best = max(updates, key=lambda one: one.after.all.accuracy or 0.0)
    if len(by_id) == 1:
        return best
    ids = list(by_id)
    chosen = st.selectbox(
        "Update to look at",
        ids,
        index=ids.index(best.run.id),
        format_func=lambda run_id: label_of(by_id[run_id].run),
        key=f"{page}.updates.chosen.{'.'.join(ids)}",
        help="What it confuses and which images it broke is shown below; first, that with most of "
        "all images right.",
    )
    return by_id[chosen]


def confused_section(page: str, update: Update) -> None:
    """Shows what an update takes for what, old classes and new ones set apart.

    Args:
        page: prefix of the state keys.
        update: any.
    """
    st.subheader("Old classes and new ones", anchor=False)
    left, right = st.columns(2)
    which = left.segmented_control(
        "Images",
        get_args(Which),
        default="all",
        required=True,
        format_func=lambda one: WHICH[one],
        key=f"{page}.updates.which",
        help="Which validation images are counted: old ones are those of all earlier folders; the "
        "new folder may have images of old classes, too.",
    )
    scale = right.segmented_control(
        "Cells say",
        SCALES,
        default=SCALES[0],
        required=True,
        key=f"{page}.updates.scale",
        help="Colours show the share of the true class either way.",
    )
    blocks = blocks_of(update, which)
    st.markdown(f"**{plain(label_of(update.run))}**: {confused_in_words(blocks)}")
    show_chart(
        blocks_figure(blocks, update.manifest.classes, colour_of(update.run), scale),
        key=f"{page}.updates.blocks.{update.run.id}",
        name=f"old and new classes {names_of([update.run])}",
        alt=f"Confusion matrix with old and new classes set apart, {label_of(update.run)}",
    )


def confused_in_words(blocks: Blocks) -> str:
    """Returns the counts of the four blocks as sentences."""
    num_new_classes = len(blocks.counts_KK) - blocks.num_old
    sentences = []
    if blocks.num_of_old:
        sentences.append(
            f"of {_images(blocks.num_of_old)} of old classes, {blocks.old_right} are told right, "
            f"{blocks.old_as_other_old} are taken for another old class"
            + (f" and {blocks.old_as_new} for a new one." if num_new_classes else ".")
        )
    if blocks.num_of_new:
        sentences.append(
            f"{'Of' if sentences else 'of'} {_images(blocks.num_of_new)} of new classes, "
            f"{blocks.new_right} are told right, {blocks.new_as_old} are taken for an old class "
            f"and {blocks.new_as_other_new} for another new one."
        )
    if not num_new_classes:
        sentences.append("The update brought no new class.")
    elif not blocks.num_of_new:
        sentences.append("None of these images is of a new class.")
    return " ".join(sentences)


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def changed_section(page: str, update: Update) -> None:
    """Shows the old images that an update broke, and those that it mended.

    Args:
        page: prefix of the state keys.
        update: any.
    """
    num_right = int((update.right_before_N & ~update.is_new_N).sum())
    num_wrong = update.before.old.num - num_right
    key = f"{page}.updates.{update.run.id}"
    st.subheader("Old images that broke", anchor=False)
    _gallery(
        f"{key}.broken",
        broken_images(update),
        f"of the {num_right:,} old images that were told right before are told wrong now; the "
        "surest mistakes come first.",
        f"None of the {_images(num_right)} that the old model told right is told wrong now."
        if num_right
        else "The model told no old image right before, so none could break.",
    )
    st.subheader("Old images that were mended", anchor=False)
    _gallery(
        f"{key}.mended",
        mended_images(update),
        f"of the {num_wrong:,} old images that were told wrong before are told right now; what was "
        "the surest mistake comes first.",
        f"None of the {_images(num_wrong)} that the old model told wrong is told right now."
        if num_wrong
        else "The model told all old images right before, so there was nothing to mend.",
    )


def _gallery(key: str, images: Sequence[JudgedImage], what: str, none: str) -> None:
    if not images:
        st.caption(none)
        return
    st.markdown(f"**{len(images):,}** {what}")
    if len(images) > PAGE_OF_IMAGES:
        st.caption(f"{PAGE_OF_IMAGES} of these {len(images):,} at a time.")
    gallery(key, images, NAMES)
