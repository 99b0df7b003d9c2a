"""The curve between the weights before and after fine-tuning, as a pure function."""

import plotly.graph_objects as go

from engine.training.curves import InterpolationCurve, Point

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
GREY = "#8a929c"
ENDS = {0.0: "<br>before", 1.0: "<br>after"}


def interpolation_figure(
    curve: InterpolationCurve, chosen: float, colour: str, before: float | None = None
) -> go.Figure:
    """Returns accuracy against alpha, with the chosen alpha marked.

    Of an update there is a line each for old images (solid), new ones (dotted) and all (thin).

    Args:
        curve: what was measured.
        chosen: an alpha; the nearest measured one is marked.
        colour: of the run.
        before: accuracy on old images of the model that was updated, drawn as a dashed line.
    """
    at, accuracy = curve.nearest(chosen)
    hover = "α = %{x:.3~g}: %{y:.1%} right<extra></extra>"
    figure = go.Figure()
    lines = _lines(curve)
    for name, points, width, dash in lines:
        alphas, accuracies = zip(*points, strict=True)
        figure.add_scatter(
            x=alphas,
            y=accuracies,
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": width, "dash": dash},
            marker={"size": 6 if width > 2 else 3},
            hovertemplate=hover if len(lines) == 1 else hover.replace("right", f"of {name} right"),
        )
    if before is not None:
        figure.add_hline(y=before, line={"color": GREY, "width": 1.6, "dash": "dash"})
    figure.add_scatter(
        x=[at],
        y=[accuracy],
        name="chosen",
        showlegend=False,
        mode="markers",
        marker={"size": 16, "color": colour, "symbol": "diamond", "line": {"width": 2}},
        hovertemplate=hover,
    )
    figure.add_vline(x=at, line={"color": colour, "width": 1, "dash": "dot"})
    figure.update_layout(
        showlegend=len(lines) > 1,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
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


def _lines(curve: InterpolationCurve) -> list[tuple[str, tuple[Point, ...], float, str]]:
    """Returns name, points, width and dash of each line."""
    parts = [
        ("old images", curve.old, 2.6, "solid"),
        ("new images", curve.new, 2.6, "dot"),
    ]
    known = [part for part in parts if part[1]]
    if not known:
        return [("measured", curve.points, 2.6, "solid")]
    return [*known, ("all images", curve.points, 1.3, "solid")]
