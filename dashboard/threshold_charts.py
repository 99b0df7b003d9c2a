"""What each threshold gives where there are two classes, as pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.charts import letter_by_letter
from engine.insight.thresholds import Ranking

GREY = "#8a94a3"


@dataclass(frozen=True)
class RankedRun:
    """A run's probabilities of the class that counts as positive, ready to be drawn."""

    label: str
    colour: str
    ranking: Ranking


def precision_recall_figure(runs: Sequence[RankedRun], threshold: float) -> go.Figure:
    """Returns precision against recall, with what a threshold gives marked on each curve."""
    figure = go.Figure()
    for one in runs:
        curve = one.ranking.precision_recall()
        name = f"{letter_by_letter(one.label)}, AP {one.ranking.average_precision:.3f}"
        # As steps: between two thresholds there is none, so nothing lies on a line.
        # Of thresholds that find as much, that with fewest false alarms is on the edge.
        edge = np.append(True, np.diff(curve.x_T) > 0.0)
        xs, ys, thresholds = curve.x_T[edge], curve.y_T[edge], curve.thresholds_T[edge]
        _line(figure, one, name, xs, ys, thresholds, shape="vh")
        verdict = one.ranking.at(threshold)
        if verdict.precision is not None and verdict.recall is not None:
            _mark(figure, one, threshold, verdict.recall.value, verdict.precision.value)
    if runs:
        share = runs[0].ranking.share_of_positive
        figure.add_hline(y=share, line={"color": GREY, "width": 1.4, "dash": "dash"})
    return _laid_out(figure, "recall: share of the class that is found", "precision")


def roc_figure(runs: Sequence[RankedRun], threshold: float) -> go.Figure:
    """Returns what is found against false alarms, with what a threshold gives marked."""
    figure = go.Figure()
    for one in runs:
        curve = one.ranking.roc()
        name = f"{letter_by_letter(one.label)}, AUC {one.ranking.roc_auc:.3f}"
        _line(figure, one, name, curve.x_T, curve.y_T, curve.thresholds_T, shape="linear")
        verdict = one.ranking.at(threshold)
        negatives = verdict.false_positives + verdict.true_negatives
        if verdict.recall is not None:
            alarms = verdict.false_positives / negatives
            _mark(figure, one, threshold, alarms, verdict.recall.value)
    chance = {"color": GREY, "width": 1.4, "dash": "dash"}
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line=chance, name="chance", hoverinfo="skip"
    )
    return _laid_out(figure, "false alarms: share of the other class", "share found")


def _line(
    figure: go.Figure,
    one: RankedRun,
    name: str,
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    shape: str,
) -> None:
    figure.add_scatter(
        x=xs,
        y=ys,
        customdata=["never" if np.isinf(t) else f"from {t:.1%}" for t in thresholds],
        name=name,
        legendgroup=one.label,
        mode="lines",
        line={"color": one.colour, "width": 2.4, "shape": shape},
        hovertemplate="%{x:.1%}, %{y:.1%}: named %{customdata}<extra>%{fullData.name}</extra>",
    )


def _mark(figure: go.Figure, one: RankedRun, threshold: float, x: float, y: float) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        name=f"{letter_by_letter(one.label)} at {threshold:.0%}",
        legendgroup=one.label,
        showlegend=False,
        mode="markers",
        marker={"size": 13, "symbol": "diamond", "color": one.colour, "line": {"width": 2}},
        hovertemplate="%{x:.1%}, %{y:.1%}<extra>%{fullData.name}</extra>",
    )


def _laid_out(figure: go.Figure, x_title: str, y_title: str) -> go.Figure:
    shares: dict[str, Any] = {"range": [-0.02, 1.03], "tickformat": ".0%", "automargin": True}
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=380,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": x_title} | shares,
        yaxis={"title": y_title} | shares,
    )
    return figure
