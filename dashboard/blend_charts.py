"""The curve between the weights before and after fine-tuning, as a pure function."""

import plotly.graph_objects as go

from engine.training.curves import InterpolationCurve

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ENDS = {0.0: "<br>before", 1.0: "<br>after"}


def interpolation_figure(curve: InterpolationCurve, chosen: float, colour: str) -> go.Figure:
    """Returns accuracy against alpha, with the chosen alpha marked.

    Args:
        curve: what was measured.
        chosen: an alpha; the nearest measured one is marked.
        colour: of the run.
    """
    alphas, accuracies = zip(*curve.points, strict=True)
    at, accuracy = curve.nearest(chosen)
    hover = "α = %{x:.3~g}: %{y:.1%} right<extra></extra>"
    figure = go.Figure()
    figure.add_scatter(
        x=alphas,
        y=accuracies,
        name="measured",
        mode="lines+markers",
        line={"color": colour, "width": 2.6},
        marker={"size": 6},
        hovertemplate=hover,
    )
    figure.add_scatter(
        x=[at],
        y=[accuracy],
        name="chosen",
        mode="markers",
        marker={"size": 16, "color": colour, "symbol": "diamond", "line": {"width": 2}},
        hovertemplate=hover,
    )
    figure.add_vline(x=at, line={"color": colour, "width": 1, "dash": "dot"})
    figure.update_layout(
        showlegend=False,
        height=330,
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        xaxis={
            "title": "α: share of the fine-tuned weights",
            "range": [-0.04, 1.04],
            "tickvals": TICKS,
            "ticktext": [f"{tick:g}{ENDS.get(tick, '')}" for tick in TICKS],
            "automargin": True,
        },
        yaxis={
            "title": "share of validation images right",
            "tickformat": ".1~%",
            "automargin": True,
        },
    )
    return figure
