"""A rule of adoption held against what was measured, as a pure function to a figure."""

import plotly.graph_objects as go

from dashboard.palette import COLD, WARM
from engine.update.gate import Judgement, Measured

HOLDS, FAILS = COLD[4], WARM[3]
# Room beside what is drawn: a share of its width, and the least (points).
ROOM, LEAST_ROOM = 0.12, 2.0


def judgement_figure(judgement: Judgement) -> go.Figure:
    """Returns the change on old and on new images with intervals, and what each may not be below.

    A part of the rule holds where its interval lies wholly to the right of its mark.
    """
    figure = go.Figure()
    parts = (("old images", judgement.old), ("new images", judgement.new))
    for place, (name, part) in enumerate(parts):
        if part.change is not None:
            _interval(figure, place, name, part)
        _mark(figure, place, part)
    low, high = _span(judgement)
    figure.add_vline(x=0, line={"width": 1, "color": "rgba(128,128,128,0.6)"})
    figure.update_xaxes(
        title="change in accuracy (points)", range=[low, high], automargin=True, zeroline=False
    )
    figure.update_yaxes(
        tickvals=[0, 1], ticktext=[name for name, _ in parts], range=[1.6, -0.6], showgrid=False
    )
    figure.update_layout(
        height=190,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        dragmode=False,
        yaxis={"automargin": True, "zeroline": False},
    )
    return figure


def _interval(figure: go.Figure, place: int, name: str, part: Measured) -> None:
    change = part.change
    assert change is not None
    value, low, high = (100 * one for one in (change.value, change.low, change.high))
    colour = HOLDS if part.holds else FAILS
    figure.add_scatter(
        x=[value],
        y=[place],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - value],
            "arrayminus": [value - low],
            "thickness": 4,
            "width": 9,
            "color": colour,
        },
        mode="markers",
        marker={"size": 14, "color": colour, "symbol": "circle" if part.holds else "x"},
        text=[f"{name}: {value:+.1f} points ({low:+.1f} to {high:+.1f})"],
        hovertemplate="%{text}<extra></extra>",
    )


def _mark(figure: go.Figure, place: int, part: Measured) -> None:
    """Draws what the change has to be at least, and shades what is too low."""
    least = 100 * part.least
    figure.add_shape(
        type="rect",
        x0=-100,
        x1=least,
        y0=place - 0.38,
        y1=place + 0.38,
        fillcolor=FAILS,
        opacity=0.10,
        line_width=0,
        layer="below",
    )
    figure.add_scatter(
        x=[least, least],
        y=[place - 0.38, place + 0.38],
        mode="lines",
        line={"color": FAILS, "width": 2, "dash": "dot"},
        text=[f"at least {least:+.1f} points are asked for"] * 2,
        hovertemplate="%{text}<extra></extra>",
    )


def _span(judgement: Judgement) -> tuple[float, float]:
    ends = [0.0]
    for part in (judgement.old, judgement.new):
        ends.append(100 * part.least)
        if part.change is not None:
            ends += [100 * part.change.low, 100 * part.change.high]
    room = max(LEAST_ROOM, ROOM * (max(ends) - min(ends)))
    return min(ends) - room, max(ends) + room
