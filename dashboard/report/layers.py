"""How far each stage moved from its first weights, and how much else it sees."""

from dashboard.layers_charts import Layered, Measure, stages_figure
from dashboard.report.blocks import Chart, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.words import colour_of, label_of
from engine.insight.layers import layer_history

TITLES: dict[Measure, str] = {
    "drift": "How far the weights of each stage moved",
    "change": "How much else each stage sees",
}
EXPLAINED = (
    "Rows are stages, columns epochs. First: how far a stage's weights are from those that the run "
    "began with, as a share of their length. Then: how unlike what it makes of validation images "
    "is to what it made of them at first (1 - CKA). Blue is unchanged to the last bit."
)


def layers_section(comparison: Comparison) -> Section | None:
    """Returns maps of stages and epochs, of the runs that measured them."""
    runs = [
        Layered(label_of(one.run), colour_of(one.run), history)
        for one in comparison.reports[: comparison.detail.matrices]
        if (history := layer_history(one)) is not None
    ]
    if not runs:
        return None
    charts = [
        Chart(title, stages_figure(runs, measure), title, _table(title, runs, measure))
        for measure, title in TITLES.items()
    ]
    return Section("Layers", [Words(EXPLAINED, "note"), *charts])


def _table(title: str, runs: list[Layered], measure: Measure) -> Table:
    """Returns where each stage came to in a run's last epoch."""
    rows = tuple(
        (one.label, stage.label, "–" if value is None else f"{value:.3g}")
        for one in runs
        for stage in one.history.stages
        for value in [(stage.drift if measure == "drift" else stage.change)[-1]]
    )
    return Table(f"{title}, last epoch", ("run", "stage", ""), rows, frozenset({2}))
