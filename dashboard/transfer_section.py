"""Runs that go to another machine or come from one, a file each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from dashboard.downloads import download_url
from dashboard.elsewhere import why_no_images
from dashboard.runs import label_of, plain, store
from engine.errors import ThawError
from engine.runs.exporting import IMPORTED, files_of
from engine.runs.importing import Imported, import_run, is_from_elsewhere
from engine.runs.run_file import SUFFIX
from engine.runs.store import Run

# Streamlit holds what is sent in memory until it is taken in.
MOST_MIB = 1024


def export_section(page: str, chosen: Sequence[Run]) -> None:
    """Shows a link for the file of each chosen run that has ended."""
    ended = [run for run in chosen if not run.is_active]
    if not ended:
        return
    with st.popover("Export", icon=":material/download:"):
        st.caption(
            "One file a run: its checkpoint, curves, predictions, settings and notes. It opens on "
            "another machine, under *Import* on this page or with `thaw import`."
        )
        resumable = any(len(files_of(run, True)) > len(files_of(run, False)) for run in ended)
        with_states = resumable and st.checkbox(
            "With what it can be resumed from",
            key=f"{page}.export.states",
            help="Where the same images lie at the same place there, it can go on.",
        )
        for run in ended:
            num_bytes = sum(file.stat().st_size for _, file in files_of(run, with_states))
            st.link_button(
                f"{plain(label_of(run))} ({num_bytes / 2**20:,.1f} MB)",
                download_url(run.id, with_states),
                icon=":material/download:",
            )


def import_section(page: str) -> None:
    """Shows where files of runs can be dropped, and what became of the last ones."""
    told: list[str] = st.session_state.get(f"{page}.import.told", [])
    faults: list[str] = st.session_state.get(f"{page}.import.faults", [])
    with st.expander("Import", icon=":material/upload_file:", expanded=bool(told or faults)):
        # A new key is an empty place to drop the next files.
        number = st.session_state.setdefault(f"{page}.import.number", 0)
        files = st.file_uploader(
            "Files that Thaw exported",
            type=[SUFFIX.removeprefix(".")],
            accept_multiple_files=True,
            max_upload_size=MOST_MIB,
            key=f"{page}.import.{number}",
            help="Each is taken in whole or not at all. For larger ones, use `thaw import` on the "
            "machine that Thaw runs on.",
        )
        if files:
            _take_in(page, files)
        if told:
            st.success(plain("  \n".join(told)), icon=":material/check_circle:")
        for fault in faults:
            st.error(plain(fault), icon=":material/error:")


def _take_in(page: str, files: Sequence[Any]) -> None:
    came: list[Imported] = []
    faults: list[str] = []
    with st.spinner("Looking into the files"):
        for file in files:
            try:
                came.append(import_run(store(), file, file.name))
            except ThawError as error:
                faults.append(str(error))
    st.session_state[f"{page}.import.told"] = _sentences(came)
    st.session_state[f"{page}.import.faults"] = faults
    st.session_state[f"{page}.import.number"] += 1
    st.rerun()


def _sentences(came: Sequence[Imported]) -> list[str]:
    new = sum(one.outcome != "known" for one in came)
    counted = [f"{new} run{'s' if new > 1 else ''} came in."] if new > 1 else []
    return counted + [one.sentence for one in came]


def elsewhere_note(run: Run) -> None:
    """Says of a run from another machine that it is one, and whether its images are here."""
    if not is_from_elsewhere(run):
        return
    came = run.summary[IMPORTED]
    when = datetime.fromtimestamp(came["at"])
    reason = why_no_images(run)
    rest = (
        f"It can be looked at and compared, but not resumed or trained again here: {reason}"
        if reason
        else "Its images are here, so that it can be trained again."
    )
    st.caption(
        plain(
            f"Came from a file on {when.day} {when:%B %Y}, written by Thaw {came['thaw']}. {rest}"
        ),
    )
