"""Makes a report on runs, as HTML or Markdown, and writes it to a file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dashboard.report.blocks import Pictures, Section
from dashboard.report.comparison import Allowed, Comparison, Detail
from dashboard.report.html import html_report
from dashboard.report.markdown import markdown_report
from dashboard.report.sections import sections_of
from dashboard.words import file_stem, names_of
from engine.errors import RunFileError
from engine.files import write_text
from engine.insight.compare import report
from engine.runs.plain import printable
from engine.runs.store import Run, Store

Kind = Literal["html", "md"]
MOST_BYTES = 8_000_000
# The first that fits is taken.
DETAILS = (Detail(1000, 12, 12), Detail(300, 6, 6), Detail(100, 0, 0))
MIME: dict[Kind, str] = {"html": "text/html", "md": "text/markdown"}


@dataclass(frozen=True)
class MadeReport:
    """A report, ready to be written or sent.

    Attributes:
        kind: what it is written as.
        text: all of it.
        file_name: a good name for it.
        num_pictures: that are shown in it.
        detail: how much went in.
    """

    kind: Kind
    text: str
    file_name: str
    num_pictures: int
    detail: Detail

    @property
    def num_bytes(self) -> int:
        """Its size as a file."""
        return len(self.text.encode())


def make_report(
    store: Store, runs: Sequence[Run], kind: Kind, may_show: Allowed | None
) -> MadeReport:
    """Returns a report on runs; of many or long runs it has less detail, so that it stays small.

    Args:
        store: has the runs.
        runs: one or more.
        kind: what it is written as.
        may_show: says of an image's path whether the image may go into the report; None for a
            report that only names them, as Markdown does.

    Raises:
        RunFileError: even with the least detail it is too large.
    """
    reports = tuple(report(store, run) for run in runs)
    title, now = title_of(runs), time.time()
    # Markdown names them: an address with a whole picture in it is shown by few.
    may_show = may_show if kind == "html" else None
    for detail in DETAILS:
        comparison = Comparison(store, reports, may_show, now, detail)
        sections = sections_of(comparison)
        made = MadeReport(
            kind,
            html_report(title, sections, detail.points)
            if kind == "html"
            else markdown_report(title, sections),
            report_file_name(runs, kind),
            _num_pictures(sections),
            detail,
        )
        if made.num_bytes < MOST_BYTES:
            return made
    raise RunFileError(
        f"A report on {len(runs)} runs would have more than {MOST_BYTES // 1_000_000} MB; name "
        "fewer runs."
    )


def _num_pictures(sections: Sequence[Section]) -> int:
    groups = [block for one in sections for block in one.blocks if isinstance(block, Pictures)]
    return sum(picture.source is not None for group in groups for picture in group.shown)


def write_report(made: MadeReport, file: Path) -> None:
    """Writes a report to a file, whole or not at all.

    Raises:
        RunFileError: the file cannot be written.
    """
    try:
        write_text(file, made.text)
    except OSError as error:
        raise RunFileError(
            f"The report cannot be written to {file} ({error.strerror or error}); check the folder "
            "and the room on the disk."
        ) from error


def title_of(runs: Sequence[Run]) -> str:
    """Returns what a report on runs is called: their names, or how many there are."""
    names = list(dict.fromkeys(" ".join(printable(run.name).split()) for run in runs))
    if len(names) <= 3:
        return " against ".join(names) if len(names) > 1 else names[0]
    return f"{len(runs)} runs compared"


def report_file_name(runs: Sequence[Run], kind: Kind) -> str:
    """Returns a name for a report's file that any system takes."""
    return f"{file_stem(f'report {names_of(runs)}')}.{kind}"
