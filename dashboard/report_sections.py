"""A report on a data set: its numbers, what was found, and its pictures by class."""

from pathlib import Path

import streamlit as st

from dashboard.data_summary import thumbnail
from dashboard.remedy_section import finding_remedies, group_remedies, picture_remedies
from dashboard.report_charts import class_bars
from dashboard.runs import plain
from dashboard.show import show_chart
from engine.data.findings import Finding, Picture
from engine.data.report import DataReport

# So many pictures are looked at without asking; that takes seconds.
UNASKED = 2000
ICONS = {
    "fault": ":material/error:",
    "doubt": ":material/help:",
    "note": ":material/info:",
}
WORDS = {"fault": "wrong", "doubt": "doubtful", "note": "good to know"}
GROUPS_SHOWN = 12
IN_A_GROUP = 6
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


def finding_section(page: str, finding: Finding, root: Path, number: int) -> None:
    """Shows one finding; its pictures and what can be done about them once it is opened."""
    icon, word = ICONS[finding.severity], WORDS[finding.severity]
    if not finding.groups:
        st.markdown(f"{icon} **{word}** · {plain(finding.sentence)}")
        return
    key = f"finding.{finding.kind}.{number}"
    expander = st.expander(
        f"**{word}** · {plain(finding.sentence)}",
        icon=icon,
        key=f"{page}.{key}",
        on_change="rerun",
    )
    if not expander.open:
        return
    with expander:
        finding_remedies(page, finding, root, key)
        for place, group in enumerate(finding.groups[:GROUPS_SHOWN]):
            _group(group, root)
            group_remedies(page, finding, group, root, f"{key}.{place}")
        if len(finding.groups) > GROUPS_SHOWN:
            more = len(finding.groups) - GROUPS_SHOWN
            st.caption(f"And {more:,} more; `thaw inspect` with `--json` lists all.")


def _group(group: tuple[Picture, ...], root: Path) -> None:
    pictures = [thumbnail(one.path) for one in group[:IN_A_GROUP]]
    if any(pictures):
        with st.container(horizontal=True, gap="small"):
            for picture in pictures:
                if picture is not None:
                    st.image(picture, width=WIDTH)
    paths = " = ".join(plain(_short(one.path, root)) for one in group[:IN_A_GROUP])
    rest = f" and {len(group) - IN_A_GROUP:,} more" if len(group) > IN_A_GROUP else ""
    st.caption(f"{paths}{rest}")


def _short(path: str, root: Path) -> str:
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def class_section(page: str, report: DataReport) -> None:
    """Shows how many pictures each class has, and those of one class by pages."""
    show_chart(
        class_bars(report.classes, report.has_split),
        key=f"{page}.bars",
        name=f"Pictures by class {report.fingerprint}",
        alt="Pictures by class, to train on and to validate on",
    )
    names = [name for name, _, _ in report.classes]
    chosen = st.selectbox("Pictures of", names, key=f"{page}.class")
    pictures = [one for one in report.pictures if one.label == chosen]
    num_pages = max(1, -(-len(pictures) // PAGE_OF_PICTURES))
    number = 1
    if num_pages > 1:
        number = st.number_input(
            f"Page of {num_pages:,}", 1, num_pages, key=f"{page}.page.{chosen}"
        )
    start = PAGE_OF_PICTURES * (int(number) - 1)
    shown = pictures[start : start + PAGE_OF_PICTURES]
    gone = 0
    with st.container(horizontal=True, gap="small"):
        for one in shown:
            picture = thumbnail(one.path)
            gone += picture is None
            if picture is not None:
                st.image(picture, caption=plain(_cut(Path(one.path).name)), width=WIDTH)
    if gone:
        st.caption(f"{gone} of them cannot be read any more; look again.")
    picture_remedies(page, shown, report, f"class.{chosen}.{number}")


def _cut(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:6]}…{name[-7:]}"
