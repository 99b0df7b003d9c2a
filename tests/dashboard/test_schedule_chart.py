"""The drawing of the planned rates: head solid, backbone dashed, an axis that shows them."""

from typing import Any

import pytest

from dashboard.schedule_chart import Planned, schedule_figure
from engine.spec import OptimiserSpec
from engine.strategies import STRATEGIES, StrategySettings
from engine.training.plan import RatePlan

STAGES = ("stem", "block1", "block2", "top")
COLOUR = "#e8590c"


def planned(name: str, epochs: int = 10, **optimiser: Any) -> Planned:
    strategy = STRATEGIES[name]
    phases = strategy.plan(STAGES, epochs, StrategySettings())
    spec = OptimiserSpec.parse({"lr": 1e-3} | optimiser)
    return Planned(strategy.label, COLOUR, RatePlan(spec, phases, epochs, 8).curve())


def test_head_is_solid_and_backbone_dashed_in_one_colour() -> None:
    head, backbone = schedule_figure([planned("full", backbone_lr=1e-4)]).data
    assert (head.name, backbone.name) == ("Full", "Full, backbone")
    assert (head.line.dash, backbone.line.dash) == (None, "dash")
    assert head.line.color == backbone.line.color == COLOUR
    assert max(head.y) == pytest.approx(1e-3)
    assert max(backbone.y) == pytest.approx(1e-4)


def test_a_frozen_backbone_has_no_line() -> None:
    [head] = schedule_figure([planned("frozen")]).data
    assert head.name == "Frozen"


def test_a_backbone_that_is_frozen_at_first_has_a_gap_there() -> None:
    _, backbone = schedule_figure([planned("lp_ft")]).data
    assert [y is None for y in backbone.y] == [x <= 5 for x in backbone.x]
    assert not backbone.connectgaps


def test_each_strategy_is_in_the_legend_once() -> None:
    figure = schedule_figure([planned("full"), planned("partial"), planned("frozen")])
    named = [one.name for one in figure.data if one.showlegend is not False]
    assert named == ["Full", "Partial", "Frozen"]


def test_x_counts_epochs() -> None:
    figure = schedule_figure([planned("full", epochs=7)])
    assert max(figure.data[0].x) == 7
    assert figure.layout.xaxis.title.text == "epochs"
    assert figure.layout.yaxis.title.text == "learning rate (per step)"


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "plateau"])
def test_what_runs_out_to_nothing_at_its_end_stays_linear(schedule: str) -> None:
    assert schedule_figure([planned("full", schedule=schedule)]).layout.yaxis.type != "log"


@pytest.mark.parametrize(
    "optimiser",
    [
        {"schedule": "exponential", "decay_rate": 0.5, "decay_steps": 4},
        {"schedule": "step", "drop_every": 2},
        {"schedule": "constant", "backbone_lr": 1e-6},
    ],
)
def test_more_than_two_decades_are_drawn_on_a_logarithmic_axis(optimiser: dict[str, Any]) -> None:
    axis = schedule_figure([planned("full", **optimiser)]).layout.yaxis
    assert axis.type == "log"
    low, high = axis.range
    assert high == pytest.approx(-3, abs=0.2)
    assert 2 < high - low < 6


def test_the_rates_of_two_strategies_together_can_span_decades() -> None:
    near, far = (
        planned("frozen", schedule="constant"),
        planned("full", schedule="constant", lr=1e-6),
    )
    assert schedule_figure([near]).layout.yaxis.type != "log"
    assert schedule_figure([far]).layout.yaxis.type != "log"
    assert schedule_figure([near, far]).layout.yaxis.type == "log"


def test_all_strategies_together_have_room() -> None:
    few = schedule_figure([planned("full")])
    many = schedule_figure([planned(name) for name in STRATEGIES])
    assert many.layout.height > few.layout.height
    assert sum(one.showlegend is not False for one in many.data) == len(STRATEGIES)
