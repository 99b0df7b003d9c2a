"""Range tests of learning rates: what is read off curves whose answers are known."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import TrainingError
from engine.strategies import Phase
from engine.training.range_test import (
    RangeTest,
    RunningMean,
    analyse,
    learning_stages,
    smooth,
    smoothing_for,
    steepest,
    tenth_of_minimum,
    valley,
    written,
)

RATES = np.geomspace(1e-7, 1, 141)  # 20 points a decade


def at(rate: float) -> int:
    """The point of RATES that is nearest to a rate."""
    return int(np.abs(np.log(RATES / rate)).argmin())


def bathtub(fall_at: float, rise_at: float, low: float = 0.5, high: float = 2.0) -> NDArray:
    """High, then low from about `fall_at` on, and far above from about `rise_at` on."""
    decades = np.log10(RATES)
    fall = 1 / (1 + np.exp(-4 * (decades - np.log10(fall_at))))
    rise = np.exp(6 * (decades - np.log10(rise_at)))
    return np.asarray(high - (high - low) * fall + np.minimum(rise, 50.0))


def factor_between(one: float, other: float) -> float:
    """How many times the greater of two rates is the smaller."""
    return max(one, other) / min(one, other)


# ---- the rules


def test_steepest_is_where_the_loss_falls_fastest() -> None:
    assert factor_between(steepest(RATES, bathtub(1e-4, 1.0)), 1e-4) < 1.2


def test_a_tenth_of_the_minimum() -> None:
    losses = 1 + (np.log10(RATES) + 2) ** 2
    assert tenth_of_minimum(RATES, losses) == pytest.approx(1e-3)


def test_valley_is_the_middle_of_the_longest_fall() -> None:
    start, end = at(1e-5), at(1e-3)
    losses = np.full(len(RATES), 2.0)
    losses[start : end + 1] = np.linspace(2.0, 1.0, end + 1 - start)
    losses[end + 1 :] = 5.0
    assert factor_between(valley(RATES, losses), 1e-4) < 1.3


def test_valley_passes_over_a_bump_in_the_fall() -> None:
    start, end = at(1e-5), at(1e-3)
    losses = np.full(len(RATES), 2.0)
    losses[start : end + 1] = np.linspace(2.0, 1.0, end + 1 - start)
    losses[end + 1 :] = 5.0
    losses[at(1e-4)] = 2.5
    assert factor_between(valley(RATES, losses), 1e-4) < 1.3


def test_valley_prefers_the_longer_of_two_falls() -> None:
    losses = np.full(len(RATES), 2.0)
    losses[20:30] = np.linspace(2.0, 1.5, 10)  # short, and left again
    losses[60:100] = np.linspace(2.0, 1.6, 40)
    losses[100:] = 3.0
    assert 75 <= at(valley(RATES, losses)) <= 85


# ---- smoothing


def test_a_running_mean_of_equal_values_is_that_value_from_the_first_on() -> None:
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)


def test_a_running_mean_weighs_as_it_should() -> None:
    # (0.98 * 0.02 * 1 + 0.02 * 2) / (1 - 0.98 ** 2)
    mean = RunningMean(0.98)
    assert mean.add(1.0) == pytest.approx(1.0)
    assert mean.add(2.0) == pytest.approx((0.0196 + 0.04) / 0.0396)


def test_fewer_steps_are_smoothed_less() -> None:
    assert smoothing_for(100) == pytest.approx(0.98)
    assert smoothing_for(50) == pytest.approx(0.98**2)


# ---- the verdict


def noisy(losses: NDArray, noise: float = 0.08) -> list[float]:
    draws = np.random.default_rng(0).normal(size=len(losses))
    return [float(value) for value in losses * (1 + noise * draws)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fall_at", [1e-4, 1e-3])
def test_a_suggestion_lies_in_the_fall(fall_at: float, seed: int) -> None:
    draws = np.random.default_rng(seed).normal(size=len(RATES))
    losses = bathtub(fall_at, 0.1) * (1 + 0.08 * draws)
    test = analyse("head", RATES.tolist(), losses.tolist())
    assert test.suggestion is not None
    assert fall_at / 10 < test.suggestion < fall_at * 30
    assert test.suggestion == test.rules["valley"]
    assert set(test.rules) == {"valley", "steepest", "tenth_of_minimum"}
    assert len(test.smoothed) == len(test.losses) == len(test.rates)


def test_the_reason_names_fall_rise_and_suggestion() -> None:
    test = analyse("head", RATES.tolist(), noisy(bathtub(1e-4, 0.1), 0.0))
    assert test.suggestion is not None
    words = test.reason.replace(";", "").split()
    fastest, beyond = (float(words[words.index(word) + 1]) for word in ("around", "beyond"))
    assert factor_between(fastest, 1e-4) < 1.2
    assert factor_between(beyond, 5e-2) < 1.5  # where it has risen by 15 % of its fall
    assert "it rises" in test.reason
    assert written(test.suggestion) in test.reason
    assert "from 2.00 to 0.5" in test.reason


def test_a_loss_that_does_not_rise_again_is_said_not_to() -> None:
    test = analyse("head", RATES.tolist(), noisy(bathtub(1e-3, 1e6), 0.0))
    assert "does not rise" in test.reason
    assert test.suggestion is not None


@pytest.mark.parametrize("seed", range(6))
def test_a_loss_that_never_falls_gives_no_suggestion(seed: int) -> None:
    draws = np.random.default_rng(seed).normal(size=len(RATES))
    losses = 2.0 * (1 + 0.1 * draws)
    test = analyse("backbone", RATES.tolist(), losses.tolist())
    assert test.suggestion is None
    assert test.rules == {}
    assert "never falls" in test.reason
    assert len(test.losses) == len(RATES)


def test_a_loss_that_only_rises_gives_no_suggestion() -> None:
    losses = 1.0 + np.exp(3 * (np.log10(RATES) + 2))
    test = analyse("backbone", RATES.tolist(), losses.tolist())
    assert test.suggestion is None
    assert "never falls" in test.reason


@pytest.mark.parametrize("num_points", [0, 1, 5])
def test_too_few_points_give_no_suggestion(num_points: int) -> None:
    losses = np.linspace(2.0, 1.0, num_points).tolist()
    test = analyse("head", RATES[:num_points].tolist(), losses)
    assert test.suggestion is None
    assert f"after {num_points} step" in test.reason


# ---- in and out


def test_json_in_and_out() -> None:
    test = analyse("head", RATES.tolist(), noisy(bathtub(1e-4, 0.1)), "Only the head learnt.")
    assert RangeTest.parse(json.loads(json.dumps(test.to_dict()))) == test


def test_what_is_no_range_test_is_refused_in_a_sentence() -> None:
    with pytest.raises(TrainingError, match="no range test"):
        RangeTest.parse({"rates": [1.0]})


@pytest.mark.parametrize(
    ("rate", "text"), [(1e-7, "1e-7"), (0.00341, "3e-3"), (0.05, "5e-2"), (1.0, "1")]
)
def test_rates_are_written_short(rate: float, text: str) -> None:
    assert written(rate) == text


def test_stages_have_their_greatest_factor_of_all_phases() -> None:
    phases = (Phase(1, {}), Phase(2, {"b": 0.5}), Phase(3, {"a": 0.1, "b": 0.2}))
    assert learning_stages(phases) == {"b": 0.5, "a": 0.1}
    assert learning_stages([Phase(1, {})]) == {}
