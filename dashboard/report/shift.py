"""Runs on their validation images made worse, as far as that was judged before."""

from dashboard.report.blocks import Block, Chart, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.report.results import interval_of
from dashboard.shift_charts import Ends, ends_figure
from dashboard.words import colour_of, label_of
from engine.insight.shift import Shift, shift_of
from engine.insight.shift_verdicts import shift_verdict

TITLE = "Accuracy as they are, and mean of 25 corruptions"


def shift_section(comparison: Comparison) -> Section | None:
    """Returns accuracy in and out of distribution, and whether the order of the runs holds."""
    found = shift_of(comparison.reports)
    if found is None:
        return None
    blocks: list[Block] = [Words(shift_verdict(pair, other_folder=False)) for pair in found.pairs]
    ends = [
        Ends(label_of(one.report.run), colour_of(one.report.run), one.clean, one.shifted)
        for one in found.runs
    ]
    figure = ends_figure(ends, "as they are", "mean of 25 corruptions")
    blocks.append(Chart(TITLE, figure, f"{TITLE}, a line a run", _table(found)))
    blocks += [Words(note, "note") for note in found.notes]
    return Section("Under shift", blocks)


def _table(found: Shift) -> Table:
    rows = tuple(
        (label_of(one.report.run), interval_of(one.clean), interval_of(one.shifted))
        for one in found.runs
    )
    return Table(TITLE, ("run", "as they are", "mean of 25 corruptions"), rows)
