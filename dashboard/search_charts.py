"""The figures of a search, as pure functions from its trials."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.palette import COLD, PRIMARY_DARK, WARM
from engine.runs.search_space import Axis, Range
from engine.runs.search_study import Trial, ranked_trials
from engine.spec import field_info
from engine.strategies import STRATEGIES

SYMBOLS = {"complete": "circle", "pruned": "x", "stopped": "square-open"}
GREY, BEST = "#9aa7b8", "#c58400"


def judged_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials that have ended with an accuracy, the only ones that charts show."""
    return [one for one in trials if one.state in SYMBOLS and one.accuracy is not None]


def parallel_figure(space: Mapping[str, Axis], trials: Sequence[Trial]) -> go.Figure:
    """Returns one line a trial across an axis a searched setting, accuracy last and in colour.

    Args:
        space: the searched settings.
        trials: those that have an accuracy are drawn.
    """
    drawn = judged_trials(trials)
    accuracies = [100 * (one.accuracy or 0.0) for one in drawn]
    dimensions = [
        _dimension(path, axis, [one.params[path] for one in drawn]) for path, axis in space.items()
    ]
    dimensions.append({"label": "Val accuracy (%)", "values": accuracies, "tickformat": ".1f"})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": accuracies,
                "colorscale": [[0.0, GREY], [0.6, PRIMARY_DARK], [1.0, BEST]],
                "showscale": False,
            },
            labelside="top",
        )
    )
    figure.update_layout(height=380, margin={"l": 60, "r": 60, "t": 60, "b": 30})
    return figure


def _dimension(path: str, axis: Axis, values: Sequence[Any]) -> dict[str, Any]:
    extra = field_info(path).json_schema_extra
    label = f"{extra['label']} ({extra['unit']})" if extra["unit"] == "px" else extra["label"]
    if not isinstance(axis, Range):
        places = list(range(len(axis)))
        return {
            "label": label,
            "values": [axis.index(value) for value in values],
            "tickvals": places,
            "ticktext": [str(choice) for choice in axis],
            "range": [-0.1, len(axis) - 0.9],
        }
    if not axis.log:
        return {"label": label, "values": list(values), "range": [axis.low, axis.high]}
    ticks = _log_ticks(axis)
    return {
        "label": label,
        "values": [math.log10(value) for value in values],
        "tickvals": [math.log10(tick) for tick in ticks],
        "ticktext": [f"{tick:.3g}" for tick in ticks],
        "range": [math.log10(axis.low), math.log10(axis.high)],
    }


def _log_ticks(axis: Range) -> list[float]:
    """Returns the ends of a range and the powers of ten between them."""
    first, last = math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high))
    between = [10.0**power for power in range(first, last + 1)]
    apart = [tick for tick in between if 1.5 * axis.low < tick < axis.high / 1.5]
    return [axis.low, *apart, axis.high]


def cost_figure(trials: Sequence[Trial], strategies: Mapping[int, str]) -> go.Figure:
    """Returns accuracy against seconds, a point a trial, with a line along the best for the cost.

    Args:
        trials: those that have an accuracy and took time are drawn.
        strategies: name of the strategy of each trial, by number; decides the colour.
    """
    drawn = [one for one in judged_trials(trials) if one.seconds is not None]
    figure = go.Figure()
    front = pareto_front(drawn)
    figure.add_scatter(
        x=[one.seconds for one in front],
        y=[one.accuracy for one in front],
        mode="lines",
        line={"color": GREY, "width": 1.5, "dash": "dot", "shape": "hv"},
        name="best for its time",
        hoverinfo="skip",
    )
    colours = strategy_colours(list(strategies.values()))
    for name, colour in colours.items():
        for state, symbol in SYMBOLS.items():
            points = [
                one for one in drawn if one.state == state and strategies.get(one.number) == name
            ]
            if points:
                _add_points(figure, points, STRATEGIES[name].label, state, symbol, colour)
    figure.update_layout(
        height=380,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": "seconds that the run took", "rangemode": "tozero", "automargin": True},
        yaxis={"title": "best val accuracy", "tickformat": ".1~%", "automargin": True},
    )
    return figure


def strategy_colours(names: Sequence[str]) -> dict[str, str]:
    """Returns a colour for each strategy, in order: cold where the backbone is frozen."""
    colours: dict[str, str] = {}
    for name in dict.fromkeys(names):
        palette = COLD if STRATEGIES[name].temperature == "cold" else WARM
        taken = sum(colour in palette for colour in colours.values())
        colours[name] = palette[taken % len(palette)]
    return colours


def _add_points(
    figure: go.Figure, points: Sequence[Trial], label: str, state: str, symbol: str, colour: str
) -> None:
    figure.add_scatter(
        x=[one.seconds for one in points],
        y=[one.accuracy for one in points],
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9},
        name=label if state == "complete" else f"{label}, {state}",
        customdata=[one.number + 1 for one in points],
        hovertemplate="trial %{customdata}: %{y:.1%} in %{x:.1f} s<extra></extra>",
    )


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the completed trials that no other is both quicker and better than, quickest first.

    Of equally good ones the quickest is kept.
    """
    front: list[Trial] = []
    ranked = ranked_trials([one for one in trials if one.seconds is not None])
    for one in sorted(ranked, key=lambda one: one.seconds or 0.0):
        if not front or (one.accuracy or 0.0) > (front[-1].accuracy or 0.0):
            front.append(one)
    return front
