"""Where images come from: a sample, what was added to Thaw, or a folder or table named by path."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from dashboard.roots import allowed_roots
from dashboard.runs import plain
from dashboard.split_choice import SPLIT, val_folder_key
from engine.data import samples
from engine.data.datasets import data_sets
from engine.spec import DataSpec, field_info

DATA_PAGE = "data"
ADDED, MY_FOLDER = "added", "folder"
SOURCES = {
    "clipart": "Sample: clip art",
    "digits": "Sample: digits",
    ADDED: "My data sets",
    MY_FOLDER: "Folder or table",
}


def folder_choice(page: str, more: Mapping[str, str] | None = None, part: str = "") -> str | None:
    """Shows where images can come from; returns the folder, None while none is named.

    Args:
        page: prefix of the state keys.
        more: other sources with their labels, which come first; one that is chosen is returned.
        part: tells apart several choices of one page.
    """
    labels = {**(more or {}), **SOURCES}
    source = st.segmented_control(
        "Where the images are",
        list(labels),
        default=next(iter(labels)),
        required=True,
        wrap=True,
        format_func=labels.__getitem__,
        help="The samples come with Thaw. Data sets of your own are added on the Data page, or are "
        "named as a folder or table on the machine that Thaw runs on.",
        key=f"{page}.source{part}",
        persist_state="session",
    )
    if source in (more or {}):
        return source
    if source == MY_FOLDER:
        return _named_folder(page)
    if source == ADDED:
        return _added_folder(page)
    st.caption(samples.SAMPLES[source])
    return str(samples.sample_folder(source))


def show_data(page: str, data: DataSpec) -> None:
    """Sets a page's choice of images, before it is drawn."""
    known = {str(samples.sample_folder(name)): name for name in samples.SAMPLES}
    known |= {str(folder): ADDED for folder in data_sets()}
    source = known.get(data.folder, MY_FOLDER)
    st.session_state[f"{page}.source"] = source
    if source in (ADDED, MY_FOLDER):
        st.session_state[f"{page}.{source}"] = data.folder
    for path in SPLIT:
        st.session_state[f"{page}.data.{path}"] = getattr(data, path)
    st.session_state[val_folder_key(page, data.folder)] = data.val_folder or ""


def show_next(page: str, folder: Path) -> None:
    """Draws a page anew, with a data set that was just added as its choice."""
    st.session_state[f"{page}.show"] = str(folder)
    st.rerun()


def apply_shown(page: str) -> None:
    """Sets the choice that `show_next` asked for; to be called before it is drawn."""
    if folder := st.session_state.pop(f"{page}.show", None):
        st.session_state[f"{page}.source"] = ADDED
        st.session_state[f"{page}.{ADDED}"] = folder


def _named_folder(page: str) -> str | None:
    folder = st.text_input(
        "Folder or table",
        placeholder="/home/me/photos",
        help=field_info("data.folder").description,
        key=f"{page}.folder",
        persist_state="session",
    ).strip()
    if folder:
        return folder
    roots = " or ".join(f"`{plain(str(root))}`" for root in allowed_roots())
    st.info(
        "Type the path of a folder with one folder of images a class, for example `photos/cats` "
        "and `photos/dogs`, or `photos/train/cats` with `photos/val/cats`; or of a CSV or Parquet "
        f"table with the columns `path`, `label` and maybe `split`. It lies below {roots}.",
        icon=":material/folder_open:",
    )
    return None


def _added_folder(page: str) -> str | None:
    found = data_sets()
    if not found:
        st.info(
            "Nothing was added yet. A zip, a folder or loose pictures from your computer can be "
            "added on the Data page.",
            icon=":material/upload:",
        )
        if page != DATA_PAGE:
            st.page_link("app_pages/data.py", label="Add images", icon=":material/photo_library:")
        return None
    names = {str(folder): folder.name for folder in found}
    return st.selectbox(
        "Data set",
        list(names),
        format_func=lambda folder: names.get(folder, folder),
        key=f"{page}.added",
        persist_state="session",
    )
