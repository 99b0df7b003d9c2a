"""Fetches a known data set by its name, from torchvision's sources or the Hugging Face Hub."""

import re
from pathlib import Path

import streamlit as st

from dashboard.runs import plain
from dashboard.source_choice import show_next
from engine.data.fetching import FETCHABLE, Fetched, fetched_before
from engine.data.hub import HUB
from engine.errors import DataError, ThawError
from engine.runs.fetch_process import FetchStep, fetch_in_process

FROM_HUB = "hub"
# Paths of this machine are for the command line: who opens the page may not read any file.
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*(:[\w.-]+)?")
WORDS = {"downloading": "Downloading", "unpacking": "Unpacking", "writing": "Writing pictures"}


def fetch_section(page: str) -> None:
    """Shows the choice of a data set and the button that fetches it."""
    names = [*FETCHABLE, FROM_HUB]
    picked = st.selectbox("Data set", names, format_func=_label, key=f"{page}.fetch.name")
    name, image_column, label_column = picked, "", ""
    if picked == FROM_HUB:
        hub_name, image_column, label_column = _hub_form(page)
        name = f"{HUB}{hub_name}"
        if not hub_name:
            return
    else:
        record = FETCHABLE[picked]
        st.caption(
            f"{record.sentence} {record.note} About {record.download_mib:,} MB are downloaded, "
            "once, by torchvision."
        )
    there = fetched_before(name)
    label = "Show it" if there else "Download"
    icon = ":material/visibility:" if there else ":material/download:"
    if not st.button(label, icon=icon, type="primary", key=f"{page}.fetch.start"):
        return
    try:
        fetched = there or _fetch(name, image_column, label_column)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    show_next(page, fetched.folder)


def _label(name: str) -> str:
    return "From the Hugging Face Hub…" if name == FROM_HUB else FETCHABLE[name].label


def _hub_form(page: str) -> tuple[str, str, str]:
    """Returns name and columns; no name while there is none that could be fetched."""
    name = st.text_input(
        "Name on the hub", placeholder="owner/name", key=f"{page}.fetch.hub", max_chars=200
    ).strip()
    left, right = st.columns(2)
    help_text = "Found by itself where there is only one."
    with left:
        image_column = st.text_input(
            "Column of pictures", key=f"{page}.fetch.image_column", help=help_text
        ).strip()
    with right:
        label_column = st.text_input(
            "Column of classes", key=f"{page}.fetch.label_column", help=help_text
        ).strip()
    if name and (not HUB_NAME.fullmatch(name) or Path(name.partition(":")[0]).exists()):
        st.error(
            f"{plain(name)} is no name of the hub: it is written owner/name, or owner/name:config.",
            icon=":material/error:",
        )
        return "", "", ""
    return name, image_column, label_column


def _fetch(name: str, image_column: str, label_column: str) -> Fetched:
    """Returns the data set, showing how far it is; leaving the page ends it.

    Raises:
        DataError: it cannot be had.
    """
    st.caption("Stay on this page until it is done; what was downloaded in full is kept.")
    bar = st.progress(0.0, text="Starting…")
    try:
        for step in fetch_in_process(name, image_column, label_column):
            if isinstance(step, Fetched):
                return step
            bar.progress(_share(step), text=_text(step))
    finally:
        bar.empty()
    raise DataError(f"{name} was not fetched; try again.")


def _share(step: FetchStep) -> float:
    return min(step.done / step.total, 1.0) if step.total else 0.0


def _text(step: FetchStep) -> str:
    word = WORDS.get(step.task, step.task.capitalize())
    if step.task == "downloading":
        done = f"{step.done / 2**20:,.0f}"
        return (
            f"{word}: {done} of {step.total / 2**20:,.0f} MB"
            if step.total
            else f"{word}: {done} MB"
        )
    if not step.total:
        return f"{word}…" if not step.done else f"{word}: {step.done:,}"
    return f"{word}: {step.done:,} of {step.total:,}"
