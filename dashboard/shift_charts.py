"""Figures of runs under shift: accuracy against severity, and images alike and unlike side by side.

Pure functions from results to figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from engine.insight.intervals import Estimate

# Intervals of more lines than these hide each other; the pointer still tells them.
MOST_INTERVALS = 3
MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}


@dataclass(frozen=True)
class Severities:
    """Accuracy of a run against how much worse its images were made.

    Attributes:
        label: of the run.
        colour: of its line.
        points: severity and accuracy; 0 is as they are.
    """

    label: str
    colour: str
    points: Sequence[tuple[int, Estimate]]


@dataclass(frozen=True)
class Ends:
    """Accuracy of a run on images as they are, and under shift."""

    label: str
    colour: str
    clean: Estimate
    shifted: Estimate


def severity_figure(lines: Sequence[Severities], lowest: float, highest: float) -> go.Figure:
    """Returns accuracy against severity under one corruption, a line a run.

    Args:
        lines: a run each.
        lowest: accuracy on the chart, the same on all that stand side by side.
        highest: likewise.
    """
    figure = go.Figure()
    for line in lines:
        estimates = [estimate for _, estimate in line.points]
        figure.add_scatter(
            x=[severity for severity, _ in line.points],
            y=[one.value for one in estimates],
            customdata=[[one.low, one.high] for one in estimates],
            error_y=_interval(estimates, line.colour, len(lines) <= MOST_INTERVALS),
            name=letter_by_letter(line.label),
            mode="lines+markers",
            line={"color": line.colour, "width": 2.4},
            marker={"size": 6},
            hovertemplate="severity %{x}: %{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})",
        )
    figure.update_layout(
        margin=MARGIN,
        height=230,
        showlegend=False,
        xaxis={
            "title": "severity (0: as they are)",
            "tickvals": [0, 1, 2, 3, 4, 5],
            "range": [-0.3, 5.3],
            "automargin": True,
        },
        yaxis={
            "title": "share of images right",
            "tickformat": ".1~%",
            "range": [lowest, highest],
            "automargin": True,
        },
    )
    return figure


def accuracy_range(lines: Sequence[Severities]) -> tuple[float, float]:
    """Returns the lowest and highest accuracy of charts that stand side by side."""
    with_intervals = len({line.label for line in lines}) <= MOST_INTERVALS
    estimates = [estimate for line in lines for _, estimate in line.points]
    lowest = min(one.low if with_intervals else one.value for one in estimates)
    highest = max(one.high if with_intervals else one.value for one in estimates)
    return max(0.0, lowest - 0.04), min(1.0, highest + 0.04)


def ends_figure(runs: Sequence[Ends], clean: str, shifted: str) -> go.Figure:
    """Returns a line a run from its accuracy on images as they are to that under shift.

    Args:
        runs: from the top.
        clean: what images as they are are called.
        shifted: what the others are called.
    """
    figure = go.Figure()
    # Numbers tell namesakes apart; the axis has their names.
    for place, run in enumerate(runs):
        figure.add_scatter(
            x=[run.clean.value, run.shifted.value],
            y=[place, place],
            mode="lines",
            line={"color": run.colour, "width": 2.4},
            opacity=0.5,
            showlegend=False,
            hoverinfo="skip",
        )
    for name, symbol, shift in ((clean, "circle", -0.1), (shifted, "diamond-open", 0.1)):
        found = [run.clean if symbol == "circle" else run.shifted for run in runs]
        for place, (run, one) in enumerate(zip(runs, found, strict=True)):
            figure.add_scatter(
                x=[one.value],
                y=[place + shift],
                customdata=[[one.low, one.high]],
                error_x=_interval([one], run.colour, shown=True),
                name=letter_by_letter(name),
                legendgroup=name,
                showlegend=False,
                mode="markers",
                marker={"color": run.colour, "size": 11, "symbol": symbol, "line": {"width": 2}},
                hovertemplate=f"{letter_by_letter(run.label)}, {letter_by_letter(name)}: "
                "%{x:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})<extra></extra>",
            )
        figure.add_scatter(
            x=[None],
            y=[None],
            name=letter_by_letter(name),
            mode="markers",
            marker={"color": "#8894a3", "size": 10, "symbol": symbol, "line": {"width": 2}},
        )
    figure.update_layout(
        margin=MARGIN,
        height=120 + 52 * len(runs),
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": "share of images right", "tickformat": ".1~%", "automargin": True},
        yaxis={
            "title": "run",
            "tickvals": list(range(len(runs))),
            "ticktext": [letter_by_letter(run.label) for run in runs],
            "range": [len(runs) - 0.5, -0.5],
            "automargin": True,
        },
    )
    return figure


def _interval(estimates: Sequence[Estimate], colour: str, shown: bool) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.high - one.value for one in estimates],
        "arrayminus": [one.value - one.low for one in estimates],
        "color": colour,
        "thickness": 1,
        "width": 3,
        "visible": shown,
    }
