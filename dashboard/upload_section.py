"""Adds images from the person's own computer: an archive, a folder, or loose pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.runs import plain
from dashboard.source_choice import show_next
from engine.data.archives import Unpacked
from engine.data.datasets import data_sets
from engine.data.entries import archive_stem, is_archive
from engine.data.uploads import Sketch, add_files, add_to_class, sketch_files
from engine.errors import ThawError

# Streamlit holds what is sent in memory until it is taken in.
MOST_MIB = 1024
CLASSES_SHOWN = 8
NEW = "new"
KINDS = {"files": "A zip, a tar or pictures", "directory": "A whole folder"}


def upload_section(page: str) -> None:
    """Shows where files can be dropped, what they would be, and the button that adds them."""
    what = st.segmented_control(
        "What to add",
        list(KINDS),
        default="files",
        required=True,
        format_func=KINDS.__getitem__,
        key=f"{page}.upload.what",
    )
    # A new key is an empty place to drop the next files.
    number = st.session_state.setdefault(f"{page}.upload.number", 0)
    files = st.file_uploader(
        f"Up to {MOST_MIB:,} MB in all",
        accept_multiple_files="directory" if what == "directory" else True,
        max_upload_size=MOST_MIB,
        key=f"{page}.upload.{what}.{number}",
        help="One folder of pictures a class, as they lie on your disk. For more than this, put "
        "them on the machine that Thaw runs on and name the folder, or use `thaw add`.",
    )
    if not files:
        if told := st.session_state.get(f"{page}.upload.told"):
            st.success(told, icon=":material/check_circle:")
        return
    st.session_state.pop(f"{page}.upload.told", None)
    try:
        _offer(page, files)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _offer(page: str, files: Sequence[Any]) -> None:
    total = sum(file.size for file in files)
    if total > MOST_MIB * 2**20:
        st.error(
            f"These are {total / 2**20:,.0f} MB, more than the {MOST_MIB:,} MB that can be sent; "
            "send them in parts, or name a folder on the machine that Thaw runs on.",
            icon=":material/error:",
        )
        return
    sketch = _sketch(page, files)
    if sketch.fault:
        st.error(plain(sketch.fault), icon=":material/error:")
        return
    _show_sketch(sketch)
    target, name, class_name = _where(page, files, sketch)
    many = f"{sketch.num_pictures:,} picture{'' if sketch.num_pictures == 1 else 's'}"
    missing = sketch.needs_class and not class_name
    if st.button(
        f"Add {many}",
        type="primary",
        icon=":material/add_photo_alternate:",
        disabled=missing,
        help="Name their class first." if missing else None,
        key=f"{page}.upload.add",
    ):
        _add(page, files, sketch, (target, name, class_name))


def _sketch(page: str, files: Sequence[Any]) -> Sketch:
    """Returns what the files would be; looked at once for the same files."""
    key = tuple(file.file_id for file in files)
    known = st.session_state.get(f"{page}.upload.sketch")
    if known is None or known[0] != key:
        with st.spinner("Looking at the names…"):
            known = (key, sketch_files(files))
        st.session_state[f"{page}.upload.sketch"] = known
    found: Sketch = known[1]
    return found


def _show_sketch(sketch: Sketch) -> None:
    if sketch.needs_class:
        st.markdown(
            "Loose pictures: they lie in no folder, so they have no class yet. Name it here; add "
            "the other classes to the same data set afterwards."
        )
        return
    has_split = any(val for _, _, val in sketch.classes)
    counts = [
        f"{plain(name)} ({train:,}{f' + {val:,} to validate' if has_split else ''})"
        for name, train, val in sketch.classes[:CLASSES_SHOWN]
    ]
    more = len(sketch.classes) - CLASSES_SHOWN
    rest = f" and {more:,} more" if more > 0 else ""
    st.markdown(f"**{len(sketch.classes):,} classes**: {', '.join(counts)}{rest}.")
    for note in sketch.notes:
        st.caption(plain(note))
    if sketch.num_left_out:
        st.caption(
            f"{sketch.num_left_out:,} other files will be left out: no pictures by their names, "
            "hidden, links, or outside the class folders."
        )


def _where(page: str, files: Sequence[Any], sketch: Sketch) -> tuple[str, str, str]:
    """Returns the data set to add to or NEW, the name of a new one, and the class of loose ones."""
    target, class_name = NEW, ""
    if sketch.needs_class:
        names = {NEW: "a new data set"} | {str(one): one.name for one in data_sets()}
        left, right = st.columns(2)
        with left:
            class_name = st.text_input("Class", key=f"{page}.upload.class", max_chars=100).strip()
        with right:
            target = st.selectbox(
                "Add to",
                list(names),
                format_func=lambda one: names.get(one, one),
                key=f"{page}.upload.target",
            )
    if target != NEW:
        return target, "", class_name
    first = files[0].name
    proposed = archive_stem(first) if is_archive(first) else first.partition("/")[0]
    if sketch.needs_class:
        proposed = "my images"
    name = st.text_input("Name of the data set", proposed, max_chars=100).strip()
    return NEW, name or proposed, class_name


def _add(page: str, files: Sequence[Any], sketch: Sketch, where: tuple[str, str, str]) -> None:
    target, name, class_name = where
    bar = st.progress(0.0, text="Adding pictures…")

    def tell(done: int) -> None:
        if done % 20 == 0 or done == sketch.num_pictures:
            share = min(done / max(sketch.num_pictures, 1), 1.0)
            bar.progress(share, text=f"{done:,} of {sketch.num_pictures:,} pictures added")

    try:
        if target == NEW:
            added = add_files(files, name, class_name if sketch.needs_class else "", tell)
        else:
            added = add_to_class(Path(target), class_name, files, tell)
    finally:
        bar.empty()
    _tell_added(page, added)


def _tell_added(page: str, added: Unpacked) -> None:
    left_out = f"; {added.num_left_out:,} other files left out" if added.num_left_out else ""
    st.session_state[f"{page}.upload.told"] = (
        f"{added.num_pictures:,} pictures added to {plain(added.folder.name)}{left_out}."
    )
    st.session_state[f"{page}.upload.number"] += 1
    # The same folder may have grown.
    st.session_state.pop(f"{page}.report", None)
    show_next(page, added.folder)
