"""Data: what a folder of images holds, what would spoil a result, and what to do about it."""

from collections import Counter
from pathlib import Path

import streamlit as st

from dashboard.doubts_section import doubts_section
from dashboard.fetch_section import fetch_section
from dashboard.remedy_section import remedies_section
from dashboard.report_sections import UNASKED, class_section, finding_section, numbers_section
from dashboard.roots import allowed_images
from dashboard.runs import plain
from dashboard.source_choice import DATA_PAGE as PAGE
from dashboard.source_choice import apply_shown, folder_choice
from dashboard.upload_section import upload_section
from engine.data.remedies import current_remedies
from engine.data.report import DataReport, inspect_folder
from engine.errors import ThawError
from engine.spec import DataSpec

AGAIN_HELP = "Pictures that were added, removed or changed since are opened; the others are known."


def main() -> None:
    """Shows the choice of images, how to add some, and the report on them."""
    st.title("Data")
    st.markdown(
        "What is in the folder, and what would spoil a result: pictures that are there twice, in "
        "training and validation, or under two labels. Corrections are kept beside it: no file of "
        "yours is changed."
    )
    apply_shown(PAGE)
    named = folder_choice(PAGE)
    with st.expander(
        "Add images from this computer",
        icon=":material/upload:",
        expanded=bool(st.session_state.get(f"{PAGE}.upload.told")),
    ):
        upload_section(PAGE)
    with st.expander("Download a known data set", icon=":material/download:"):
        fetch_section(PAGE)
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
    asked = bool(st.session_state.pop(f"{PAGE}.asked", False))
    if known is not None and known.folder == str(folder):
        asked = st.button("Look again", icon=":material/refresh:", help=AGAIN_HELP)
        if not asked:
            return known
    report = _look(folder, asked)
    if report is not None:
        st.session_state[f"{PAGE}.report"] = report
        st.rerun()
    return report


def _look(folder: Path, asked: bool) -> DataReport | None:
    found = allowed_images(DataSpec(folder=str(folder)))
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
        return inspect_folder(folder, tell, current_remedies(folder), found)
    finally:
        bar.empty()


def _show(report: DataReport) -> None:
    numbers_section(report)
    remedies_section(PAGE, report)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("What was found", anchor=False)
        if not report.findings:
            st.success("Nothing that would spoil a result.", icon=":material/check_circle:")
        seen: Counter[str] = Counter()
        for finding in report.findings:
            # What is opened stays open while others go.
            finding_section(PAGE, finding, Path(report.folder), seen[finding.kind])
            seen[finding.kind] += 1
        doubts_section(PAGE, report)
    with right:
        st.subheader("Classes", anchor=False)
        class_section(PAGE, report)


main()
