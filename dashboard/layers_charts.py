"""Charts of what happened in each stage of the runs compared, as pure functions from tables.

Stages are drawn stem on top, as everywhere.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, sample_colorscale
from plotly.subplots import make_subplots

from dashboard.charts import letter_by_letter
from dashboard.palette import COLD, WARM
from engine.insight.layers import HEAD, GradientHistory, LayerHistory, StageHistory
from engine.insight.thinning import kept_places

Measure = Literal["drift", "change"]
ICE, EMBER = COLD[3], WARM[0]
ROW, GAP, ABOVE, BELOW = 24, 68, 92, 52
# Readable on the blue of a cell, whatever the theme.
ON_ICE = "#10151d"
# Of a curve on a screen, more would lie on top of each other.
# The colours of drift span at most so many decades below the greatest.
DECADES = 3
MARGIN = {"l": 8, "r": 8, "t": 28, "b": 8}


@dataclass(frozen=True)
class Layered:
    """A run's stages, ready to be drawn.

    Attributes:
        label: of the run.
        colour: likewise.
        history: of its stages.
    """

    label: str
    colour: str
    history: LayerHistory


def values_of(stage: StageHistory, measure: Measure) -> tuple[float | None, ...]:
    """Returns what is drawn of a stage, an epoch a number; 0 where it is as it was."""
    return stage.drift if measure == "drift" else stage.change


def stages_figure(runs: Sequence[Layered], measure: Measure) -> go.Figure:
    """Returns a map of stage and epoch for each run, all on one scale of colours.

    Cells are cold where a stage is exactly as it was, and the warmer the further it is from there:
    on a logarithmic scale for drift, which spans decades, and a linear one for 1 - CKA.
    """
    heights = [len(one.history.stages) for one in runs]
    inside = ROW * sum(heights) + GAP * (len(runs) - 1)
    figure = make_subplots(
        rows=len(runs),
        cols=1,
        row_heights=heights,
        vertical_spacing=GAP / inside if len(runs) > 1 else 0.0,
        subplot_titles=[letter_by_letter(one.label) for one in runs],
    )
    for row, one in enumerate(runs, start=1):
        for trace in _maps(one, measure):
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(autorange="reversed", automargin=True, type="category", row=row, col=1)
        figure.update_xaxes(dtick=_tick(one.history.epochs[-1]), row=row, col=1)
    figure.update_xaxes(title={"text": "epoch", "standoff": 4}, row=len(runs), col=1)
    figure.update_xaxes(showgrid=False, zeroline=False, ticks="")
    figure.update_yaxes(showgrid=False, zeroline=False, ticks="")
    figure.update_annotations(x=0.0, xanchor="left", font={"size": 13})
    figure.update_layout(
        height=inside + ABOVE + BELOW,
        margin={"l": 8, "r": 8, "t": ABOVE, "b": BELOW},
        coloraxis=_colours(runs, measure),
        showlegend=False,
    )
    return figure


def _tick(epochs: int) -> int:
    return max(1, math.ceil(epochs / 10))


def _maps(one: Layered, measure: Measure) -> list[go.Heatmap]:
    """Returns the cells where nothing changed, and over them those where something did."""
    history = one.history
    stages = [letter_by_letter(stage.label) for stage in history.stages]
    told = [values_of(stage, measure) for stage in history.stages]
    words = [
        [_words(stage, place, measure) for place in range(len(history.epochs))]
        for stage in history.stages
    ]
    every = {
        "x": history.epochs,
        "y": stages,
        "xgap": 1,
        "ygap": 1,
        "customdata": words,
        "hovertemplate": "%{y}, epoch %{x}: %{customdata}<extra></extra>",
    }
    marks = [
        ["BN" if measure == "drift" and not value and moved else "" for value, moved in pairs]
        for pairs in (
            list(zip(values, stage.statistics, strict=True))
            for values, stage in zip(told, history.stages, strict=True)
        )
    ]
    still = go.Heatmap(
        z=[[0.0 if value == 0.0 else None for value in row] for row in told],
        colorscale=[[0.0, ICE], [1.0, ICE]],
        showscale=False,
        text=marks,
        texttemplate="%{text}",
        textfont={"color": ON_ICE, "size": 11},
        **every,
    )
    height: Callable[[float], float] = math.log10 if measure == "drift" else float
    moved = go.Heatmap(
        z=[[height(value) if value else None for value in row] for row in told],
        coloraxis="coloraxis",
        **every,
    )
    return [still, moved]


def _words(stage: StageHistory, place: int, measure: Measure) -> str:
    value = values_of(stage, measure)[place]
    if value is None:
        return "could not be told"
    if measure == "change":
        return f"1 - CKA = {value:.2g}" if value else "sees exactly what it saw at first"
    weights = f"weights moved by {100 * value:.2g} %" if value else "weights exactly as at first"
    moved = stage.statistics[place]
    return f"{weights}, BatchNorm statistics by {100 * moved:.2g} %" if moved else weights


def _faded(colour: str, opacity: float) -> str:
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red}, {green}, {blue}, {opacity})"


def _colours(runs: Sequence[Layered], measure: Measure) -> dict[str, object]:
    found = [
        value
        for one in runs
        for stage in one.history.stages
        for value in values_of(stage, measure)
        if value
    ]
    bar = {
        "orientation": "h",
        "yref": "container",
        "y": 1.0,
        "yanchor": "top",
        "ypad": 6,
        "thickness": 10,
        "len": 1.0,
    }
    scale = {
        "colorscale": [[0.0, _faded(EMBER, 0.12)], [1.0, EMBER]],
        "colorbar": bar,
        # Where nothing moved anywhere there is no scale to show.
        "showscale": bool(found),
    }
    greatest = max(found, default=1.0)
    if measure == "change":
        bar["title"] = {"text": "1 - CKA", "side": "top"}
        return scale | {"cmin": 0.0, "cmax": greatest}
    least = max(min(found, default=1.0), greatest / 10**DECADES)
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(greatest) + 1e-9)
    ticks = list(range(low, max(high, low + 1) + 1))
    bar["title"] = {"text": "share of the weights' length", "side": "top"}
    bar |= {"tickvals": ticks, "ticktext": [f"{100 * 10.0**tick:g} %" for tick in ticks]}
    return scale | {"cmin": ticks[0], "cmax": ticks[-1]}


def last_epoch_figure(runs: Sequence[Layered], measure: Measure) -> go.Figure:
    """Returns a dot for each stage and run, as far out as the stage has come in its last epoch."""
    figure = go.Figure()
    most = max(len(one.history.stages) for one in runs)
    for one in runs:
        history = one.history
        values = [values_of(stage, measure)[-1] for stage in history.stages]
        figure.add_scatter(
            x=values,
            y=[letter_by_letter(stage.label) for stage in history.stages],
            name=letter_by_letter(one.label),
            mode="lines+markers",
            line={"color": one.colour, "width": 1},
            marker={"size": 9, "color": one.colour},
            customdata=[_words(stage, -1, measure) for stage in history.stages],
            hovertemplate=f"%{{y}}, epoch {history.epochs[-1]}: %{{customdata}}",
        )
    title = "weights moved by" if measure == "drift" else "1 - CKA (0: sees what it saw at first)"
    figure.update_xaxes(title=title, rangemode="tozero", automargin=True)
    if measure == "drift":
        figure.update_xaxes(tickformat=".2~%")
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", title="stage")
    figure.update_layout(height=ROW * most + 84 + 22 * len(runs), margin=MARGIN, legend=_above())
    return figure


def gradient_figure(gradients: Sequence[GradientHistory]) -> go.Figure:
    """Returns the norm of each stage's gradient over the steps, the colder the deeper it lies.

    Of long curves the lowest and the highest of each portion are drawn.
    """
    figure = go.Figure()
    stages = [one for one in gradients if one.name != HEAD]
    places = [place / max(1, len(stages) - 1) for place in range(len(stages))]
    colours = sample_colorscale([[0.0, ICE], [0.5, "#c9a227"], [1.0, EMBER]], places)
    for one in gradients:
        kept = kept_places([one.norms])
        steps = [one.steps[place] for place in kept]
        norms = [one.norms[place] for place in kept]
        is_head = one.name == HEAD
        figure.add_scatter(
            x=steps,
            y=norms,
            name=letter_by_letter(one.label),
            mode="lines+markers" if len(steps) < 30 else "lines",
            line={
                "color": "#808b98" if is_head else colours[stages.index(one)],
                "width": 1.4,
                "dash": "dot" if is_head else "solid",
            },
            marker={"size": 4},
            hovertemplate="step %{x}: %{y:.3g}",
        )
    figure.update_xaxes(title="step", automargin=True)
    figure.update_yaxes(title="norm of the gradient", type="log", automargin=True)
    figure.update_layout(height=420, margin=MARGIN, legend=_above())
    return figure


def _above() -> dict[str, object]:
    return {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}
