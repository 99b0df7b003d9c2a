"""Figures are pure functions: what is drawn, in which colour, with which words on the axes."""

from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go
import pytest

from dashboard.charts import Against, Curve, accuracy_figure, loss_figure
from engine.events import MetricEvent

FROZEN_COLOUR, FULL_COLOUR = "#2b7de9", "#e8590c"


def epochs(accuracies: Sequence[float], seconds_each: float = 2.0) -> list[MetricEvent]:
    return [
        MetricEvent(
            "abcd1234",
            epoch,
            0.0,
            "epoch",
            epoch,
            epoch * 5,
            {
                "train/loss": 0.9 / epoch,
                "val/loss": 1.0 / epoch,
                "train/accuracy": accuracy + 0.05,
                "val/accuracy": accuracy,
                "elapsed_seconds": seconds_each * epoch,
            },
        )
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]


@pytest.fixture
def curves() -> list[Curve]:
    return [
        Curve("Frozen · photos · abcd", FROZEN_COLOUR, epochs([0.5, 0.7])),
        Curve("Full · photos · 1234", FULL_COLOUR, epochs([0.6, 0.8, 0.9], seconds_each=10.0)),
    ]


def trace(figure: go.Figure, name: str) -> go.Scatter:
    [found] = [one for one in figure.data if one.name == name]
    return found


def test_every_run_has_a_line_for_validation_and_one_for_training(curves: list[Curve]) -> None:
    assert [one.name for one in accuracy_figure(curves, "epochs").data] == [
        "Frozen · photos · abcd",
        "Frozen · photos · abcd, training",
        "Full · photos · 1234",
        "Full · photos · 1234, training",
    ]


def test_accuracy_against_epochs(curves: list[Curve]) -> None:
    figure = accuracy_figure(curves, "epochs")
    val = trace(figure, "Full · photos · 1234")
    train = trace(figure, "Full · photos · 1234, training")
    assert list(val.x) == [1.0, 2.0, 3.0]
    assert list(val.y) == [0.6, 0.8, 0.9]
    assert list(train.y) == pytest.approx([0.65, 0.85, 0.95])


def test_loss_against_seconds(curves: list[Curve]) -> None:
    val = trace(loss_figure(curves, "seconds"), "Full · photos · 1234")
    assert list(val.x) == [10.0, 20.0, 30.0]
    assert list(val.y) == pytest.approx([1.0, 1 / 2, 1 / 3])


@pytest.mark.parametrize("against", ["epochs", "seconds"])
def test_training_is_dotted_and_validation_solid(curves: list[Curve], against: Against) -> None:
    for figure in (accuracy_figure(curves, against), loss_figure(curves, against)):
        for one in figure.data:
            assert one.line.dash == ("dot" if one.name.endswith(", training") else "solid")


def test_both_lines_of_a_run_have_its_colour(curves: list[Curve]) -> None:
    for figure in (accuracy_figure(curves, "epochs"), loss_figure(curves, "seconds")):
        for one in figure.data:
            assert one.line.color == (FROZEN_COLOUR if "Frozen" in one.name else FULL_COLOUR)


def test_a_click_in_the_legend_hides_both_lines_of_a_run(curves: list[Curve]) -> None:
    figure = accuracy_figure(curves, "epochs")
    assert [one.legendgroup for one in figure.data] == [
        *(["Frozen · photos · abcd"] * 2),
        *(["Full · photos · 1234"] * 2),
    ]
    assert [one.showlegend for one in figure.data] == [True, False, True, False]


@pytest.mark.parametrize(
    ("against", "title"),
    [("epochs", "epochs"), ("seconds", "seconds since the run's first image")],
)
def test_axes_say_what_they_measure(curves: list[Curve], against: Against, title: str) -> None:
    accuracy, loss = accuracy_figure(curves, against), loss_figure(curves, against)
    assert accuracy.layout.xaxis.title.text == loss.layout.xaxis.title.text == title
    assert accuracy.layout.yaxis.title.text == "share of images right"
    assert loss.layout.yaxis.title.text == "cross-entropy"


def test_accuracy_is_a_percentage_on_screen_only(curves: list[Curve]) -> None:
    assert accuracy_figure(curves, "epochs").layout.yaxis.tickformat == ".1~%"
    assert loss_figure(curves, "epochs").layout.yaxis.tickformat is None


def test_a_run_without_epochs_leaves_the_others_as_they_are(curves: list[Curve]) -> None:
    figure = accuracy_figure([Curve("Waiting", "#000000", []), *curves], "seconds")
    assert list(trace(figure, "Waiting").x or ()) == []
    assert list(trace(figure, "Frozen · photos · abcd").y) == [0.5, 0.7]


STARTED = 1000.0


def steered_curve() -> Curve:
    """Two epochs of five steps and two seconds each; steered at the steps 3 and 6."""
    told = [
        MetricEvent(one.run_id, one.seq, STARTED + 2.0 * one.epoch, "epoch", one.epoch, one.step)
        for one in epochs([0.5, 0.7])
    ]
    timed = [
        replace(event, values=one.values)
        for event, one in zip(told, epochs([0.5, 0.7]), strict=True)
    ]
    acts = [
        MetricEvent("abcd1234", 9, STARTED + seconds, "act", epoch, step, {"sentence": sentence})
        for epoch, step, seconds, sentence in [
            (1, 3, 0.9, "block3 frozen"),
            (2, 6, 2.1, "learning rate of head × 0.5"),
        ]
    ]
    return Curve("Frozen · photos · abcd", FROZEN_COLOUR, timed, acts)


@pytest.mark.parametrize(("against", "places"), [("epochs", [0.6, 1.2]), ("seconds", [0.9, 2.1])])
def test_acts_are_dotted_lines_over_the_whole_height(against: Against, places: list[float]) -> None:
    for figure in (accuracy_figure, loss_figure):
        drawn = figure([steered_curve()], against)
        marks = trace(drawn, "Frozen · photos · abcd, steered")
        lines = list(zip(marks.x, marks.y, marks.text, strict=True))
        ends = [(x, text) for x, y, text in lines if y == 1.0]
        assert [x for x, _ in ends] == pytest.approx(places)
        assert [text for _, text in ends] == [
            "epoch 1: block3 frozen",
            "epoch 2: learning rate of head × 0.5",
        ]
        assert [y for _, y, _ in lines].count(0.0) == [y for _, y, _ in lines].count(None) == 2
        assert marks.yaxis == "y2"
        assert list(drawn.layout.yaxis2.range) == [0, 1]
        assert (marks.line.dash, marks.line.color) == ("dot", FROZEN_COLOUR)
        assert (marks.legendgroup, marks.showlegend) == ("Frozen · photos · abcd", False)


def test_acts_before_the_first_epoch_is_told_have_no_place_yet() -> None:
    curve = replace(steered_curve(), epochs=[])
    assert all("steered" not in one.name for one in accuracy_figure([curve], "seconds").data)
