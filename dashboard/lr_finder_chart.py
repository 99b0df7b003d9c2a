"""The loss against the learning rate, as a pure function."""

import math
from collections.abc import Sequence
from statistics import median

import plotly.graph_objects as go

from dashboard.palette import COLD, WARM
from engine.training.range_test import RangeTest, written

COLOURS = {"head": COLD[0], "backbone": WARM[0]}
# What blows up at the end is cut off at so many times the loss of the beginning.
HEADROOM = 1.4
# Every other power of ten, written as in the sentences below: they fit a phone side by side.
TICKS = (1e-6, 1e-4, 1e-2, 1.0)


def range_figure(tests: Sequence[RangeTest]) -> go.Figure:
    """Returns each test's batches (faint), its smoothed loss, and what it suggests.

    Args:
        tests: with a curve each; those without are left out.
    """
    drawn = [test for test in tests if test.rates]
    figure = go.Figure()
    for test in drawn:
        _add_curve(figure, test)
        if test.suggestion is not None:
            _add_suggestion(figure, test, test.suggestion)
    figure.update_layout(
        height=320,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={
            "title": "learning rate (per step)",
            "type": "log",
            "range": _rate_range(drawn),
            "tickvals": TICKS,
            "ticktext": [written(tick) for tick in TICKS],
            "minor": {"dtick": 1, "ticks": "outside"},
            "automargin": True,
        },
        yaxis={
            "title": "training loss (cross-entropy)",
            "range": _loss_range(drawn),
            "automargin": True,
        },
    )
    return figure


def _add_curve(figure: go.Figure, test: RangeTest) -> None:
    colour = COLOURS[test.group]
    shared = {
        "x": test.rates,
        "legendgroup": test.group,
        "hovertemplate": "%{x:.1e}: %{y:.3f}<extra>%{fullData.name}</extra>",
    }
    figure.add_scatter(
        **shared,
        y=test.losses,
        name=f"{test.group}, each batch",
        showlegend=False,
        mode="markers",
        marker={"color": colour, "size": 4},
        opacity=0.5,
    )
    figure.add_scatter(
        **shared,
        y=test.smoothed,
        name=test.group,
        mode="lines",
        line={"color": colour, "width": 2.6},
    )


def _add_suggestion(figure: go.Figure, test: RangeTest, suggestion: float) -> None:
    """Marks a rate on the smoothed line; the texts of two that are close do not meet."""
    colour = COLOURS[test.group]
    nearest = min(range(len(test.rates)), key=lambda i: abs(test.rates[i] - suggestion))
    figure.add_scatter(
        x=[suggestion],
        y=[test.smoothed[nearest]],
        name=f"{test.group}, suggested",
        legendgroup=test.group,
        showlegend=False,
        mode="markers",
        marker={"size": 13, "color": colour, "symbol": "diamond", "line": {"width": 2}},
        hovertemplate="%{x:.1e} suggested<extra></extra>",
    )
    figure.add_vline(x=suggestion, line={"color": colour, "width": 1, "dash": "dot"})
    is_head = test.group == "head"
    # An annotation's place on a logarithmic axis is the logarithm.
    figure.add_annotation(
        x=math.log10(suggestion),
        y=1.0 if is_head else 0.0,
        yref="paper",
        text=f"{written(suggestion)} {test.group}",
        showarrow=False,
        xanchor="left" if is_head else "right",
        yanchor="top" if is_head else "bottom",
        xshift=4 if is_head else -4,
    )


def _rate_range(tests: Sequence[RangeTest]) -> list[float] | None:
    """Returns the powers of ten at which the axis begins and ends."""
    if not tests:
        return None
    low = min(test.rates[0] for test in tests)
    high = max(test.rates[-1] for test in tests)
    return [math.log10(low) - 0.15, math.log10(high) + 0.15]


def _loss_range(tests: Sequence[RangeTest]) -> list[float] | None:
    if not tests:
        return None
    starts = [median(test.losses[: max(len(test.losses) // 5, 1)]) for test in tests]
    return [0.0, HEADROOM * max(starts)]
