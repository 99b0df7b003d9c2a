"""The figures of a depth frontier, as pure functions from its points."""

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.palette import COLD, PRIMARY_DARK, WARM
from engine.insight.chance import lowest_within_chance
from engine.insight.frontier import DepthPoint, Frontier

GREY = "#9aa7b8"
FROZEN, FULL, BETWEEN = COLD[0], WARM[0], PRIMARY_DARK
UNFINISHED_OPACITY = 0.45
# Above and below the points: a share of what they span, and the least, a fraction.
ROOM, LEAST_ROOM = 0.14, 0.01


def depth_accuracy_figure(found: Frontier) -> go.Figure:
    """Returns best validation accuracy against the number of stages that learn.

    The ends and the best depth are named, what is not finished yet is hollow, and a band shows
    which depths may be as good as the best, for all that the validation pictures tell.
    """
    shown = [point for point in found.points if point.accuracy is not None]
    figure = go.Figure()
    _add_band(figure, found)
    _add_seeds(figure, shown)
    done = [point for point in shown if point.is_done]
    figure.add_scatter(
        x=[point.depth for point in done],
        y=[point.accuracy for point in done],
        mode="lines",
        line={"color": GREY, "width": 1.5},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[point.depth for point in shown],
        y=[point.accuracy for point in shown],
        mode="markers+text",
        marker={
            "color": [colour_of(found, point) for point in shown],
            "symbol": ["circle" if point.is_done else "circle-open" for point in shown],
            "size": [15 if point is found.best else 11 for point in shown],
            "opacity": 1.0,
            "line": {"width": [0 if point.is_done else 2 for point in shown]},
        },
        text=[_name(found, point) for point in shown],
        textposition=_away_from_line([point.accuracy or 0.0 for point in shown]),
        customdata=[_hover(found, point) for point in shown],
        hovertemplate="%{customdata}<br>%{y:.1%} of the validation pictures right<extra></extra>",
        showlegend=False,
    )
    _lay_out(figure, found, "best val accuracy", 380)
    figure.update_yaxes(tickformat=".1~%", range=_range(found))
    figure.update_layout(margin={"t": 44})
    return figure


def depth_seconds_figure(found: Frontier) -> go.Figure:
    """Returns seconds that a run took against the number of stages that learn."""
    return _bars(found, lambda point: point.seconds, "seconds a run", "%{y:,.1f} s")


def depth_memory_figure(found: Frontier) -> go.Figure:
    """Returns the most memory that a run held against the number of stages that learn."""
    return _bars(found, lambda point: point.peak_memory_mib, "peak memory (MiB)", "%{y:,.0f} MiB")


def colour_of(found: Frontier, point: DepthPoint) -> str:
    """Returns the colour of a depth: cold at the frozen end, warm at the full one."""
    if point.depth == 0:
        return FROZEN
    return FULL if point.depth == found.num_stages else BETWEEN


def _range(found: Frontier) -> list[float] | None:
    """Returns the ends of the axis of accuracies: room for names above and below the points."""
    accuracies = [accuracy for point in found.points for accuracy in point.accuracies]
    if not accuracies:
        return None
    if (band := _band(found)) is not None:
        accuracies.append(band[0])
    room = max(LEAST_ROOM, ROOM * (max(accuracies) - min(accuracies)))
    return [min(accuracies) - room, max(accuracies) + room]


def _away_from_line(accuracies: Sequence[float]) -> list[str]:
    """Returns where the names of points are written: above those that their neighbours are below.

    Args:
        accuracies: of the points, from left to right.
    """
    around = [
        [*accuracies[max(place - 1, 0) : place], *accuracies[place + 1 : place + 2]]
        for place in range(len(accuracies))
    ]
    return [
        "bottom center" if others and sum(others) / len(others) > own else "top center"
        for own, others in zip(accuracies, around, strict=True)
    ]


def _band(found: Frontier) -> tuple[float, float] | None:
    """Returns the accuracies from the lowest that may be as good as the best up to the best.

    None while there are no two depths to tell apart.
    """
    best, num_val = found.best, found.num_val
    num_done = sum(point.is_done for point in found.points)
    if best is None or best.accuracy is None or num_val is None or num_done < 2:
        return None
    return lowest_within_chance(best.accuracy, num_val), best.accuracy


def _add_band(figure: go.Figure, found: Frontier) -> None:
    band = _band(found)
    if band is None:
        return
    figure.add_hrect(
        y0=band[0],
        y1=band[1],
        fillcolor=GREY,
        opacity=0.18,
        line_width=0,
        layer="below",
        name="within chance of the best",
        showlegend=True,
    )


def _add_seeds(figure: go.Figure, shown: list[DepthPoint]) -> None:
    several = [point for point in shown if len(point.accuracies) > 1]
    if not several:
        return
    figure.add_scatter(
        x=[point.depth for point in several for _ in point.accuracies],
        y=[accuracy for point in several for accuracy in point.accuracies],
        mode="markers",
        marker={"color": GREY, "size": 6},
        name="single seeds",
        hovertemplate="k = %{x}, one seed: %{y:.1%}<extra></extra>",
    )


def _bars(
    found: Frontier, value: Callable[[DepthPoint], float | None], title: str, number: str
) -> go.Figure:
    shown = [point for point in found.points if value(point) is not None]
    figure = go.Figure(
        go.Bar(
            x=[point.depth for point in shown],
            y=[value(point) for point in shown],
            marker={
                "color": [colour_of(found, point) for point in shown],
                "opacity": [1.0 if point.is_done else UNFINISHED_OPACITY for point in shown],
            },
            customdata=[_hover(found, point) for point in shown],
            hovertemplate=f"%{{customdata}}<br>{number}<extra></extra>",
        )
    )
    _lay_out(figure, found, title, 320)
    figure.update_layout(yaxis={"rangemode": "tozero"}, bargap=0.35)
    return figure


def _name(found: Frontier, point: DepthPoint) -> str:
    ends = {0: "frozen", found.num_stages: "full"}
    names = [ends.get(point.depth, ""), "best" if point is found.best else ""]
    return ", ".join(name for name in names if name)


def _hover(found: Frontier, point: DepthPoint) -> str:
    words = found.words(point.depth)
    added = f", {point.stage} added" if point.stage else ""
    return f"{words[0].upper()}{words[1:]}{added}" + ("" if point.is_done else f", {point.status}")


def _lay_out(figure: go.Figure, found: Frontier, y_title: str, height: int) -> None:
    ticks: dict[str, Any] = {
        "tickvals": [point.depth for point in found.points],
        "ticktext": [f"{p.depth} · {p.stage or 'head alone'}" for p in found.points],
        "tickangle": -45,
        "range": [-0.6, found.num_stages + 0.6],
    }
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.04, "x": 0},
        xaxis={"title": "stages that learn: k · the stage added", "automargin": True, **ticks},
        yaxis={"title": y_title, "automargin": True},
    )
