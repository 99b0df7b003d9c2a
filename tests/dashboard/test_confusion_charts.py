"""Confusion matrices: what cells say, what their colours say, and which of them a click finds."""

from types import SimpleNamespace

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.confusion_charts import clicked_cell, confusion_figure, difference_figure

COUNTS_KK = np.array([[8, 2, 0], [1, 0, 0], [0, 0, 0]])
NAMES = ["birds", "fruit", "boats"]


def layers(figure: go.Figure) -> tuple[go.Heatmap, go.Scatter]:
    """The colours and what can be clicked."""
    return figure.data[0], figure.data[-1]


def numbers(figure: go.Figure) -> dict[tuple[int, int], str]:
    """What stands in the cells, by row and column."""
    return {
        (row, column): text
        for layer in figure.data[1:-1]
        for row, column, text in zip(layer.y, layer.x, layer.text, strict=True)
    }


def test_cells_say_counts_and_colours_shares_of_the_true_class() -> None:
    figure = confusion_figure(COUNTS_KK, NAMES, "#123456")
    shown, _ = layers(figure)
    assert numbers(figure) == {(0, 0): "8", (0, 1): "2", (1, 0): "1"}
    strong, weak = figure.data[1:-1]
    assert (list(strong.text), strong.textfont.color) == (["8", "1"], "white")
    # As the theme writes, light or dark.
    assert (list(weak.text), weak.textfont.color) == (["2"], None)
    expected_KK = np.array([[0.8, 0.2, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.asarray(shown.z) == pytest.approx(expected_KK)
    assert (shown.zmin, shown.zmax) == (0.0, 1.0)
    assert shown.colorscale[-1][1] == "#123456"


def test_cells_can_say_shares() -> None:
    figure = confusion_figure(COUNTS_KK, NAMES, "#123456", "share of class")
    assert numbers(figure) == {(0, 0): "80", (0, 1): "20", (1, 0): "100"}


def test_every_cell_with_images_can_be_clicked_and_tells_what_it_is() -> None:
    _, targets = layers(confusion_figure(COUNTS_KK, NAMES, "#123456"))
    assert [tuple(one) for one in targets.customdata] == [
        ("birds", "birds"),
        ("birds", "fruit"),
        ("fruit", "birds"),
    ]
    assert list(zip(targets.x, targets.y, strict=True)) == [(0, 0), (1, 0), (0, 1)]
    assert targets.text[1] == "birds taken for fruit: 2 images (20%)"
    assert targets.marker.opacity == 0.0


def test_names_of_people_are_shown_letter_by_letter() -> None:
    figure = confusion_figure(COUNTS_KK, ["<b>a</b>", "{1}", "c"], "#123456")
    _, targets = layers(figure)
    assert targets.text[1].startswith("&lt;b&gt;a&lt;/b&gt; taken for {1}:")
    assert figure.layout.xaxis.ticktext[0] == "&lt;b&gt;a&lt;/b&gt;"
    assert list(targets.customdata[1]) == ["<b>a</b>", "{1}"]


def test_true_classes_go_down_from_the_top() -> None:
    figure = confusion_figure(COUNTS_KK, ["0", "1", "10"], "#123456")
    assert figure.layout.xaxis.title.text == "class that was named"
    assert figure.layout.yaxis.title.text == "true class"
    assert list(figure.layout.yaxis.range) == [2.5, -0.5]
    assert list(figure.layout.yaxis.ticktext) == ["0", "1", "10"]


def test_many_classes_leave_the_counts_to_the_pointer_and_thin_the_names() -> None:
    names = [f"a class with a long name {number}" for number in range(100)]
    figure = confusion_figure(np.eye(100, dtype=np.int64), names, "#123456")
    shown, targets = layers(figure)
    assert numbers(figure) == {}
    assert shown.showscale
    assert len(targets.x) == 100
    assert list(figure.layout.yaxis.tickvals) == list(range(0, 100, 3))
    assert max(map(len, figure.layout.yaxis.ticktext)) == 18
    assert not figure.layout.xaxis.showticklabels
    small = confusion_figure(COUNTS_KK, NAMES, "#123456")
    assert small.layout.height < figure.layout.height < 900


def test_the_difference_is_even_on_both_sides_of_nothing() -> None:
    second_KK = np.array([[5, 5, 0], [0, 1, 0], [0, 0, 0]])
    figure = difference_figure(COUNTS_KK, second_KK, NAMES, ("first", "second"))
    shown, targets = layers(figure)
    assert np.array_equal(shown.z, second_KK - COUNTS_KK)
    assert (shown.zmin, shown.zmax) == (-3.0, 3.0)
    found = numbers(figure)
    assert (found[0, 0], found[0, 1]) == ("-3", "+3")
    assert targets.text[0] == "birds taken for birds: first 8, second 5 images"
    shares = difference_figure(COUNTS_KK, second_KK, NAMES, ("a", "b"), "share of class")
    found = numbers(shares)
    assert (found[0, 0], found[0, 1]) == ("-30", "+30")


def test_equal_matrices_have_a_difference_without_colour() -> None:
    shown, _ = layers(difference_figure(COUNTS_KK, COUNTS_KK, NAMES, ("a", "b")))
    assert not np.asarray(shown.z).any()
    assert (shown.zmin, shown.zmax) == (-1.0, 1.0)


def test_the_cell_that_was_clicked_is_found() -> None:
    def state(points: list[dict[str, object]]) -> object:
        return SimpleNamespace(selection=SimpleNamespace(points=points))

    assert clicked_cell(None) is None
    assert clicked_cell(state([])) is None
    assert clicked_cell(state([{"x": 1}])) is None
    assert clicked_cell(state([{"customdata": ["birds", "fruit"]}])) == ("birds", "fruit")
