"""Data: what a folder of images holds, and what would spoil a result."""

from pathlib import Path

import streamlit as st

from dashboard.data_choice import folder_choice
from dashboard.report_sections import UNASKED, class_section, finding_section, numbers_section
from dashboard.runs import plain
from engine.data.folders import find_images
from engine.data.report import DataReport, inspect_folder
from engine.errors import ThawError
from engine.spec import DataSpec

PAGE = "data"
AGAIN_HELP = "Pictures that were added, removed or changed since are opened; the others are known."


def main() -> None:
    """Shows the choice of a folder, and the report on it."""
    st.title("Data")
    st.markdown(
        "What is in the folder, and what would spoil a result: pictures that are there twice, in "
        "training and validation, or under two labels. Nothing of yours is changed."
    )
    named = folder_choice(PAGE)
    if named is None:
        return
    try:
        report = _report(Path(DataSpec.parse({"folder": named}).folder))
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if report is not None:
        _show(report)


def _report(folder: Path) -> DataReport | None:
    """Returns the report; None where a person has to ask for it first.

    It stays as it is while the person looks at it, until they ask for another look.

    Raises:
        DataError: the folder cannot be used.
    """
    known: DataReport | None = st.session_state.get(f"{PAGE}.report")
    again = False
    if known is not None and known.folder == str(folder):
        again = st.button("Look again", icon=":material/refresh:", help=AGAIN_HELP)
        if not again:
            return known
    report = _look(folder, asked=again)
    if report is not None:
        st.session_state[f"{PAGE}.report"] = report
        st.rerun()
    return report


def _look(folder: Path, asked: bool) -> DataReport | None:
    found = find_images(folder)
    count = sum(map(len, (*found.train, *(found.val or ()))))
    if count > UNASKED and not asked:
        st.info(
            f"The folder has {count:,} pictures; to find what is wrong, each is opened once. What "
            "was found is kept, and a run need not open them again to check them.",
            icon=":material/hourglass_empty:",
        )
        if not st.button("Look at every picture", type="primary", icon=":material/search:"):
            return None
    bar = st.progress(0.0, text="Looking at pictures…")

    def tell(done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            bar.progress(done / total, text=f"{done:,} of {total:,} pictures looked at")

    try:
        return inspect_folder(folder, tell)
    finally:
        bar.empty()


def _show(report: DataReport) -> None:
    numbers_section(report)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("What was found", anchor=False)
        if not report.findings:
            st.success("Nothing that would spoil a result.", icon=":material/check_circle:")
        for finding in report.findings:
            finding_section(finding, Path(report.folder))
    with right:
        st.subheader("Classes", anchor=False)
        class_section(PAGE, report)


main()
