"""The figures of a search: which trials are drawn, on which axes, in which colours."""

import math
from typing import Any

import pytest

from dashboard.palette import COLD, WARM
from dashboard.search_charts import (
    SYMBOLS,
    cost_figure,
    parallel_figure,
    pareto_front,
    strategy_colours,
)
from engine.runs.search_space import Range
from engine.runs.search_study import Trial

SPACE = {
    "optimiser.lr": Range(low=1e-4, high=1e-2, log=True),
    "strategy.name": ("frozen", "full"),
    "model.dropout": Range(low=0.0, high=0.5),
    "images.size": (96, 160, 224),
}


def trial(
    number: int, accuracy: float | None, seconds: float | None = 10.0, **changes: Any
) -> Trial:
    params = {
        "optimiser.lr": 1e-3,
        "strategy.name": "full" if number % 2 else "frozen",
        "model.dropout": 0.1 * number,
        "images.size": 160,
    }
    values: dict[str, Any] = {"state": "complete", "run_id": "r", "num_epochs": 3, "reason": ""}
    return Trial(
        number=number, params=params, accuracy=accuracy, seconds=seconds, **(values | changes)
    )


@pytest.fixture
def trials() -> list[Trial]:
    return [
        trial(0, 0.6, 4.0),
        trial(1, 0.9, 20.0),
        trial(2, 0.3, 2.0, state="pruned"),
        trial(3, None, None, state="failed"),
        trial(4, 0.5, None, state="running"),
        trial(5, 0.4, 3.0, state="stopped"),
    ]


def dimensions(trials: list[Trial]) -> dict[str, Any]:
    [figure] = parallel_figure(SPACE, trials).data
    return {one.label: one for one in figure.dimensions}


def test_every_searched_setting_has_an_axis_and_accuracy_is_last(trials: list[Trial]) -> None:
    labels = ["Learning rate", "Strategy", "Dropout", "Image size (px)", "Val accuracy (%)"]
    assert list(dimensions(trials)) == labels


def test_only_trials_that_ended_with_an_accuracy_are_drawn(trials: list[Trial]) -> None:
    assert list(dimensions(trials)["Val accuracy (%)"].values) == pytest.approx([60, 90, 30, 40])
    assert list(dimensions(trials)["Dropout"].values) == pytest.approx([0.0, 0.1, 0.2, 0.5])


def test_choices_are_ticks_with_their_names(trials: list[Trial]) -> None:
    strategy, size = (dimensions(trials)[name] for name in ("Strategy", "Image size (px)"))
    assert list(strategy.tickvals) == [0, 1]
    assert list(strategy.ticktext) == ["frozen", "full"]
    assert list(strategy.values) == [0, 1, 0, 1]
    assert list(size.ticktext) == ["96", "160", "224"]
    assert set(size.values) == {1}


def test_a_range_by_magnitude_has_an_axis_by_magnitude(trials: list[Trial]) -> None:
    rate = dimensions(trials)["Learning rate"]
    assert list(rate.range) == [-4, -2]
    assert list(rate.values) == pytest.approx([-3.0] * 4)
    assert list(rate.ticktext) == ["0.0001", "0.001", "0.01"]
    assert list(rate.tickvals) == pytest.approx([-4, -3, -2])


def test_an_axis_by_magnitude_ends_where_the_range_does() -> None:
    space = {"optimiser.lr": Range(low=2e-4, high=8e-3, log=True)}
    [figure] = parallel_figure(space, [trial(0, 0.5)]).data
    [rate, _] = figure.dimensions
    assert list(rate.ticktext) == ["0.0002", "0.001", "0.008"]
    assert list(rate.range) == pytest.approx([math.log10(2e-4), math.log10(8e-3)])


def test_lines_are_coloured_by_accuracy(trials: list[Trial]) -> None:
    [figure] = parallel_figure(SPACE, trials).data
    assert list(figure.line.color) == pytest.approx([60, 90, 30, 40])


def cost(trials: list[Trial]) -> dict[str, Any]:
    strategies = {one.number: str(one.params["strategy.name"]) for one in trials}
    return {one.name: one for one in cost_figure(trials, strategies).data}


def test_a_point_a_trial_by_strategy_and_end(trials: list[Trial]) -> None:
    drawn = cost(trials)
    assert set(drawn) == {"best for its time", "Frozen", "Frozen, pruned", "Full", "Full, stopped"}
    assert (list(drawn["Full"].x), list(drawn["Full"].y)) == ([20.0], [0.9])
    assert list(drawn["Full"].customdata) == [2]
    assert list(drawn["Frozen, pruned"].y) == [0.3]
    assert drawn["Frozen"].marker.color in COLD
    assert drawn["Full"].marker.color in WARM
    assert drawn["Frozen, pruned"].marker.color == drawn["Frozen"].marker.color
    symbols = {drawn[name].marker.symbol for name in ("Full", "Frozen, pruned", "Full, stopped")}
    assert symbols == set(SYMBOLS.values())


def test_both_axes_say_what_they_are(trials: list[Trial]) -> None:
    layout = cost_figure(trials, {}).layout
    assert layout.xaxis.title.text == "seconds that the run took"
    assert layout.yaxis.title.text == "best val accuracy"


def test_the_front_leaves_out_what_another_beats_in_time_and_accuracy() -> None:
    quick, middle, worse, best, slower = (
        trial(0, 0.5, 1.0),
        trial(1, 0.7, 5.0),
        trial(2, 0.6, 6.0),
        trial(3, 0.9, 9.0),
        trial(4, 0.9, 12.0),
    )
    pruned = trial(5, 0.95, 0.5, state="pruned")
    assert pareto_front([slower, worse, best, pruned, middle, quick]) == [quick, middle, best]


def test_each_strategy_has_a_colour_of_its_own() -> None:
    colours = strategy_colours(["frozen", "full", "full", "frozen"])
    assert list(colours) == ["frozen", "full"]
    assert colours["frozen"] == COLD[0]
    assert colours["full"] == WARM[0]


def test_no_trials_draw_nothing() -> None:
    [figure] = parallel_figure(SPACE, []).data
    assert all(len(one.values or ()) == 0 for one in figure.dimensions)
    assert [one.name for one in cost_figure([], {}).data] == ["best for its time"]
