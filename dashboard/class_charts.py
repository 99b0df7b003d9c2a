"""How well each class is known, and how far confidence can be believed, as pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from engine.insight.calibration import Reliability
from engine.insight.classes import ClassScore

Measure = Literal["recall", "precision", "F1"]
MEASURES: dict[Measure, str] = {
    "recall": "share of the class that is named so",
    "precision": "share of what is named so that is of the class",
    "F1": "harmonic mean of precision and recall",
}
ROW = 21
GREY = "#8a94a3"


@dataclass(frozen=True)
class ScoredRun:
    """A run's scores, ready to be drawn.

    Attributes:
        label: what the legend says.
        colour: of its bars.
        scores: by class.
    """

    label: str
    colour: str
    scores: dict[str, ClassScore]


def class_figure(runs: Sequence[ScoredRun], classes: Sequence[str], measure: Measure) -> go.Figure:
    """Returns bars of a measure, class by class from the top, with 95 % intervals where there are.

    Args:
        runs: one or more.
        classes: those that are shown, in order.
        measure: what the bars are as long as.
    """
    figure = go.Figure()
    shown = [letter_by_letter(name) for name in classes]
    for one in runs:
        scores = [one.scores.get(name) for name in classes]
        values = [_value(score, measure) for score in scores]
        figure.add_bar(
            y=shown,
            x=values,
            name=letter_by_letter(one.label),
            orientation="h",
            marker={"color": one.colour},
            error_x=_intervals(scores, measure),
            customdata=[_told(score, measure) for score in scores],
            hovertemplate="%{y}: %{customdata}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        barmode="group",
        bargap=0.3,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=130 + ROW * len(classes) * max(1, len(runs)),
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "traceorder": "normal"},
        xaxis={"title": f"{measure}: {MEASURES[measure]}", "range": [0, 1.02], "tickformat": ".0%"},
        yaxis={"title": "class", "autorange": "reversed", "automargin": True, "type": "category"},
    )
    figure.update_xaxes(automargin=True)
    return figure


def _value(score: ClassScore | None, measure: Measure) -> float | None:
    if score is None:
        return None
    if measure == "F1":
        return score.f1
    estimate = score.recall if measure == "recall" else score.precision
    return None if estimate is None else estimate.value


def _intervals(scores: Sequence[ClassScore | None], measure: Measure) -> dict[str, Any] | None:
    """Returns how far the intervals reach to both sides; F1 is no share, and has none."""
    if measure == "F1":
        return None
    estimates = [
        None if one is None else one.recall if measure == "recall" else one.precision
        for one in scores
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [0.0 if one is None else one.high - one.value for one in estimates],
        "arrayminus": [0.0 if one is None else one.value - one.low for one in estimates],
        "color": GREY,
        "thickness": 1.2,
        "width": 3,
    }


def _told(score: ClassScore | None, measure: Measure) -> str:
    if score is None:
        return "not a class of this run"
    if measure == "F1":
        if score.f1 is None:
            return "no image of it, and none was named so"
        return f"F1 {score.f1:.1%} ({score.num_images:,} images, {score.num_named:,} named)"
    whole = score.num_images if measure == "recall" else score.num_named
    estimate = score.recall if measure == "recall" else score.precision
    if estimate is None:
        return "no image of it" if measure == "recall" else "none was named so"
    interval = f"{estimate.low:.0%} to {estimate.high:.0%}"
    return f"{score.num_right:,} of {whole:,}: {estimate.value:.1%} ({interval})"


@dataclass(frozen=True)
class ReliableRun:
    """A run's reliability, ready to be drawn."""

    label: str
    colour: str
    found: Reliability


def reliability_figure(runs: Sequence[ReliableRun]) -> go.Figure:
    """Returns accuracy against confidence, and below it how many images there are of each.

    A point on the diagonal is right as often as it says; below it the model is too sure of itself.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": GREY, "width": 1.4, "dash": "dash"},
        name="as sure as right",
        hoverinfo="skip",
    )
    for one in runs:
        label = f"{letter_by_letter(one.label)}, ECE {100 * one.found.error:.1f} %"
        counts = one.found.counts_B.tolist()
        figure.add_scatter(
            x=one.found.confidence_B,
            y=one.found.accuracy_B,
            customdata=counts,
            name=label,
            legendgroup=one.label,
            mode="lines+markers",
            line={"color": one.colour, "width": 2.2},
            marker={"size": [_dot(count, sum(counts)) for count in counts]},
            hovertemplate="sure of %{x:.0%}, right in %{y:.0%} of %{customdata:,} images"
            "<extra>%{fullData.name}</extra>",
        )
        figure.add_bar(
            x=one.found.confidence_B,
            y=counts,
            legendgroup=one.label,
            showlegend=False,
            name=label,
            marker={"color": one.colour, "opacity": 0.65},
            width=0.028,
            hovertemplate="%{y:,} images<extra>%{fullData.name}</extra>",
            yaxis="y2",
        )
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=470,
        barmode="overlay",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={
            "title": "confidence in what was named",
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
            "automargin": True,
            "anchor": "y2",
        },
        yaxis={
            "title": "share right",
            "range": [-0.02, 1.04],
            "tickformat": ".0%",
            "automargin": True,
            "domain": [0.32, 1.0],
        },
        yaxis2={"title": "images", "automargin": True, "domain": [0.0, 0.24]},
    )
    return figure


def _dot(count: int, total: int) -> float:
    """Returns the size of a point in px: one of few images is small, and tells little."""
    return float(5.0 + 14.0 * (count / total) ** 0.5)
