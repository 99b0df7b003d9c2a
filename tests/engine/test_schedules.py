"""Learning-rate schedules."""

import math

import pytest

from engine.spec import OptimiserSpec
from engine.training.schedules import lr_factor

CONSTANT = OptimiserSpec(schedule="constant")
COSINE = OptimiserSpec(schedule="cosine")
DECAYING = OptimiserSpec(schedule="exponential", decay_rate=0.96, decay_steps=1000)


def test_constant_stays() -> None:
    assert {lr_factor(CONSTANT, step, 10) for step in range(11)} == {1.0}


def test_cosine_falls_from_one_to_zero_without_rising() -> None:
    factors = [lr_factor(COSINE, step, 40) for step in range(41)]
    assert factors[0] == 1.0
    assert factors[20] == pytest.approx(0.5)
    assert factors[-1] == pytest.approx(0.0, abs=1e-12)
    assert factors == sorted(factors, reverse=True)


def test_cosine_does_not_rise_again_past_the_end() -> None:
    assert lr_factor(COSINE, 60, 40) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("step", [0, 1, 500, 1000, 1500, 2000, 100_000])
def test_exponential_decay_is_kerass(step: int) -> None:
    """Keras 3: initial_learning_rate * decay_rate ** (step / decay_steps)."""
    assert lr_factor(DECAYING, step, 10) == pytest.approx(0.96 ** (step / 1000), rel=1e-12)


@pytest.mark.parametrize("step", [0, 999, 1000, 1999, 2000])
def test_a_staircase_decays_at_once(step: int) -> None:
    """Keras 3 with staircase=True: the exponent is rounded down."""
    stairs = DECAYING.model_copy(update={"staircase": True})
    assert lr_factor(stairs, step, 10) == pytest.approx(0.96 ** math.floor(step / 1000), rel=1e-12)
