"""Mean curves over several runs with a band about them, as pure functions from reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboard.charts import MOST_MARKERS, Against, lay_out_curves, letter_by_letter
from engine.insight.bands import band
from engine.insight.compare import RunReport
from engine.insight.thinning import kept_places

BAND_OPACITY = 0.18


@dataclass(frozen=True)
class WayCurve:
    """A way of training, ready to be drawn.

    Attributes:
        label: what the legend says.
        colour: of its line.
        reports: its runs; each has an epoch.
    """

    label: str
    colour: str
    reports: Sequence[RunReport]


def band_figure(curves: Sequence[WayCurve], metric: str, against: Against) -> go.Figure:
    """Returns mean validation accuracy or loss of each way, with a band where it has several runs.

    Args:
        curves: the ways.
        metric: `accuracy` or `loss`.
        against: what x is.
    """
    figure = go.Figure()
    for curve in curves:
        _add(figure, curve, f"val/{metric}", against)
    lay_out_curves(
        figure, against, "share of images right" if metric == "accuracy" else "cross-entropy"
    )
    if metric == "accuracy":
        figure.update_yaxes(tickformat=".1~%")
    return figure


def _add(figure: go.Figure, curve: WayCurve, metric: str, against: Against) -> None:
    found = band(curve.reports, metric, against)
    if found is None:
        return
    kept = kept_places([found.mean, found.low, found.high])
    xs, mean, low, high = (line[kept] for line in (found.x, found.mean, found.low, found.high))
    name = letter_by_letter(curve.label)
    # As arrays, which are checked and sent in a tenth of the time that lists take.
    if found.num_runs > 1:
        figure.add_scatter(
            x=np.concatenate([xs, xs[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=_faint(curve.colour),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            legendgroup=curve.label,
            showlegend=False,
        )
    number = ":.1%" if metric.endswith("accuracy") else ":.3f"
    figure.add_scatter(
        x=xs,
        y=mean,
        customdata=np.stack([low, high], axis=1),
        hovertemplate=f"%{{y{number}}} (%{{customdata[0]{number}}} to "
        f"%{{customdata[1]{number}}})<extra>{name}</extra>",
        name=name,
        legendgroup=curve.label,
        mode="lines+markers" if len(kept) <= MOST_MARKERS else "lines",
        line={"color": curve.colour, "width": 2.6},
        marker={"size": 6},
    )


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{BAND_OPACITY})"
