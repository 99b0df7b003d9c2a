"""The contract of a strategy: a record that describes itself and plans over a backbone's stages."""

import subprocess
import sys
from dataclasses import replace

import pytest

from engine.models.catalogue import backbone_record
from engine.spec import field_range
from engine.strategies import STRATEGIES, Phase, Strategy, phase_at

STAGES = backbone_record("efficientnet_lite0").stage_names
ALL = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda one: one.name)


def test_the_two_ends_are_there() -> None:
    assert {"frozen", "full"} <= set(STRATEGIES)


@ALL
def test_a_strategy_describes_itself(strategy: Strategy) -> None:
    assert STRATEGIES[strategy.name] is strategy
    assert strategy.name.isidentifier()
    assert strategy.name == strategy.name.lower()
    assert strategy.label
    assert strategy.sentence.endswith(".")
    assert any(character.isdigit() for character in strategy.source), "the paper's year"
    assert strategy.temperature in {"cold", "warm"}


def test_labels_are_unique() -> None:
    labels = [strategy.label for strategy in STRATEGIES.values()]
    assert len(set(labels)) == len(labels)


@ALL
def test_default_learning_rate_is_allowed(strategy: Strategy) -> None:
    low, high = field_range("optimiser.lr")
    assert low <= strategy.default_lr <= high


@ALL
@pytest.mark.parametrize("epochs", [1, 2, 10, 1000])
def test_phases_cover_the_run_and_name_real_stages(strategy: Strategy, epochs: int) -> None:
    phases = strategy.plan(STAGES, epochs)
    starts = [phase.start_epoch for phase in phases]
    assert starts[0] == 1
    assert starts == sorted(set(starts))
    assert starts[-1] <= epochs
    for phase in phases:
        assert set(phase.trainable) <= set(STAGES)
        assert len(set(phase.trainable)) == len(phase.trainable)
        assert phase.lr_scale > 0


@ALL
def test_temperature_says_whether_the_backbone_moves(strategy: Strategy) -> None:
    moves = bool(strategy.ever_trainable(STAGES, 10))
    assert strategy.temperature == ("warm" if moves else "cold")


def test_frozen_trains_no_stage_and_full_trains_all() -> None:
    assert STRATEGIES["frozen"].ever_trainable(STAGES, 5) == frozenset()
    assert STRATEGIES["full"].ever_trainable(STAGES, 5) == frozenset(STAGES)


def test_phase_at_gives_the_latest_that_has_started() -> None:
    phases = (Phase(1, ()), Phase(3, ("top",)), Phase(6, ("block7", "top")))
    found = [phase_at(phases, epoch).start_epoch for epoch in range(1, 8)]
    assert found == [1, 1, 3, 3, 3, 6, 6]


def test_ever_trainable_joins_the_phases() -> None:
    two_phases = (Phase(1, ("top",)), Phase(2, ("block7",)))
    strategy = replace(STRATEGIES["full"], plan=lambda stages, epochs: two_phases)
    assert strategy.ever_trainable(STAGES, 2) == {"top", "block7"}


def test_strategies_need_no_torch() -> None:
    code = "import sys, engine.strategies; print('torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"
