"""What can be done about a finding, at a click, and the corrections that were made so far."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import streamlit as st

from dashboard.runs import plain
from engine.data.findings import Finding, Picture, Proposal, proposals, remedies_for
from engine.data.found import as_text
from engine.data.remedies import (
    Remedy,
    can_take_back,
    load_remedies,
    record_remedies,
    relative_path,
    take_back_remedies,
)
from engine.data.report import DataReport
from engine.errors import ThawError

WORDS = {
    "exclude": "left out",
    "relabel": "is of another class",
    "train": "moved to training",
    "val": "moved to validation",
    "keep": "right as it is",
}


def remedies_section(page: str, report: DataReport) -> None:
    """Shows which corrections apply to a data set, and takes them back."""
    folder = Path(report.folder)
    try:
        remedies = load_remedies(report.remedies)
        may_take_back = can_take_back(folder)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if not may_take_back:
        return
    count = f"{len(remedies):,} correction{'' if len(remedies) == 1 else 's'}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{count}** of yours {'applies' if len(remedies) == 1 else 'apply'}.")
        undo = st.button("Undo the last", icon=":material/undo:", key=f"{page}.undo")
        clear = bool(remedies) and st.button(
            "Undo all", icon=":material/delete_sweep:", key=f"{page}.clear"
        )
    if remedies:
        with st.expander("What was corrected", icon=":material/healing:"):
            st.dataframe(
                {
                    "picture": [as_text(one.path) for one in remedies],
                    "correction": [WORDS[one.action] for one in remedies],
                    "": [one.detail for one in remedies],
                },
                hide_index=True,
            )
    if undo or clear:
        _change(page, lambda: take_back_remedies(folder, everything=clear))


def finding_remedies(page: str, finding: Finding, folder: Path, key: str) -> None:
    """Shows what can be done about all groups of a finding at once."""
    per_group = [proposals(finding, group, folder) for group in finding.groups]
    if len(per_group) < 2 or not per_group[0]:
        return
    with st.container(horizontal=True, gap="small"):
        for text in dict.fromkeys(one.text for one in per_group[0] if one.for_all):
            chosen = [one for group in per_group for one in group if one.text == text]
            label = f"{text}: all {len(finding.groups):,}"
            if st.button(plain(label), key=f"{page}.{key}.{text}"):
                _record(page, folder, _all_remedies(chosen))


def group_remedies(
    page: str, finding: Finding, group: Sequence[Picture], folder: Path, key: str
) -> None:
    """Shows what can be done about one group of a finding."""
    with st.container(horizontal=True, gap="small"):
        for number, one in enumerate(proposals(finding, group, folder)):
            if st.button(plain(one.text), key=f"{page}.{key}.{number}"):
                _record(page, folder, one.remedies)


def picture_remedies(page: str, pictures: Sequence[Picture], report: DataReport, key: str) -> None:
    """Shows what can be done about pictures that a person chose by themselves."""
    folder = Path(report.folder)
    by_name = _by_name(pictures, folder)
    names = st.multiselect(
        "Correct some of these",
        list(by_name),
        placeholder="Choose pictures by name",
        key=f"{page}.{key}.chosen",
    )
    if not names:
        return
    chosen = [by_name[name] for name in names]
    classes = [name for name, _, _ in report.classes]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Leave out", icon=":material/block:", key=f"{page}.{key}.exclude"):
            _record(page, folder, remedies_for(chosen, folder, "exclude"))
        if report.has_split:
            other: Literal["train", "val"] = "val" if chosen[0].split == "train" else "train"
            word = {"val": "Move to validation", "train": "Move to training"}[other]
            if st.button(word, icon=":material/swap_horiz:", key=f"{page}.{key}.move"):
                _record(page, folder, remedies_for(chosen, folder, other))
        label = st.selectbox(
            "Class", classes, index=None, placeholder="another class", key=f"{page}.{key}.class"
        )
        if st.button("Give them this class", disabled=label is None, key=f"{page}.{key}.relabel"):
            _record(page, folder, remedies_for(chosen, folder, "relabel", label or ""))


def _by_name(pictures: Sequence[Picture], folder: Path) -> dict[str, Picture]:
    """Returns pictures by their files' names, with folders where two of them have the same."""
    counts = Counter(Path(one.path).name for one in pictures)
    return {
        as_text(name if counts[name] == 1 else relative_path(one.path, folder)): one
        for one in pictures
        for name in [Path(one.path).name]
    }


def _all_remedies(chosen: Iterable[Proposal]) -> list[Remedy]:
    return [remedy for one in chosen for remedy in one.remedies]


def _record(page: str, folder: Path, remedies: Iterable[Remedy]) -> None:
    found = list(remedies)
    _change(page, lambda: record_remedies(folder, found))


def _change(page: str, change: Callable[[], object]) -> None:
    try:
        change()
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    # What is known of every picture is kept, so that looking again takes no time.
    st.session_state.pop(f"{page}.report", None)
    st.session_state[f"{page}.asked"] = True
    st.rerun()
