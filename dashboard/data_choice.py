"""The choice of images, with what is found there, and how they are split and prepared."""

from pathlib import Path

import streamlit as st

from dashboard.data_summary import DataSummary, summarise, thumbnail
from dashboard.roots import allowed_images
from dashboard.runs import plain
from dashboard.source_choice import folder_choice
from dashboard.widgets import (
    IMAGE_SIZES,
    choice,
    grid_slider,
    image_size_slider,
    number_slider,
    switch,
)
from engine.data.found import LEAST_CLASSES, as_text
from engine.data.remedies import current_remedies
from engine.errors import ThawError
from engine.spec import DataSpec, ImageSpec

FOLDS = (0, 3, 5, 10)
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


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
    """Returns the spec; asks how to split where the folder has no split of its own.

    Args:
        page: prefix of the state keys.
        folder: of the images, or a table of them.
        least_classes: that there have to be; new images of a model may be of a single one.

    Raises:
        SpecError: what was typed is no path.
        DataError: the folder cannot be used.
    """
    data = DataSpec.parse({"folder": folder})
    found = allowed_images(data, least_classes)
    values = data.model_dump() | {"remedies": current_remedies(Path(data.folder))}
    shares = st.container()
    if found.val is None:
        left, right = st.columns(2)
        with right:
            folds = int(grid_slider(page, "data.folds", FOLDS, text=_folds_text))
            together = switch(page, "data.keep_alike_together")
        with left:
            fraction = number_slider(page, "data.val_fraction", step=0.05, disabled=folds > 0)
        values |= {
            "val_fraction": fraction,
            "folds": folds,
            "keep_alike_together": together,
        }
    with shares if found.val is not None else left:
        values["train_fraction"] = float(
            grid_slider(page, "data.train_fraction", SHARES, text="{:g}".format)
        )
    return DataSpec.parse(values)


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


def _folds_text(folds: int) -> str:
    return str(folds) if folds else "none"


def _size_text(size: int) -> str:
    return str(size) if size else "the same"
