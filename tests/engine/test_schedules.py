"""Learning-rate schedules, against PyTorch's own and against values computed by hand."""

import math
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR

from engine.spec import OptimiserSpec, RunSpec
from engine.training.plan import rate_plan
from engine.training.schedules import lr_factor

CONSTANT = OptimiserSpec(schedule="constant")
COSINE = OptimiserSpec(schedule="cosine")
DECAYING = OptimiserSpec(schedule="exponential", decay_rate=0.96, decay_steps=1000)
STAGES = ("stem", "middle", "top")


def factors_of(kind: type, num_steps: int, **options: Any) -> list[float]:
    """What a scheduler of PyTorch makes of a rate of 1."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = kind(optimiser, **options)
    factors = []
    for _ in range(num_steps):
        factors.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        scheduler.step()
    return factors


def test_constant_stays() -> None:
    assert {lr_factor(CONSTANT, step, 10) for step in range(11)} == {1.0}


def test_plateau_is_constant_until_something_is_measured() -> None:
    assert {lr_factor(OptimiserSpec(schedule="plateau"), step, 10) for step in range(11)} == {1.0}


def test_cosine_falls_from_one_to_zero_without_rising() -> None:
    factors = [lr_factor(COSINE, step, 40) for step in range(41)]
    assert factors[0] == 1.0
    assert factors[20] == pytest.approx(0.5)
    assert factors[-1] == pytest.approx(0.0, abs=1e-12)
    assert factors == sorted(factors, reverse=True)


def test_cosine_does_not_rise_again_past_the_end() -> None:
    assert lr_factor(COSINE, 60, 40) == pytest.approx(0.0, abs=1e-12)


def test_cosine_is_pytorchs() -> None:
    expected = factors_of(CosineAnnealingLR, 40, T_max=40)
    assert [lr_factor(COSINE, step, 40) for step in range(40)] == pytest.approx(expected)


@pytest.mark.parametrize("num_steps", [10, 37, 100, 1000])
def test_one_cycle_is_pytorchs(num_steps: int) -> None:
    options = {"max_lr": 1.0, "total_steps": num_steps + 1, "cycle_momentum": False}
    expected = factors_of(OneCycleLR, num_steps, **options)
    spec = OptimiserSpec(schedule="one_cycle")
    found = [lr_factor(spec, step, num_steps + 1) for step in range(num_steps)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 4])
def test_one_cycle_of_a_few_steps_is_still_a_rate(num_steps: int) -> None:
    spec = OptimiserSpec(schedule="one_cycle")
    assert all(0 < lr_factor(spec, step, num_steps) <= 1 for step in range(num_steps))


def test_steps_are_pytorchs() -> None:
    spec = OptimiserSpec(schedule="step", drop_every=2, drop_factor=0.3)
    expected = factors_of(StepLR, 40, step_size=10, gamma=0.3)
    assert [lr_factor(spec, step, 40, 5) for step in range(40)] == pytest.approx(expected)


@pytest.mark.parametrize("step", [0, 1, 500, 1000, 1500, 2000, 100_000])
def test_exponential_decay_is_kerass(step: int) -> None:
    """Keras 3: initial_learning_rate * decay_rate ** (step / decay_steps)."""
    assert lr_factor(DECAYING, step, 10) == pytest.approx(0.96 ** (step / 1000), rel=1e-12)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 1e-5), (500, 9.797958971e-6), (1000, 9.6e-6), (2000, 9.216e-6)]
)
def test_exponential_decay_by_hand(step: int, rate: float) -> None:
    """1e-5 shrinking by 4 % every 1,000 steps; its root is sqrt(0.96) = 0.9797958971."""
    assert 1e-5 * lr_factor(DECAYING, step, 10) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize("step", [0, 999, 1000, 1999, 2000])
def test_a_staircase_decays_at_once(step: int) -> None:
    """Keras 3 with staircase=True: the exponent is rounded down."""
    stairs = DECAYING.model_copy(update={"staircase": True})
    assert lr_factor(stairs, step, 10) == pytest.approx(0.96 ** math.floor(step / 1000), rel=1e-12)


def test_a_warm_up_rises_in_equal_steps_and_the_schedule_counts_from_its_end() -> None:
    spec = OptimiserSpec(schedule="cosine", warmup=0.1)
    factors = [lr_factor(spec, step, 50) for step in range(50)]
    assert factors[:5] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert factors[5:] == pytest.approx([lr_factor(COSINE, step, 45) for step in range(45)])


# ---- the plan of a run


def spec_of(**settings: Any) -> RunSpec:
    values: dict[str, Any] = {"data": {"folder": "photos"}}
    for path, value in settings.items():
        part, _, name = path.partition("__")
        values.setdefault(part, {})[name] = value
    return RunSpec.parse(values)


def test_a_schedule_starts_anew_where_the_phase_says_so() -> None:
    spec = spec_of(strategy__name="lp_ft", training__epochs=4, optimiser__lr=1e-2)
    plan = rate_plan(spec, STAGES, steps_per_epoch=5)
    assert [plan.factor(step) for step in range(10)] == [plan.factor(10 + s) for s in range(10)]
    assert plan.factor(10) == 1.0


def test_gradual_does_not_start_its_schedule_anew() -> None:
    spec = spec_of(strategy__name="gradual", training__epochs=4)
    plan = rate_plan(spec, STAGES, steps_per_epoch=5)
    factors = [plan.factor(step) for step in range(20)]
    assert factors == [lr_factor(COSINE, step, 20, 5) for step in range(20)]


def test_the_backbone_can_have_a_rate_of_its_own() -> None:
    own = spec_of(strategy__name="full", optimiser__lr=1e-2, optimiser__backbone_lr=1e-4)
    shared = spec_of(strategy__name="full", optimiser__lr=1e-2)
    assert rate_plan(own, STAGES, 5).backbone_lr == 1e-4
    assert rate_plan(shared, STAGES, 5).backbone_lr == 1e-2


def test_the_curve_shows_every_edge_of_a_phase() -> None:
    spec = spec_of(
        strategy__name="lp_ft",
        strategy__tune_scale=0.5,
        training__epochs=10,
        optimiser__lr=1e-2,
        optimiser__schedule="constant",
    )
    curve = rate_plan(spec, STAGES, steps_per_epoch=1000).curve(points=20)
    assert len(curve.epochs) == len(curve.head) == len(curve.backbone) <= 25
    before = [b for e, b in zip(curve.epochs, curve.backbone, strict=True) if e <= 5]
    after = [b for e, b in zip(curve.epochs, curve.backbone, strict=True) if e > 5]
    assert set(before) == {None}
    assert set(after) == {5e-3}
    assert 5.0 in curve.epochs
    assert curve.epochs[-1] == 10.0
