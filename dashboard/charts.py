"""Every Plotly figure that does not move, as pure functions from tables to figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from dashboard.palette import PRIMARY
from engine.events import MetricEvent
from engine.insight.thinning import kept_places
from engine.models.catalogue import StageRecord

Against = Literal["epochs", "seconds"]
# Places on an act's line at which the pointer finds its sentence.
MARK_POINTS = 9
# A line of more points than this is drawn without a mark at each.
MOST_MARKERS = 60


@dataclass(frozen=True)
class Curve:
    """The epochs of one run, ready to be drawn.

    Attributes:
        label: what the legend says.
        colour: of its lines.
        epochs: its epoch events, in order.
        acts: its act events, in order: what was steered while it went on.
    """

    label: str
    colour: str
    epochs: Sequence[MetricEvent]
    acts: Sequence[MetricEvent] = ()

    def points(self, metric: str, against: Against) -> tuple[list[float], list[float]]:
        """Returns x and y of a metric against epochs or seconds since the run's first image."""
        xs = [
            float(event.epoch if against == "epochs" else event.values["elapsed_seconds"] or 0.0)
            for event in self.epochs
        ]
        return xs, [float(event.values[metric] or 0.0) for event in self.epochs]

    def act_marks(self, against: Against) -> list[tuple[float, str]]:
        """Returns where each act lies, and what it was; none before the first epoch is told."""
        if not self.epochs or not self.acts:
            return []
        first = self.epochs[0]
        steps_per_epoch = first.step / first.epoch
        started = first.time - float(first.values["elapsed_seconds"] or 0.0)
        return [
            (
                act.step / steps_per_epoch if against == "epochs" else act.time - started,
                f"epoch {act.epoch}: {act.values['sentence']}",
            )
            for act in self.acts
        ]


def accuracy_figure(curves: Sequence[Curve], against: Against) -> go.Figure:
    """Returns validation accuracy (solid) and training accuracy (dotted) of each run."""
    figure = _figure(curves, against, "accuracy", "share of images right")
    figure.update_yaxes(tickformat=".1~%")
    return figure


def loss_figure(curves: Sequence[Curve], against: Against) -> go.Figure:
    """Returns validation loss (solid) and training loss (dotted) of each run."""
    return _figure(curves, against, "loss", "cross-entropy")


def stage_bars(stages: Sequence[StageRecord]) -> go.Figure:
    """Returns a bar a stage, stem on top, as long as the stage has parameters."""
    labels = [stage.label for stage in stages]
    figure = go.Figure(
        go.Bar(
            x=[stage.num_parameters for stage in stages],
            y=labels,
            orientation="h",
            marker_color=PRIMARY,
            text=[f"{stage.num_parameters:,}" for stage in stages],
            hovertemplate="%{y}: %{x:,} parameters<extra></extra>",
        )
    )
    figure.update_xaxes(title="parameters")
    figure.update_yaxes(autorange="reversed", title="stage")
    figure.update_layout(height=120 + 26 * len(stages), margin={"l": 10, "r": 10, "t": 10, "b": 10})
    return figure


def _figure(curves: Sequence[Curve], against: Against, metric: str, y_title: str) -> go.Figure:
    figure = go.Figure()
    for curve in curves:
        label = letter_by_letter(curve.label)
        for split, dash, width in (("val", "solid", 2.6), ("train", "dot", 1.4)):
            xs, ys = curve.points(f"{split}/{metric}", against)
            kept = kept_places([ys])
            figure.add_scatter(
                x=[xs[place] for place in kept],
                y=[ys[place] for place in kept],
                name=label if split == "val" else f"{label}, training",
                legendgroup=curve.label,
                showlegend=split == "val",
                mode="lines+markers" if len(kept) <= MOST_MARKERS else "lines",
                line={"color": curve.colour, "width": width, "dash": dash},
                marker={"size": 6 if split == "val" else 3},
                opacity=1.0 if split == "val" else 0.7,
            )
        _mark_acts(figure, curve, against)
    lay_out_curves(figure, against, y_title)
    # Acts are lines from bottom to top, whatever the values are.
    figure.update_layout(
        yaxis2={"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False}
    )
    return figure


def lay_out_curves(figure: go.Figure, against: Against, y_title: str) -> None:
    """Gives a figure of curves its size, its legend and its axes."""
    unit = "epochs" if against == "epochs" else "seconds since the run's first image"
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=330,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": unit, "rangemode": "tozero", "automargin": True},
        yaxis={"title": y_title, "automargin": True},
    )


def _mark_acts(figure: go.Figure, curve: Curve, against: Against) -> None:
    """Draws a dotted line for each act, with its sentence wherever the pointer is near it."""
    marks = curve.act_marks(against)
    if not marks:
        return
    heights = [*np.linspace(0.0, 1.0, MARK_POINTS).tolist(), None]
    figure.add_scatter(
        x=[x for x, _ in marks for _ in heights],
        y=heights * len(marks),
        text=[sentence for _, sentence in marks for _ in heights],
        name=f"{letter_by_letter(curve.label)}, steered",
        legendgroup=curve.label,
        showlegend=False,
        hoverinfo="text+name",
        yaxis="y2",
        mode="lines",
        line={"color": curve.colour, "width": 1.6, "dash": "dot"},
    )


def letter_by_letter(text: str) -> str:
    """Returns text from a person so that Plotly shows it as it is: it knows some HTML."""
    return escape(text, quote=False)
