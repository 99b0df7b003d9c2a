"""The contract of a strategy: a record that describes itself and plans over a backbone's stages."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from engine.models.catalogue import backbone_record
from engine.spec import field_range
from engine.strategies import STRATEGIES, Phase, Strategy, StrategySettings, phase_at

STAGES = backbone_record("efficientnet_lite0").stage_names
ALL = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda one: one.name)
DEFAULTS = StrategySettings()
NAMES = {
    "frozen",
    "full",
    "partial",
    "gradual",
    "lp_ft",
    "discriminative",
    "surgical",
    "norm_only",
    "bias_only",
    "lora",
    "l2_sp",
    "wise_ft",
    "fine_tune",
}


def plan(name: str, epochs: int, **settings: float | str) -> tuple[Phase, ...]:
    return STRATEGIES[name].plan(STAGES, epochs, StrategySettings.parse(settings))


def test_all_are_found_and_the_two_ends_come_first() -> None:
    assert set(STRATEGIES) == NAMES
    assert list(STRATEGIES)[:2] == ["frozen", "full"]


@ALL
def test_a_strategy_describes_itself(strategy: Strategy) -> None:
    assert STRATEGIES[strategy.name] is strategy
    assert strategy.name.isidentifier()
    assert strategy.name == strategy.name.lower()
    assert strategy.label
    assert strategy.sentence.endswith(".")
    assert any(character.isdigit() for character in strategy.source), "the paper's year"
    assert strategy.temperature in {"cold", "warm"}
    assert set(strategy.settings) <= set(StrategySettings.model_fields)


def test_labels_are_unique() -> None:
    labels = [strategy.label for strategy in STRATEGIES.values()]
    assert len(set(labels)) == len(labels)


def test_every_setting_is_read_by_a_strategy() -> None:
    read = {name for strategy in STRATEGIES.values() for name in strategy.settings}
    assert read == set(StrategySettings.model_fields)


@ALL
def test_default_learning_rate_is_allowed(strategy: Strategy) -> None:
    low, high = field_range("optimiser.lr")
    assert low <= strategy.default_lr <= high


@ALL
@pytest.mark.parametrize("epochs", [1, 2, 10, 1000])
def test_phases_cover_the_run_and_name_real_stages(strategy: Strategy, epochs: int) -> None:
    phases = strategy.plan(STAGES, epochs, DEFAULTS)
    starts = [phase.start_epoch for phase in phases]
    assert starts[0] == 1
    assert starts == sorted(set(starts))
    assert starts[-1] <= epochs
    for phase in phases:
        assert set(phase.trainable) <= set(STAGES)
        assert all(rate > 0 for rate in (*phase.rates.values(), phase.head_rate))


@ALL
def test_temperature_says_whether_the_backbone_moves(strategy: Strategy) -> None:
    moves = bool(strategy.ever_trainable(STAGES, 10))
    assert strategy.temperature == ("warm" if moves else "cold")


def test_frozen_trains_no_stage_and_full_trains_all() -> None:
    assert STRATEGIES["frozen"].ever_trainable(STAGES, 5) == frozenset()
    assert STRATEGIES["full"].ever_trainable(STAGES, 5) == frozenset(STAGES)


@pytest.mark.parametrize("last", [0, 1, 3, len(STAGES)])
def test_partial_trains_the_last_stages(last: int) -> None:
    [phase] = plan("partial", 5, last_stages=last)
    assert phase.trainable == STAGES[len(STAGES) - last :]


def test_gradual_sets_one_more_free_each_epoch_from_the_top() -> None:
    phases = plan("gradual", 12)
    assert [phase.start_epoch for phase in phases] == list(range(1, len(STAGES) + 2))
    assert [phase.trainable for phase in phases] == [
        STAGES[len(STAGES) - index :] for index in range(len(STAGES) + 1)
    ]


def test_gradual_can_take_its_time() -> None:
    assert [phase.start_epoch for phase in plan("gradual", 6, unfreeze_every=2)] == [1, 3, 5]


@pytest.mark.parametrize(("epochs", "share", "start"), [(10, 0.5, 6), (10, 0.95, 10), (2, 0.1, 2)])
def test_lp_ft_trains_the_head_first_and_then_all_at_a_lower_rate(
    epochs: int, share: float, start: int
) -> None:
    probe, tune = plan("lp_ft", epochs, probe_share=share, tune_scale=0.2)
    assert (probe.trainable, probe.head_rate) == ((), 1.0)
    assert tune.start_epoch == start
    assert tune.rates == dict.fromkeys(STAGES, 0.2)
    assert (tune.head_rate, tune.restarts) == (0.2, True)


def test_discriminative_rates_fall_from_the_head_to_the_stem() -> None:
    [phase] = plan("discriminative", 3, lr_decay=0.5)
    assert list(phase.rates) == list(STAGES)
    assert phase.rates["top"] == 0.5
    assert phase.rates["stem"] == pytest.approx(0.5 ** len(STAGES))


def test_surgical_trains_the_block_that_is_named() -> None:
    assert plan("surgical", 3, block="block5")[0].rates == {"block5": 1.0}
    assert plan("surgical", 3)[0].rates == {"block1": 1.0}


def test_fine_tune_is_fastais() -> None:
    """One epoch of the head, then half the rate, geometric from a hundredth of it to all of it."""
    probe, tune = plan("fine_tune", 5)
    assert (probe.trainable, tune.start_epoch, tune.restarts) == ((), 2, True)
    rates = [*tune.rates.values(), tune.head_rate]
    assert rates[0] == pytest.approx(0.005)
    assert rates[-1] == 0.5
    ratios = [after / before for before, after in pairwise(rates)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))


def test_what_is_added_comes_from_the_settings() -> None:
    settings = StrategySettings(rank=4, lora_alpha=8.0, pull=0.3, head_pull=0.2, alpha=0.25)
    lora, l2_sp, wise = (STRATEGIES[name] for name in ("lora", "l2_sp", "wise_ft"))
    assert lora.adapters is not None
    assert (lora.adapters(settings).rank, lora.adapters(settings).scale) == (4, 2.0)
    assert l2_sp.pull is not None
    assert (l2_sp.pull(settings).backbone, l2_sp.pull(settings).head) == (0.3, 0.2)
    assert wise.blend is not None
    assert wise.blend(settings) == 0.25


def test_phase_at_gives_the_latest_that_has_started() -> None:
    phases = (Phase(1, {}), Phase(3, {"top": 1.0}), Phase(6, {"block7": 1.0, "top": 1.0}))
    found = [phase_at(phases, epoch).start_epoch for epoch in range(1, 8)]
    assert found == [1, 1, 3, 3, 3, 6, 6]


def test_ever_trainable_joins_the_phases() -> None:
    two_phases = (Phase(1, {"top": 1.0}), Phase(2, {"block7": 1.0}))
    strategy = replace(STRATEGIES["full"], plan=lambda stages, epochs, settings: two_phases)
    assert strategy.ever_trainable(STAGES, 2) == {"top", "block7"}


def test_strategies_need_no_torch() -> None:
    code = "import sys, engine.strategies; print('torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"
