"""The curve between before and after: what was measured, what is chosen, and words on the axes."""

import pytest

from dashboard.blend_charts import interpolation_figure
from engine.training.curves import InterpolationCurve

CURVE = InterpolationCurve(((0.0, 0.5), (0.3, 0.75), (1.0, 0.625)), alpha=0.5)
COLOUR = "#e8590c"


def test_every_measured_point_is_drawn() -> None:
    [measured, _] = interpolation_figure(CURVE, 0.3, COLOUR).data
    assert list(measured.x) == [0.0, 0.3, 1.0]
    assert list(measured.y) == [0.5, 0.75, 0.625]
    assert measured.line.color == COLOUR


@pytest.mark.parametrize(("chosen", "point"), [(0.3, (0.3, 0.75)), (0.9, (1.0, 0.625))])
def test_the_chosen_point_is_a_measured_one(chosen: float, point: tuple[float, float]) -> None:
    figure = interpolation_figure(CURVE, chosen, COLOUR)
    [_, mark] = figure.data
    assert (mark.x, mark.y) == ((point[0],), (point[1],))
    assert mark.marker.size > figure.data[0].marker.size
    [line] = figure.layout.shapes
    assert (line.x0, line.x1) == (point[0], point[0])


def test_the_axes_say_what_they_show() -> None:
    layout = interpolation_figure(CURVE, 0.3, COLOUR).layout
    assert layout.xaxis.title.text == "α: share of the fine-tuned weights"
    assert layout.yaxis.title.text == "share of validation images right"
    assert layout.yaxis.tickformat.endswith("%")
    ends = dict(zip(layout.xaxis.tickvals, layout.xaxis.ticktext, strict=True))
    assert (ends[0.0], ends[1.0]) == ("0<br>before", "1<br>after")
    assert layout.xaxis.range[0] < 0.0 < 1.0 < layout.xaxis.range[1]
