"""How many steps an epoch has, and which epochs a phase covers, known without torch."""

import pytest

from engine.data.batches import num_batches
from engine.data.loader import EpochBatches
from engine.strategies import STRATEGIES, StrategySettings
from engine.training.plan import phase_spans, same_every_epoch
from tests.engine.specs import tiny_spec

STAGES = ("stem", "block1", "block2", "top")


@pytest.mark.parametrize(
    ("num_items", "batch_size", "expected"),
    [(289, 32, 10), (64, 32, 2), (65, 32, 3), (3, 2, 1), (2, 2, 1), (1, 8, 1), (5, 2, 2)],
)
def test_batches_of_an_epoch(num_items: int, batch_size: int, expected: int) -> None:
    assert num_batches(num_items, batch_size) == expected
    drawn = EpochBatches(num_items, batch_size, seed=0, shuffle=True)
    assert len(list(drawn)) == len(drawn) == expected


@pytest.mark.parametrize("epochs", [1, 2, 3, 10])
@pytest.mark.parametrize("name", STRATEGIES)
def test_phases_cover_every_epoch_once(name: str, epochs: int) -> None:
    phases = STRATEGIES[name].plan(STAGES, epochs, StrategySettings())
    spans = phase_spans(phases, epochs)
    assert [phase for phase, _, _ in spans] == list(phases)
    covered = [epoch for _, first, last in spans for epoch in range(first, last + 1)]
    assert covered == list(range(1, epochs + 1))


@pytest.mark.parametrize(
    ("setting", "value", "same"),
    [
        ("images.augmentation", "none", True),
        ("images.augmentation", "flip", False),
        ("training.mixup", 0.2, False),
        ("training.cutmix", 0.2, False),
        ("training.batch_norm", "update", False),
        ("training.batch_norm", "frozen", True),
        ("training.class_balance", "sampling", True),
    ],
)
def test_what_changes_features_from_epoch_to_epoch(
    setting: str, value: str | float, same: bool
) -> None:
    assert same_every_epoch(tiny_spec("photos", {setting: value})) is same
