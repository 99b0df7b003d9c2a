"""The figures of a depth frontier."""

from typing import Any

import pytest

from dashboard.frontier_charts import (
    colour_of,
    depth_accuracy_figure,
    depth_memory_figure,
    depth_seconds_figure,
)
from dashboard.palette import COLD, WARM
from engine.insight.chance import lowest_within_chance
from engine.insight.frontier import frontier
from engine.models.catalogue import backbone_record
from engine.runs.store import Store
from tests.dashboard.made import NUM_VAL, finish, start
from tests.dashboard.made_frontier import (
    BACKBONE,
    RISING,
    finished_frontier,
    frontier_that_goes_on,
    launch_frontier,
)

FIGURES = (depth_accuracy_figure, depth_seconds_figure, depth_memory_figure)


def markers(figure: Any) -> Any:
    [found] = [trace for trace in figure.data if trace.mode == "markers+text"]
    return found


def test_accuracy_is_drawn_at_every_depth(store: Store) -> None:
    drawn = markers(depth_accuracy_figure(finished_frontier(store)))
    assert list(drawn.x) == [0, 1, 2, 3, 4, 5]
    assert list(drawn.y) == list(RISING)


def test_the_ends_and_the_best_are_named(store: Store) -> None:
    drawn = markers(depth_accuracy_figure(finished_frontier(store)))
    assert list(drawn.text) == ["frozen", "", "", "", "best", "full"]
    assert drawn.marker.size[4] > drawn.marker.size[3]


def test_an_end_that_is_best_has_both_names(store: Store) -> None:
    drawn = markers(depth_accuracy_figure(finished_frontier(store, (0.9, *RISING[1:4], 0.8, 0.8))))
    assert list(drawn.text) == ["frozen, best", "", "", "", "", "full"]


def test_names_keep_clear_of_the_line(store: Store) -> None:
    drawn = markers(depth_accuracy_figure(finished_frontier(store)))
    assert drawn.textposition[0] == "bottom center"  # the line goes up from there
    assert drawn.textposition[4] == "top center"


@pytest.mark.parametrize("figure_of", FIGURES)
def test_the_ends_are_cold_and_warm(figure_of: Any, store: Store) -> None:
    found = finished_frontier(store)
    trace = figure_of(found).data[-1]
    assert trace.marker.color[0] == COLD[0]
    assert trace.marker.color[5] == WARM[0]
    between = {colour_of(found, point) for point in found.points[1:5]}
    assert set(trace.marker.color[1:5]) == between
    assert len(between) == 1


@pytest.mark.parametrize("figure_of", FIGURES)
def test_depths_are_labelled_with_the_stage_that_they_added(figure_of: Any, store: Store) -> None:
    axis = figure_of(finished_frontier(store)).layout.xaxis
    labels = [stage.label for stage in backbone_record(BACKBONE).stages]
    assert list(axis.tickvals) == [0, 1, 2, 3, 4, 5]
    assert axis.ticktext[0] == "0 · head alone"
    assert axis.ticktext[1] == f"1 · {labels[-1]}"
    assert axis.ticktext[5] == f"5 · {labels[0]}"


@pytest.mark.parametrize("figure_of", FIGURES)
def test_axes_have_titles_with_units(figure_of: Any, store: Store) -> None:
    layout = figure_of(finished_frontier(store)).layout
    assert "stages that learn" in layout.xaxis.title.text
    unit = {depth_accuracy_figure: "accuracy", depth_seconds_figure: "seconds"}
    assert unit.get(figure_of, "MiB") in layout.yaxis.title.text


def test_a_band_shows_what_may_be_as_good_as_the_best(store: Store) -> None:
    figure = depth_accuracy_figure(finished_frontier(store))
    [band] = figure.layout.shapes
    assert (band.y0, band.y1) == (lowest_within_chance(0.9, NUM_VAL), 0.9)
    low, high = figure.layout.yaxis.range
    assert low < min(RISING)
    assert high > 0.9


def test_one_depth_alone_has_no_band(store: Store) -> None:
    runs = launch_frontier(store)
    finish(store, runs[0], (0.5,))
    figure = depth_accuracy_figure(frontier(store, runs[0].group_id))
    assert not figure.layout.shapes
    assert list(markers(figure).y) == [0.5]


def test_costs_are_bars_from_zero(store: Store) -> None:
    found = finished_frontier(store)
    for figure_of, values in (
        (depth_seconds_figure, [3.0] * 6),
        (depth_memory_figure, [512.0] * 6),
    ):
        figure = figure_of(found)
        assert list(figure.data[0].y) == values
        assert figure.layout.yaxis.rangemode == "tozero"


def test_what_is_not_finished_is_hollow_and_pale(store: Store) -> None:
    found = frontier_that_goes_on(store)
    run = start(store, found.points[3].reports[0].run)
    values = {"val/accuracy": 0.3, "elapsed_seconds": 1.0, "peak_memory_mib": 400.0}
    store.append(run.id, [(0.0, "epoch", 1, 5, values)])
    found = frontier(store, found.group_id)
    drawn = markers(depth_accuracy_figure(found))
    assert list(drawn.x) == [0, 1, 2, 3]
    assert list(drawn.marker.symbol) == ["circle"] * 3 + ["circle-open"]
    assert drawn.text[3] == ""
    opacity = depth_memory_figure(found).data[0].marker.opacity
    assert opacity[3] < opacity[2] == 1.0
    assert "running" in drawn.customdata[3]


def test_the_line_joins_only_what_is_finished(store: Store) -> None:
    [line] = [
        t for t in depth_accuracy_figure(frontier_that_goes_on(store)).data if t.mode == "lines"
    ]
    assert list(line.x) == [0, 1, 2]


def test_single_seeds_are_shown_beside_their_mean(store: Store) -> None:
    runs = launch_frontier(store, seeds=2)
    for run in runs:
        finish(store, run, (0.6 + 0.2 * run.spec.seed,))
    figure = depth_accuracy_figure(frontier(store, runs[0].group_id))
    assert list(markers(figure).y) == pytest.approx([0.7] * 6)
    [seeds] = [trace for trace in figure.data if trace.name == "single seeds"]
    assert list(seeds.x[:4]) == [0, 0, 1, 1]
    assert list(seeds.y[:2]) == pytest.approx([0.6, 0.8])


def test_one_seed_needs_no_such_points(store: Store) -> None:
    names = [trace.name for trace in depth_accuracy_figure(finished_frontier(store)).data]
    assert "single seeds" not in names


@pytest.mark.parametrize("figure_of", FIGURES)
def test_a_frontier_without_numbers_is_an_empty_figure(figure_of: Any, store: Store) -> None:
    runs = launch_frontier(store)
    figure = figure_of(frontier(store, runs[0].group_id))
    assert all(len(trace.x) == 0 for trace in figure.data)
    assert not figure.layout.shapes
