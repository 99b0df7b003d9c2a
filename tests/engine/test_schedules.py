"""Learning-rate schedules."""

import pytest

from engine.training.schedules import lr_factor


def test_constant_stays() -> None:
    assert {lr_factor("constant", step, 10) for step in range(11)} == {1.0}


def test_cosine_falls_from_one_to_zero_without_rising() -> None:
    factors = [lr_factor("cosine", step, 40) for step in range(41)]
    assert factors[0] == 1.0
    assert factors[20] == pytest.approx(0.5)
    assert factors[-1] == pytest.approx(0.0, abs=1e-12)
    assert factors == sorted(factors, reverse=True)


def test_cosine_does_not_rise_again_past_the_end() -> None:
    assert lr_factor("cosine", 60, 40) == pytest.approx(0.0, abs=1e-12)
