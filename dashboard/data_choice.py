"""The choice of images, with what is found there, and how they are split and prepared."""

import streamlit as st

from dashboard.data_summary import DataSummary, summarise, thumbnail
from dashboard.runs import plain
from dashboard.source_choice import folder_choice
from dashboard.split_choice import split_section
from dashboard.widgets import (
    IMAGE_SIZES,
    choice,
    grid_slider,
    image_size_slider,
    number_slider,
)
from engine.data.found import LEAST_CLASSES, as_text
from engine.errors import ThawError
from engine.spec import DataSpec, ImageSpec


def data_section(page: str) -> tuple[DataSpec | None, DataSummary | None]:
    """Shows the choice; returns the data and what was found there, None while it cannot be used."""
    st.subheader("1 · Images", anchor=False)
    folder = folder_choice(page)
    if folder is None:
        return None, None
    try:
        data = data_spec_of(page, folder)
        summary = summarise(data.model_dump_json())
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None, None
    _show_summary(summary)
    return data, summary


def data_spec_of(page: str, folder: str, least_classes: int = LEAST_CLASSES) -> DataSpec:
    """Returns the spec; asks how to split, where the folder has no split of its own.

    Args:
        page: prefix of the state keys.
        folder: of the images, or a table of them.
        least_classes: that there have to be; new images of a model may be of a single one.

    Raises:
        SpecError: what was typed is no path.
        DataError: the folder cannot be used.
    """
    return split_section(page, DataSpec.parse({"folder": folder}), least_classes)


def _show_summary(summary: DataSummary) -> None:
    about = "" if summary.checked else "about "
    st.markdown(
        f"**{len(summary.classes)} classes**, {about}{summary.num_train:,} images to train on and "
        f"{summary.num_val:,} to validate on."
    )
    shown = [(name, thumbnail(path)) for name, path in summary.examples[:10]]
    with st.container(horizontal=True, gap="small"):
        for name, picture in shown:
            if picture is not None:
                st.image(picture, caption=plain(name), width=72)
    for note in summary.notes:
        st.caption(plain(note))
    if not summary.checked:
        st.caption("The folder is large: each picture is opened and checked when a run starts.")
    if summary.left_out:
        count = len(summary.left_out)
        with st.expander(
            f"{count} file{'s' if count != 1 else ''} will be left out", icon=":material/warning:"
        ):
            st.dataframe(
                {
                    "file": [as_text(file.path) for file in summary.left_out],
                    "reason": [file.reason for file in summary.left_out],
                },
                hide_index=True,
            )


def pictures_section(page: str) -> ImageSpec:
    """Shows how pictures are prepared; returns that."""
    left, right = st.columns(2)
    with left:
        size = image_size_slider(page)
        smaller = [one for one in IMAGE_SIZES if one < size]
        start_size = int(grid_slider(page, "images.start_size", (0, *smaller), text=_size_text))
        augmentation = choice(page, "images.augmentation")
    with right:
        fit = choice(page, "images.fit")
        normalisation = choice(page, "images.normalisation")
        views = number_slider(page, "images.views", high=20, disabled=augmentation == "none")
    return ImageSpec.parse(
        {
            "size": size,
            "start_size": start_size,
            "fit": fit,
            "augmentation": augmentation,
            "normalisation": normalisation,
            "views": views,
        }
    )


def _size_text(size: int) -> str:
    return str(size) if size else "the same"
