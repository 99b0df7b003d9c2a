"""A report on a data set: its numbers, what was found, and its pictures by class."""

from pathlib import Path

import streamlit as st

from dashboard.data_summary import thumbnail
from dashboard.report_charts import class_bars
from dashboard.runs import plain
from engine.data.findings import Finding, Picture
from engine.data.folders import find_images
from engine.data.report import DataReport
from engine.errors import DataError

# So many pictures are looked at without asking; that takes seconds.
UNASKED = 2000
ICONS = {
    "fault": ":material/error:",
    "doubt": ":material/help:",
    "note": ":material/info:",
}
WORDS = {"fault": "wrong", "doubt": "doubtful", "note": "good to know"}
GROUPS_SHOWN = 12
PAGE_OF_PICTURES = 18
WIDTH = 84


def numbers_section(report: DataReport) -> None:
    """Shows how much there is, and of what."""
    formats = ", ".join(f"{count:,} {name}" for name, count in report.formats.items())
    values = {
        "Pictures": f"{report.num_pictures:,}",
        "Classes": f"{len(report.classes):,}",
        "Shorter side": f"{report.median_side:,} px",
        "Wrong": str(sum(one.severity == "fault" for one in report.findings)),
        "Doubtful": str(sum(one.severity == "doubt" for one in report.findings)),
    }
    with st.container(horizontal=True, gap="large"):
        for name, value in values.items():
            st.metric(name, value, width="content")
    split = (
        "The split into training and validation is the folder's own."
        if report.has_split
        else "The folder has no split; a run holds back a share of each class."
    )
    st.caption(
        f"{formats}; sides from {report.least_side:,} to {report.largest_side:,} px, half of the "
        f"shorter ones above {report.median_side:,}. {split} Fingerprint {report.fingerprint}."
    )


def finding_section(finding: Finding, root: Path) -> None:
    """Shows one finding with its pictures."""
    icon, word = ICONS[finding.severity], WORDS[finding.severity]
    if not finding.groups:
        st.markdown(f"{icon} **{word}** · {plain(finding.sentence)}")
        return
    with st.expander(f"**{word}** · {plain(finding.sentence)}", icon=icon):
        for group in finding.groups[:GROUPS_SHOWN]:
            _group(group, root)
        if len(finding.groups) > GROUPS_SHOWN:
            more = len(finding.groups) - GROUPS_SHOWN
            st.caption(f"And {more:,} more; `thaw inspect` with `--json` lists all.")


def _group(group: tuple[Picture, ...], root: Path) -> None:
    pictures = [thumbnail(one.path) for one in group[:6]]
    if any(pictures):
        with st.container(horizontal=True, gap="small"):
            for picture in pictures:
                if picture is not None:
                    st.image(picture, width=WIDTH)
    st.caption(" = ".join(plain(_short(one.path, root)) for one in group))


def _short(path: str, root: Path) -> str:
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def class_section(page: str, report: DataReport) -> None:
    """Shows how many pictures each class has, and those of one class by pages."""
    st.plotly_chart(
        class_bars(report.classes, report.has_split), key=f"{page}.bars", width="stretch"
    )
    names = [name for name, _, _ in report.classes]
    chosen = st.selectbox("Pictures of", names, key=f"{page}.class")
    try:
        found = find_images(Path(report.folder))
    except DataError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if chosen not in found.classes:
        st.info("This class is gone from the folder; look again.", icon=":material/refresh:")
        return
    place = found.classes.index(chosen)
    paths = [*found.train[place], *(found.val[place] if found.val else ())]
    num_pages = max(1, -(-len(paths) // PAGE_OF_PICTURES))
    number = 1
    if num_pages > 1:
        number = st.number_input(
            f"Page of {num_pages:,}", 1, num_pages, key=f"{page}.page.{chosen}"
        )
    start = PAGE_OF_PICTURES * (int(number) - 1)
    with st.container(horizontal=True, gap="small"):
        for path in paths[start : start + PAGE_OF_PICTURES]:
            picture = thumbnail(str(path))
            if picture is not None:
                st.image(picture, width=WIDTH)
