"""What a search goes over: read from text, checked all at once, cut into a grid."""

import itertools
import json
from typing import Any

import pytest

from engine.errors import SpecError
from engine.runs.search_space import Range, SearchSpec, laid_over, parse_over
from engine.strategies import STRATEGIES
from tests.engine.specs import tiny_spec


def search(space: dict[str, Any], **settings: Any) -> SearchSpec:
    return SearchSpec.parse({"base": tiny_spec("photos"), "space": space, **settings})


def over(*texts: str) -> dict[str, Any]:
    return dict(parse_over(text) for text in texts)


# ---- read


def test_choices_and_ranges_are_read_from_text() -> None:
    space = search(
        over("strategy.name=frozen, full", "model.dropout=0..0.5", "training.batch_size=8,16")
    ).space
    assert space == {
        "strategy.name": ("frozen", "full"),
        "model.dropout": Range(low=0.0, high=0.5),
        "training.batch_size": (8, 16),
    }


@pytest.mark.parametrize(
    ("text", "is_log"),
    [
        ("optimiser.lr=1e-4..1e-2", True),
        ("optimiser.lr=1e-4..1e-3", True),
        ("optimiser.lr=1e-4..5e-4", False),
        ("optimiser.lr=1e-4..5e-4:log", True),
        ("optimiser.lr=1e-4..1e-2:linear", False),
        ("model.dropout=0..0.9", False),
    ],
)
def test_a_wide_range_above_zero_is_searched_by_magnitude(text: str, is_log: bool) -> None:
    [axis] = search(over(text)).space.values()
    assert isinstance(axis, Range)
    assert axis.log is is_log


def test_the_points_of_a_grid_can_be_given() -> None:
    assert search(over("optimiser.lr=1e-4..1e-2:3"), sampler="grid").grid() == {
        "optimiser.lr": (1e-4, 1e-3, 1e-2)
    }


def test_values_are_kept_as_a_spec_holds_them() -> None:
    space = search(over("optimiser.staircase=true,false", "optimiser.weight_decay=0,1e-3")).space
    assert space == {"optimiser.staircase": (True, False), "optimiser.weight_decay": (0.0, 1e-3)}


def test_a_search_survives_json() -> None:
    spec = search(over("strategy.name=frozen,full", "optimiser.lr=1e-4..1e-2"), trials=7)
    assert SearchSpec.parse(spec.model_dump_json()) == spec


# ---- faults


def test_all_faults_are_told_at_once() -> None:
    faults = {
        "optimiser.lr=1e-9..1e-2": "optimiser.lr is 1e-09; it must be a number from 1e-07 to 1.",
        "strategy.name=frozen,thawed": "strategy.name is 'thawed'; it must be one of",
        "model.size=1..2": "model.size is not a setting that Thaw knows.",
        "model.head=1..2": "model.head is no number and has no range",
        "model.dropout=0.5..0.2": "model.dropout goes from 0.5 to 0.2; the first must be less.",
        "images.fit=crop": "images.fit is ['crop']; give at least two choices",
        "training.epochs=1.5..4": "training.epochs is 1.5; it must be a whole number",
        "training.label_smoothing=0..0.1:1": "points is '1'; it must be a whole number from 2",
        "optimiser.weight_decay=0..0.1:log": "a logarithmic range starts above 0",
        "seed=1,2": "seed cannot be searched",
        "data.split_seed=1,2": "data.split_seed cannot be searched",
        "device=cpu,cuda": "device cannot be searched",
    }
    with pytest.raises(SpecError) as error:
        search(over(*faults), trials=0, sampler="best", seed=-1)
    told = str(error.value)
    for sentence in faults.values():
        assert sentence in told
    for path in ("trials is 0;", "sampler is 'best';", "seed is -1;"):
        assert path in told


def test_faults_of_the_base_are_told_with_those_of_the_space() -> None:
    with pytest.raises(SpecError) as error:
        SearchSpec.parse(
            {
                "base": {"data": {"folder": "x"}, "training": {"epochs": 0}},
                "space": over("model.dropout=0..2"),
            }
        )
    assert "base.training.epochs is 0;" in str(error.value)
    assert "model.dropout is 2.0;" in str(error.value)


@pytest.mark.parametrize("space", [{}, None, []])
def test_nothing_to_search_is_a_fault(space: Any) -> None:
    with pytest.raises(SpecError, match="Nothing is searched"):
        search(space)


@pytest.mark.parametrize("text", ["optimiser.lr", "=1..2", "optimiser.lr=", ""])
def test_a_text_that_names_nothing(text: str) -> None:
    with pytest.raises(SpecError, match=r"SETTING=LOW\.\.HIGH"):
        parse_over(text)


@pytest.mark.parametrize("text", ["[1]", "{", "null"])
def test_json_that_is_no_search(text: str) -> None:
    with pytest.raises(SpecError):
        SearchSpec.parse(text)


def test_a_grid_that_is_too_large() -> None:
    space = over("optimiser.lr=1e-4..1e-2:40", "model.dropout=0..0.5:40")
    assert search(space).num_trials == 20
    with pytest.raises(SpecError, match="1,600 combinations"):
        search(space, sampler="grid")


def test_the_same_choice_twice() -> None:
    with pytest.raises(SpecError, match="all different"):
        search(over("training.batch_size=8,8,16"))


# ---- grid and trials


def test_a_grid_has_every_combination() -> None:
    spec = search(
        over("strategy.name=frozen,full", "training.epochs=1..5:3", "images.fit=crop,pad"),
        sampler="grid",
    )
    assert spec.grid()["training.epochs"] == (1, 3, 5)
    assert spec.num_trials == len(list(itertools.product(*spec.grid().values()))) == 12


def test_whole_numbers_that_round_to_the_same_are_one_point() -> None:
    assert Range(low=1, high=3, points=9).grid(whole=True) == (1, 2, 3)


def test_a_grid_ends_at_both_ends() -> None:
    for log in (False, True):
        points = Range(low=1e-5, high=0.3, log=log, points=7).grid(whole=False)
        assert (points[0], points[-1]) == (1e-5, 0.3)
        assert list(points) == sorted(points)


def test_each_strategy_is_tried_with_its_own_rate() -> None:
    spec = search(over("strategy.name=frozen,full"))
    for name in ("frozen", "full"):
        trial = spec.trial_spec({"strategy.name": name})
        assert trial.optimiser.lr == STRATEGIES[name].default_lr
        assert trial.strategy.name == name


def test_values_from_a_range_are_rounded_to_three_digits_within_it() -> None:
    spec = search(over("optimiser.lr=0.00123456..0.0098765"))
    for value, rounded in (
        (0.0023456789, 0.00235),
        (0.00123457, 0.00123456),
        (0.0098765, 0.0098765),
    ):
        assert spec.trial_spec({"optimiser.lr": value}).optimiser.lr == rounded


def test_a_searched_rate_is_taken() -> None:
    spec = search(over("strategy.name=frozen,full", "optimiser.lr=1e-4..1e-2"))
    trial = spec.trial_spec({"strategy.name": "full", "optimiser.lr": 0.0012})
    assert trial.optimiser.lr == 0.0012


def test_a_trial_differs_from_the_base_in_what_is_searched_alone() -> None:
    spec = search(over("model.dropout=0..0.5", "images.fit=crop,pad"))
    trial = spec.trial_spec({"model.dropout": 0.25, "images.fit": "pad"}).flat()
    differing = {name: value for name, value in trial.items() if spec.base.flat()[name] != value}
    assert differing == {"model.dropout": 0.25, "images.fit": "pad"}


def test_settings_that_do_not_go_together_are_a_sentence() -> None:
    with pytest.raises(SpecError, match=r"optimiser\.lr is 5"):
        laid_over(tiny_spec("photos"), {"optimiser.lr": 5})


def test_the_json_is_plain() -> None:
    text = search(over("strategy.name=frozen,full")).model_dump_json()
    assert json.loads(text)["space"] == {"strategy.name": ["frozen", "full"]}
