"""Accuracy against the number of training images, as a pure function from learning curves."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.charts import letter_by_letter
from engine.insight.learning_curve import LearningCurve


def learning_figure(curves: Sequence[LearningCurve], colours: Sequence[str]) -> go.Figure:
    """Returns a line a way of training, with the 95 % interval of each point.

    Args:
        curves: with the fewest images first.
        colours: of the curves.
    """
    figure = go.Figure()
    for curve, colour in zip(curves, colours, strict=True):
        name = letter_by_letter(curve.label)
        values = [point.accuracy for point in curve.points]
        figure.add_scatter(
            x=[point.num_images for point in curve.points],
            y=[one.value for one in values],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.value for one in values],
                "arrayminus": [one.value - one.low for one in values],
                "color": colour,
                "thickness": 1.4,
                "width": 4,
            },
            customdata=[
                (f"{100 * point.fraction:g} %", len(point.way.seeds), one.low, one.high)
                for point, one in zip(curve.points, values, strict=True)
            ],
            hovertemplate=f"{name}<br>%{{y:.1%}} right (%{{customdata[2]:.1%}} to "
            "%{customdata[3]:.1%})<br>with %{x:,} images (%{customdata[0]}), seeds: "
            "%{customdata[1]}<extra></extra>",
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2.6},
            marker={"size": 9},
        )
    sizes = sorted({point.num_images for curve in curves for point in curve.points})
    figure.update_layout(
        height=420,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        xaxis={
            "title": "training images, by magnitude",
            "type": "log",
            "automargin": True,
            "tickvals": sizes,
            "ticktext": [f"{size:,}" for size in sizes],
        },
        yaxis={"title": "share of images right", "automargin": True, "tickformat": ".1~%"},
    )
    return figure
