"""What the runs came to, epoch by epoch and step by step."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.charts import Against, Curve, accuracy_figure, letter_by_letter, loss_figure
from dashboard.report.blocks import Block, Chart, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.words import colour_of, label_of
from engine.insight.compare import RunReport
from engine.insight.thinning import kept_places
from engine.runs.store import Store

# Rows of a table that stands for a chart.
ROWS = 12
PAGE = 5000
FIGURES = {"accuracy": accuracy_figure, "loss": loss_figure}


def curves_section(comparison: Comparison) -> Section | None:
    """Returns accuracy and loss against epochs and seconds, and the loss of each step."""
    drawn = [one for one in comparison.reports if one.epochs]
    if not drawn:
        return None
    curves = [Curve(label_of(one.run), colour_of(one.run), one.epochs, one.acts) for one in drawn]
    blocks: list[Block] = [Words("Solid: validation. Dotted: training.", "note")]
    blocks += [
        _chart(curves, drawn, metric, against)
        for metric in FIGURES
        for against in ("epochs", "seconds")
    ]
    if (steps := _steps_chart(comparison, drawn)) is not None:
        blocks.append(steps)
    blocks.append(
        Words(
            f"Lines of more than {comparison.detail.points:,} points are thinned: each span of "
            "points to its least and its greatest value, so that no peak is lost.",
            "note",
        )
    )
    return Section("Curves", blocks)


def _chart(
    curves: Sequence[Curve], drawn: Sequence[RunReport], metric: str, against: Against
) -> Chart:
    names = ", ".join(curve.label for curve in curves)
    return Chart(
        title=f"{metric.capitalize()} against {against}",
        figure=FIGURES[metric](curves, against),
        alt=f"{metric.capitalize()} against {against}, validation solid and training dotted, of "
        f"{names}",
        table=_table(drawn, metric) if against == "epochs" else None,
    )


def _table(drawn: Sequence[RunReport], metric: str) -> Table:
    """Returns the validation values of some epochs: the first, the last, and between."""
    most = max(len(one.epochs) for one in drawn)
    places = sorted({round(i * (most - 1) / max(1, ROWS - 1)) for i in range(ROWS)})
    rows = tuple(
        (str(place + 1), *(_value(one, place, metric) for one in drawn)) for place in places
    )
    columns = ("epoch", *(label_of(one.run) for one in drawn))
    title = f"Validation {metric} in {len(places)} of {most:,} epochs"
    return Table(title, columns, rows, frozenset(range(len(columns))))


def _value(one: RunReport, place: int, metric: str) -> str:
    if place >= len(one.epochs):
        return "–"
    value = float(one.epochs[place].values[f"val/{metric}"] or 0.0)
    return f"{100 * value:.1f} %" if metric == "accuracy" else f"{value:.3f}"


def _steps_chart(comparison: Comparison, drawn: Sequence[RunReport]) -> Chart | None:
    figure = go.Figure()
    for one in drawn:
        steps, losses = _step_losses(comparison.store, one.run.id)
        if not steps:
            continue
        kept = kept_places([losses], comparison.detail.points).tolist()
        figure.add_scatter(
            x=[steps[place] for place in kept],
            y=[losses[place] for place in kept],
            name=letter_by_letter(label_of(one.run)),
            mode="lines",
            line={"color": colour_of(one.run), "width": 1.4},
        )
    if not figure.data:
        return None
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=330,
        showlegend=True,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": "steps", "rangemode": "tozero", "automargin": True},
        yaxis={"title": "cross-entropy of the batch", "automargin": True},
    )
    names = ", ".join(label_of(one.run) for one in drawn)
    return Chart("Training loss of each step", figure, f"Training loss of each step, of {names}")


def _step_losses(store: Store, run_id: str) -> tuple[list[int], list[float]]:
    """Returns steps and their losses, read in pages: there may be a million events."""
    steps: list[int] = []
    losses: list[float] = []
    after = 0
    while page := store.events(run_id, after, PAGE):
        after = page[-1].seq
        for event in page:
            if event.kind == "step":
                loss = event.values.get("train/loss")
                steps.append(event.step)
                losses.append(np.nan if loss is None else float(loss))
    return steps, losses
