"""What accuracy cost, and what more images bring."""

from dashboard.cost_charts import cost_figure
from dashboard.learning_charts import learning_figure
from dashboard.report.blocks import Block, Chart, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.report.results import interval_of
from dashboard.words import colour_of, way_name
from engine.insight.cost import Front, cost_fronts
from engine.insight.learning_curve import LearningCurves, learning_curves


def costs_section(comparison: Comparison) -> Section | None:
    """Returns accuracy against seconds, trained parameters and memory, each with its front."""
    if len(comparison.ways) < 2:
        return None
    blocks: list[Block] = []
    for front in cost_fronts(comparison.ways, comparison.pairs):
        if len(front.points) < 2:
            continue
        title = f"Accuracy against {front.cost.label}"
        blocks.append(Words(front.sentence(way_name)))
        figure = cost_figure(front, lambda way: colour_of(way.reports[0].run), way_name)
        blocks.append(Chart(title, figure, f"{title}, a point a way", _table(title, front)))
    return Section("Cost", blocks) if blocks else None


def _table(title: str, front: Front) -> Table:
    rows = tuple(
        (
            way_name(point.way),
            interval_of(point.accuracy),
            f"{point.cost.value:,.4g}",
            "yes" if point.is_on_front else "no",
        )
        for point in front.points
    )
    cost = f"{front.cost.label} ({front.cost.unit})" if front.cost.unit else front.cost.label
    return Table(title, ("way of training", "accuracy", cost, "on the front"), rows, frozenset({2}))


def learning_section(comparison: Comparison) -> Section | None:
    """Returns accuracy against the number of training images, where runs had different numbers."""
    found = learning_curves(comparison.reports)
    if found.num_shares < 2:
        return None
    title = "Accuracy against training images"
    colours = [colour_of(curve.points[-1].way.reports[0].run) for curve in found.curves]
    blocks: list[Block] = [Words(sentence) for sentence in found.sentences]
    figure = learning_figure(found.curves, colours)
    blocks.append(Chart(title, figure, f"{title}, a line a way", _shares(title, found)))
    return Section("Learning curves", blocks)


def _shares(title: str, found: LearningCurves) -> Table:
    rows = tuple(
        (curve.label, f"{point.num_images:,}", interval_of(point.accuracy))
        for curve in found.curves
        for point in curve.points
    )
    return Table(title, ("way of training", "training images", "accuracy"), rows, frozenset({1}))
