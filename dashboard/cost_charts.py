"""Accuracy against what it costs, with the Pareto front, as pure functions from fronts."""

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from engine.insight.cost import CostPoint, Front
from engine.insight.experiment import Way

GREY = "#9aa7b8"
NUMBERS = {"seconds": ",.1f", "parameters": ",.0f", "memory": ",.0f"}
# Costs that lie further apart than this are drawn by magnitude.
SPAN = 20.0


def cost_figure(
    front: Front, colour: Callable[[Way], str], name: Callable[[Way], str] = lambda way: way.label
) -> go.Figure:
    """Returns accuracy against a cost: a point a way with its 95 % intervals, and the front.

    Ways on the front are filled and joined by steps: what can be had for as much at most. Those
    that are beaten are hollow.

    Args:
        front: with at least one point.
        colour: gives the colour of a way.
        name: gives what it is called.
    """
    figure = go.Figure()
    on_front = front.on_front
    figure.add_scatter(
        x=[point.cost.value for point in on_front],
        y=[point.accuracy.value for point in on_front],
        mode="lines",
        line={"color": GREY, "width": 1.5, "dash": "dash", "shape": "hv"},
        name="Pareto front",
        hoverinfo="skip",
        showlegend=len(on_front) > 1,
    )
    for point in front.points:
        _add(figure, front, point, colour(point.way), letter_by_letter(name(point.way)))
    _lay_out(figure, front)
    return figure


def _add(figure: go.Figure, front: Front, point: CostPoint, colour: str, name: str) -> None:
    number = NUMBERS[front.cost.name]
    beaten = "" if point.is_on_front else "<br>beaten: another is no worse in either"
    figure.add_scatter(
        x=[point.cost.value],
        y=[point.accuracy.value],
        error_x=_bars(point.cost.value, point.cost.low, point.cost.high, colour),
        error_y=_bars(point.accuracy.value, point.accuracy.low, point.accuracy.high, colour),
        mode="markers",
        name=name,
        marker={
            "color": colour,
            "size": 13,
            "symbol": "circle" if point.is_on_front else "circle-open",
            "line": {"width": 0 if point.is_on_front else 2.5},
        },
        hovertemplate=f"{name}<br>%{{y:.1%}} right for %{{x:{number}}} {front.cost.unit}{beaten}"
        "<extra></extra>",
    )


def _bars(value: float, low: float, high: float, colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value],
        # A cost is never less than nothing, and no axis by magnitude shows that.
        "arrayminus": [value - max(low, 0.0)],
        "color": colour,
        "thickness": 1.4,
        "width": 4,
        "visible": high > low,
    }


def _lay_out(figure: go.Figure, front: Front) -> None:
    figure.update_layout(
        height=360,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        xaxis=_x_axis(front),
        yaxis={"title": "share of images right", "automargin": True, "tickformat": ".1~%"},
    )


def _x_axis(front: Front) -> Mapping[str, Any]:
    costs = [point.cost.value for point in front.points]
    title = (
        f"{front.cost.label} ({front.cost.unit})"
        if front.cost.name != "parameters"
        else ("parameters trained")
    )
    axis: dict[str, Any] = {"title": title, "automargin": True}
    if min(costs) > 0 and max(costs) > SPAN * min(costs):
        return axis | {"type": "log", "title": f"{title}, by magnitude", "dtick": 1}
    return axis | {"rangemode": "tozero"}
