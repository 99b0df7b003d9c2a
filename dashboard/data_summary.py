"""What a page says of a folder of images before anything is trained on it."""

import os
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import streamlit as st
from PIL import Image

from engine.data.decode import decode_image
from engine.data.found import LEAST_CLASSES, LeftOut
from engine.data.intake import files_of
from engine.data.manifest import build_manifest
from engine.errors import DataError
from engine.spec import DataSpec

CHECKED_AT_ONCE = 2000
THUMBNAIL = 112
CORRECTED = "Corrections of yours are applied when a run starts; no file is changed."


@dataclass(frozen=True)
class DataSummary:
    """A folder as it would be used.

    Attributes:
        classes: names.
        num_train: images to train on; an estimate where `checked` is False.
        num_val: images to validate on, likewise.
        left_out: files that would not be used.
        checked: whether every picture was opened; a large folder is checked when a run starts.
        examples: one picture a class, as (class, path).
        notes: how the folder was read, where that is not plain to see.
    """

    classes: tuple[str, ...]
    num_train: int
    num_val: int
    left_out: tuple[LeftOut, ...]
    checked: bool
    examples: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


@st.cache_data(ttl=20, max_entries=50, show_spinner="Looking at the pictures…")
def summarise(spec_json: str, least_classes: int = LEAST_CLASSES) -> DataSummary:
    """Returns what a DataSpec, given as JSON, finds where there are at least so many classes.

    Raises:
        DataError: the folder cannot be used.
    """
    spec = DataSpec.model_validate_json(spec_json)
    found = files_of(spec, least_classes)
    num_train = sum(map(len, found.train))
    num_val = sum(map(len, found.val or ()))
    if num_train + num_val <= CHECKED_AT_ONCE:
        manifest = build_manifest(spec, least_classes=least_classes)
        first = {item.label: item.path for item in reversed(manifest.train)}
        examples = tuple((manifest.classes[label], first[label]) for label in sorted(first))
        return DataSummary(
            manifest.classes,
            len(manifest.train),
            len(manifest.val),
            manifest.left_out,
            checked=True,
            examples=examples,
            notes=manifest.notes,
        )
    if found.val is None:
        num_val = round(num_train * (1 / spec.folds if spec.folds else spec.val_fraction))
        num_train -= num_val
    num_train = round(num_train * spec.train_fraction)
    examples = tuple(
        (name, str(files[0])) for name, files in zip(found.classes, found.train, strict=True)
    )
    notes = (*found.notes, CORRECTED) if spec.remedies else found.notes
    return DataSummary(found.classes, num_train, num_val, found.left_out, False, examples, notes)


def thumbnail(path: str) -> bytes | None:
    """Returns a small square PNG of a picture, or None where it cannot be read."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for its other end.
        return None
    # As bytes: a path may hold what no text does.
    return _thumbnail(os.fsencode(path), status.st_mtime_ns, status.st_size)


@st.cache_data(max_entries=500, show_spinner=False)
def _thumbnail(path: bytes, changed: int, size: int) -> bytes | None:
    """Returns the thumbnail of a file as it was at a time, with a size: one may be replaced."""
    try:
        picture = decode_image(Path(os.fsdecode(path)), at_least=THUMBNAIL)
    except DataError:
        return None
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    square = Image.new("RGB", (THUMBNAIL, THUMBNAIL), "white")
    square.paste(picture, ((THUMBNAIL - picture.width) // 2, (THUMBNAIL - picture.height) // 2))
    file = BytesIO()
    square.save(file, "PNG")
    return file.getvalue()
