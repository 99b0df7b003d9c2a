"""A report on the chosen runs as one file, made when it is asked for."""

from collections.abc import Sequence

import streamlit as st

from dashboard.report.build import MIME, Kind, MadeReport, make_report
from dashboard.roots import is_allowed
from dashboard.runs import plain, store
from engine.errors import ThawError
from engine.insight.compare import RunReport

WHAT_IS_IN_IT = """
- the question and the verdict, in plain words, with all that may be chance;
- results with intervals, curves, confusion matrices, every class by itself;
- the images that tell most, as small pictures, with how many are left out;
- cost, learning curves and layers; shift and embeddings where they were worked out here;
- what was set differently, every whole spec, versions, device, the fingerprint of the data;
- the commands, and a script, that train the runs anew and compare them again.
"""
LABELS: dict[Kind, str] = {"html": "Download report (HTML)", "md": "Download report (Markdown)"}
# Reports that are kept for whoever asks for the same again.
KEPT, KEPT_SECONDS = 4, 900
# What a person may change of a run without its events going on.
Key = tuple[tuple[str, int, str, str, str, tuple[str, ...]], ...]


def report_view(page: str, reports: Sequence[RunReport]) -> None:
    """Shows what a report holds, and makes it at a click.

    Args:
        page: prefix of the state keys.
        reports: the runs that it is about.
    """
    st.subheader("One file to keep or to send", anchor=False)
    st.markdown(
        "It works anywhere, with no network and no Thaw: HTML with charts that can be zoomed into, "
        "at most 8 MB (4.8 of which draw the charts), or Markdown with their numbers as tables. "
        f"In it:\n{WHAT_IS_IN_IT}"
    )
    with_pictures = st.toggle(
        "Small pictures in it",
        True,
        key=f"{page}.report.pictures",
        help="Thumbnails of 112 px of the images that tell most. Without them only their names and "
        "classes go into the file, below the folder of the data.",
    )
    asked = (_key(reports), with_pictures)
    made_key = f"{page}.report.made"
    if st.session_state.get(made_key) == asked:
        _downloads(page, asked)
    elif st.button(
        "Make the report",
        type="primary",
        icon=":material/summarize:",
        key=f"{page}.report.make",
        help="Takes some seconds; it is made of what is known of the runs now.",
    ):
        st.session_state[made_key] = asked
        st.rerun()
    st.caption("The same on the command line:")
    st.code(f"thaw report {' '.join(one.run.id for one in reports)}", language="sh")


def _key(reports: Sequence[RunReport]) -> Key:
    """Returns what changes when a report would."""
    runs = [one.run for one in reports]
    return tuple(
        (run.id, run.last_seq, run.status, run.name, run.note, tuple(run.tags)) for run in runs
    )


def _downloads(page: str, asked: tuple[Key, bool]) -> None:
    try:
        made = [_made(*asked, kind) for kind in LABELS]
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    with st.container(horizontal=True):
        for one in made:
            st.download_button(
                f"{LABELS[one.kind]} · {_size(one.num_bytes)}",
                one.text,
                file_name=one.file_name,
                mime=MIME[one.kind],
                icon=":material/download:",
                on_click="ignore",
                key=f"{page}.report.{one.kind}",
            )
    st.caption(_told(made[0]))


@st.cache_data(ttl=KEPT_SECONDS, max_entries=KEPT, show_spinner="Writing the report…")
def _made(key: Key, with_pictures: bool, kind: Kind) -> MadeReport:
    """Returns the report on runs as they were when the key was made, or later.

    Raises:
        ThawError: a run is gone, or the report would be too large.
    """
    runs = [store().run(run_id) for run_id, *_ in key]
    return make_report(store(), runs, kind, is_allowed if with_pictures else None)


def _told(made: MadeReport) -> str:
    pictures = f"{made.num_pictures} picture{'s' if made.num_pictures != 1 else ''}"
    return (
        f"The HTML holds {pictures} and lines of up to {made.detail.points:,} points. Its charts "
        "can be downloaded from it as PNG and SVG."
    )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{max(1, num_bytes // 1000)} kB"
