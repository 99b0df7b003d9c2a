"""How images are split: what is held back to judge by, and which share is learnt from."""

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.roots import allowed_images
from dashboard.widgets import grid_slider, number_slider, switch
from engine.data.remedies import current_remedies
from engine.spec import DataSpec, field_info, field_range

FOLDS = (0, 3, 5, 10)
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
VAL_FOLDER, SEED = "data.val_folder", "data.split_seed"
# Fields of the spec's data that have one control a page, whatever the folder is.
SPLIT = ("val_fraction", "split_seed", "folds", "keep_alike_together", "train_fraction")


def val_folder_key(page: str, folder: str) -> str:
    """Returns the state key of the validation folder that goes with a folder of images."""
    return f"{page}.{VAL_FOLDER}.{folder}"


def split_section(page: str, data: DataSpec, least_classes: int) -> DataSpec:
    """Shows what there is to choose for a folder; returns the spec with its split.

    Args:
        page: prefix of the state keys.
        data: names the folder, or a table.
        least_classes: that there have to be.

    Raises:
        SpecError: what was typed is no path.
        DataError: one of the folders cannot be used.
    """
    is_split = allowed_images(data, least_classes).val is not None
    values = data.model_dump() | {"remedies": current_remedies(Path(data.folder))}
    sliders = st.container()
    if not is_split or st.session_state.get(val_folder_key(page, data.folder)):
        values |= _further(page, data.folder, is_split)
        if values["val_folder"]:
            is_split = allowed_images(DataSpec.parse(values), least_classes).val is not None
    with sliders:
        values |= _given_split(page) if is_split else _drawn_split(page)
    return DataSpec.parse(values)


def _given_split(page: str) -> dict[str, Any]:
    return {"train_fraction": _train_fraction(page)}


def _drawn_split(page: str) -> dict[str, Any]:
    left, right = st.columns(2)
    with right:
        folds = int(grid_slider(page, "data.folds", FOLDS, text=_folds_text))
        together = switch(page, "data.keep_alike_together")
    with left:
        fraction = number_slider(page, "data.val_fraction", step=0.05, disabled=folds > 0)
        return {
            "val_fraction": fraction,
            "folds": folds,
            "keep_alike_together": together,
            "train_fraction": _train_fraction(page),
        }


def _train_fraction(page: str) -> float:
    return float(grid_slider(page, "data.train_fraction", SHARES, text="{:g}".format))


def _further(page: str, folder: str, is_split: bool) -> dict[str, Any]:
    """Shows what few need; returns the settings of the spec."""
    key, seed_key = val_folder_key(page, folder), f"{page}.{SEED}"
    least, greatest = field_range(SEED)
    with st.expander(
        "Validation images elsewhere, or another split",
        expanded=bool(st.session_state.get(key) or st.session_state.get(seed_key)),
        icon=":material/call_split:",
    ):
        val_folder = st.text_input(
            "Validation folder",
            placeholder="/home/me/photos-to-judge-by",
            help=f"{field_info(VAL_FOLDER).description} Leave it empty to hold back a share of the "
            "images.",
            key=key,
            persist_state="session",
        ).strip()
        seed = st.number_input(
            "Split seed",
            int(least),
            int(greatest),
            int(field_info(SEED).default),
            help=field_info(SEED).description,
            key=seed_key,
            disabled=is_split or bool(val_folder),
            persist_state="session",
        )
    return {"val_folder": val_folder or None, "split_seed": int(seed)}


def _folds_text(folds: int) -> str:
    return str(folds) if folds else "none"
