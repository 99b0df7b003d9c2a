"""What shifted images look like: one under each corruption, or both folders side by side."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from PIL import Image

from dashboard.data_summary import thumbnail
from dashboard.roots import is_allowed
from dashboard.runs import plain
from engine.data.corruptions import CORRUPTIONS, SEVERITIES
from engine.data.decode import decode_image
from engine.data.fit import fit_picture
from engine.data.manifest import Item
from engine.errors import DataError
from engine.insight.shift_tests import CLEAN, ShiftTest, Version, manifest_of, name_of, shown_as
from engine.models.catalogue import backbone_record
from engine.runs.store import Run
from engine.spec import ImageSpec

WHAT_KINDS_ARE = {
    "noise": "Gaussian noise",
    "blur": "Gaussian blur",
    "contrast": "Less contrast",
    "jpeg": "JPEG compression",
    "fog": "Fog",
}
SQUARE = 128
GAP = 6
MOST_CLASSES = 8
THUMBNAIL_WIDTH = 80
NONE_SHOWN = (
    "No example can be shown: the images are gone, or lie outside the folders that Thaw may read "
    "(`--root`)."
)


def corruption_examples(page: str, run: Run, test: ShiftTest) -> None:
    """Shows one validation image under each corruption and severity, as the run sees it.

    Args:
        page: prefix of the state keys.
        run: whose size and fit are taken.
        test: its images.
    """
    shown = _one_a_class(test)
    if not shown:
        st.caption(NONE_SHOWN)
        return
    picked = st.selectbox(
        "Example",
        list(shown),
        format_func=plain,
        help="A class; its first image in the order of judging is shown.",
        key=f"{page}.shift.example.{run.id}",
    )
    strips = {kind: _strip_of(shown[picked], run, kind) for kind in CORRUPTIONS}
    size = run.spec.images.size
    if not any(strips.values()):
        st.caption(NONE_SHOWN)
        return
    st.caption(
        f"From left to right: as it is, then severity 1 to {SEVERITIES[-1]}, at {size} px as the "
        "models see it."
    )
    with st.container(horizontal=True, gap="medium"):
        for kind, strip in strips.items():
            if strip is None:
                continue
            with st.container(width=390, gap="xsmall"):
                st.markdown(f"**{what_is(kind)}**")
                st.image(strip, width="stretch")


def folder_examples(run: Run, test: ShiftTest) -> None:
    """Shows an image of each class from the validation images, and one from the other folder."""
    try:
        manifest = manifest_of(run)
    except DataError as error:
        st.caption(plain(str(error)))
        return
    labels = sorted({item.label for item in test.items})[:MOST_CLASSES]
    sides = (("Validation images", manifest.val), ("Images of the other folder", test.items))
    for title, items in sides:
        first = {item.label: item for item in reversed(items) if is_allowed(item.path)}
        found = [(label, thumbnail(first[label].path)) for label in labels if label in first]
        st.markdown(f"**{title}**")
        if not any(picture for _, picture in found):
            st.caption(NONE_SHOWN)
            continue
        with st.container(horizontal=True, gap="small"):
            for label, picture in found:
                if picture is not None:
                    st.image(picture, plain(manifest.classes[label]), width=THUMBNAIL_WIDTH)


def what_is(kind: str) -> str:
    """Returns what a corruption is called on the page."""
    return WHAT_KINDS_ARE[kind]


def _one_a_class(test: ShiftTest) -> dict[str, Item]:
    """Returns the first image of each class that may be shown, by class."""
    found: dict[str, Item] = {}
    for item in test.items:
        name = test.classes[item.label]
        if name not in found and is_allowed(item.path):
            found[name] = item
    return dict(sorted(found.items()))


def _strip_of(item: Item, run: Run, kind: str) -> bytes | None:
    try:
        status = Path(item.path).stat()
    except OSError:
        return None
    images, backbone = run.spec.images, run.spec.model.backbone
    stamp = f"{status.st_size}-{status.st_mtime_ns}"
    path = os.fsencode(item.path)
    return _strip(path, stamp, name_of(item), images.model_dump_json(), backbone, kind)


@st.cache_data(max_entries=100, show_spinner=False)
def _strip(
    path: bytes, stamp: str, name: str, images_json: str, backbone: str, kind: str
) -> bytes | None:
    """Returns a PNG of a picture, as it was at a time, in all severities side by side."""
    images = ImageSpec.model_validate_json(images_json)
    try:
        picture = decode_image(Path(os.fsdecode(path)))
    except DataError:
        return None
    square = fit_picture(picture, images.size, images.fit, backbone_record(backbone))
    versions = (CLEAN, *(Version(kind, severity) for severity in SEVERITIES))
    return _png([shown_as(square, name, version) for version in versions])


def _png(squares: Sequence[Image.Image]) -> bytes:
    width = len(squares) * (SQUARE + GAP) - GAP
    strip = Image.new("RGBA", (width, SQUARE))
    for place, square in enumerate(squares):
        strip.paste(square.resize((SQUARE, SQUARE)), (place * (SQUARE + GAP), 0))
    file = io.BytesIO()
    strip.save(file, "PNG")
    return file.getvalue()
