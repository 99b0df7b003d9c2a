"""The learning rates that a run is going to have, drawn before it starts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from engine.training.plan import RateCurve

# Between the rates of three quarters of every curve; the last quarter is where schedules run out
# to nothing, which would hide all else on a logarithmic axis.
LOG_FROM = 100.0
COUNTED_SHARE = 0.75
# A logarithmic axis shows no more than so many decades.
MOST_DECADES = 5
PLOT_PX, LEGEND_ROW_PX, LEGEND_COLUMNS = 240, 20, 3


@dataclass(frozen=True)
class Planned:
    """The planned rates of one run: what the legend says, its colour, its curve."""

    label: str
    colour: str
    curve: RateCurve


def schedule_figure(planned: Sequence[Planned]) -> go.Figure:
    """Returns the rates over the epochs: the head's solid, the backbone's dashed.

    The backbone's is that of the fastest stage that learns; where all are frozen there is none.
    """
    figure = go.Figure()
    for one in planned:
        figure.add_scatter(
            x=one.curve.epochs,
            y=one.curve.head,
            name=one.label,
            legendgroup=one.label,
            line={"color": one.colour, "width": 2},
            hovertemplate="%{y:.2e}",
        )
        if any(one.curve.backbone):
            figure.add_scatter(
                x=one.curve.epochs,
                y=one.curve.backbone,
                name=f"{one.label}, backbone",
                legendgroup=one.label,
                showlegend=False,
                line={"color": one.colour, "width": 4, "dash": "dash"},
                opacity=0.7,
                connectgaps=False,
                hovertemplate="%{y:.2e}",
            )
    figure.update_traces(mode="lines")
    figure.update_layout(
        height=PLOT_PX + LEGEND_ROW_PX * math.ceil(len(planned) / LEGEND_COLUMNS),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": "epochs", "rangemode": "tozero", "automargin": True},
        yaxis=_rate_axis([one.curve for one in planned]),
    )
    return figure


def _rate_axis(curves: Sequence[RateCurve]) -> dict[str, object]:
    axis = {"title": "learning rate (per step)", "automargin": True, "exponentformat": "power"}
    lines = [np.array([rate for rate in line if rate]) for line in _lines(curves)]
    lines = [line for line in lines if len(line)]
    top = max(float(line.max()) for line in lines)
    counted = min(float(np.quantile(line, 1 - COUNTED_SHARE)) for line in lines)
    if top / counted <= LOG_FROM:
        return {**axis, "rangemode": "tozero"}
    lowest = max(min(float(line.min()) for line in lines), top / 10**MOST_DECADES)
    return {**axis, "type": "log", "range": [np.log10(lowest) - 0.1, np.log10(top) + 0.1]}


def _lines(curves: Sequence[RateCurve]) -> list[Sequence[float | None]]:
    return [line for curve in curves for line in (curve.head, curve.backbone)]
