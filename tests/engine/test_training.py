"""Training: frozen means frozen, pairs are fair, runs repeat, and what a run tells."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from engine.data.loader import Batch
from engine.models.backbone import build_backbone
from engine.models.catalogue import head_parameters
from engine.training import loop
from engine.training.metrics import EpochMetrics, macro_f1
from engine.training.trainer import Session, run_epochs
from tests.conftest import Recorder
from tests.engine.tiny_training import (
    LITE0,
    NUM_CLASSES,
    NUM_TRAIN,
    NUM_VAL,
    STEPS_PER_EPOCH,
    SetUp,
    Train,
    _restored_torch,
    tiny_session,
    tiny_train,
)

__all__ = ["_restored_torch", "tiny_session", "tiny_train"]


EPOCH_KEYS = {
    *(f"{split}/{name}" for split in ("train", "val") for name in ("loss", "accuracy", "f1")),
    "lr/head",
    "images_per_second",
    "seconds",
    "elapsed_seconds",
    "peak_memory_mib",
}


# ---- frozen means frozen, full means full


@pytest.mark.parametrize("augmentation", ["none", "flip", "standard"])
def test_frozen_leaves_every_backbone_tensor_bit_identical(
    tiny_session: SetUp, augmentation: str
) -> None:
    session = tiny_session({"images.augmentation": augmentation, "model.dropout": 0.2})
    head_before = {name: t.clone() for name, t in session.model.head.state_dict().items()}
    run_epochs(session)
    original = build_backbone("efficientnet_lite0").state_dict()
    after = session.model.backbone.state_dict()
    assert list(after) == list(original)
    assert any("running_var" in name for name in original)
    changed = [name for name, tensor in original.items() if not torch.equal(after[name], tensor)]
    assert changed == []
    head = session.model.head.state_dict()
    assert all(not torch.equal(head[name], before) for name, before in head_before.items())


def test_full_changes_every_stage(tiny_session: SetUp) -> None:
    session = tiny_session({"strategy.name": "full", "optimiser.lr": 1e-3})
    run_epochs(session)
    original = build_backbone("efficientnet_lite0").state_dict()
    backbone = session.model.backbone
    after = backbone.state_dict()
    for name in backbone.stages:
        tensors = backbone.stage_tensor_names(name)
        changed = {key for key in tensors if not torch.equal(after[key], original[key])}
        weights = tensors & {key for key, _ in backbone.named_parameters()}
        assert changed >= weights, name
        assert any(key.endswith("running_mean") for key in changed), name


def test_the_facts_say_what_learns(tiny_train: Train) -> None:
    head = head_parameters("linear", LITE0.num_features, 128, NUM_CLASSES)
    for strategy, trainable in (("frozen", head), ("full", head + LITE0.num_parameters)):
        trained = tiny_train({"strategy.name": strategy, "training.epochs": 1})
        [ready] = [e.values for e in trained.recorder.events if e.values.get("task") == "ready"]
        assert ready["trainable_parameters"] == trainable
        assert ready["total_parameters"] == head + LITE0.num_parameters
        assert ready["classes"] == NUM_CLASSES
        assert ready["train_images"] == NUM_TRAIN
        assert ready["val_images"] == NUM_VAL
        assert ready["left_out"] == 0


# ---- a fair pair


def test_a_pair_starts_from_the_same_head(tiny_session: SetUp) -> None:
    frozen = tiny_session().model.head.state_dict()
    full = tiny_session({"strategy.name": "full"}).model.head.state_dict()
    assert all(torch.equal(frozen[name], full[name]) for name in frozen)
    other = tiny_session({"seed": 1}).model.head.state_dict()
    assert any(not torch.equal(frozen[name], other[name]) for name in frozen)


def batches_of(session: Session, epoch: int) -> Iterator[Batch]:
    return session.sources(session.inputs(0), 1)[0].epoch(epoch)


def test_a_pair_sees_the_same_batches(tiny_session: SetUp) -> None:
    def order(session: Session) -> list[list[list[int]]]:
        return [
            [[*positions_B.tolist(), *labels_B.tolist()] for _, labels_B, positions_B in batches]
            for batches in (batches_of(session, 1), batches_of(session, 2))
        ]

    frozen = order(tiny_session())
    assert order(tiny_session({"strategy.name": "full"})) == frozen
    assert order(tiny_session({"images.augmentation": "flip"})) == frozen
    assert order(tiny_session({"seed": 1})) != frozen
    assert frozen[0] != frozen[1]


def test_a_pair_shares_the_split(tiny_session: SetUp) -> None:
    frozen, full = tiny_session(), tiny_session({"strategy.name": "full"})
    assert frozen.manifest == full.manifest


def test_cached_features_are_what_the_backbone_gives(tiny_session: SetUp) -> None:
    cached, direct = tiny_session(), tiny_session({"images.augmentation": "flip"})
    direct.model.eval()
    with torch.inference_mode():
        for (features_BD, _, _), (images_BCHW, _, _) in zip(
            cached.sources(cached.inputs(0), 1)[1].epoch(1),
            direct.sources(None, 1)[1].epoch(1),
            strict=True,
        ):
            expected_BD = direct.model.backbone(images_BCHW)
            # Sums are rounded otherwise in batches of another size.
            torch.testing.assert_close(features_BD, expected_BD, atol=1e-3, rtol=1e-3)


# ---- runs repeat


@pytest.mark.parametrize(
    "settings",
    [
        {"model.dropout": 0.5},
        {"images.augmentation": "standard", "model.head": "mlp", "model.dropout": 0.3},
        {"strategy.name": "full", "images.augmentation": "standard", "optimiser.lr": 1e-3},
    ],
    ids=["frozen", "frozen augmented mlp", "full augmented"],
)
def test_the_same_spec_gives_the_same_numbers(tiny_train: Train, settings: dict[str, Any]) -> None:
    first, again = tiny_train(settings), tiny_train(settings)
    for name in ("loss", "accuracy", "f1"):
        for split in ("train", "val"):
            assert first.series(f"{split}/{name}") == again.series(f"{split}/{name}")
    assert [e.values["train/loss"] for e in first.steps] == [
        e.values["train/loss"] for e in again.steps
    ]


def test_another_seed_gives_other_numbers(tiny_train: Train) -> None:
    assert tiny_train().series("train/loss") != tiny_train({"seed": 1}).series("train/loss")


def test_golden_losses(tiny_train: Train) -> None:
    """Two seeded epochs: if these move, the result of every run has changed."""
    trained = tiny_train()
    assert trained.series("train/loss") == pytest.approx([2.094020, 0.547446], rel=1e-3)
    assert trained.series("val/loss") == pytest.approx([1.559162, 1.166837], rel=1e-3)


# ---- what a run tells


@pytest.mark.parametrize("strategy", ["frozen", "full"])
def test_events_of_a_run(tiny_train: Train, strategy: str) -> None:
    trained = tiny_train({"strategy.name": strategy, "training.epochs": 3})
    assert [event.epoch for event in trained.epochs] == [1, 2, 3]
    assert [event.step for event in trained.epochs] == [3, 6, 9]
    assert [event.step for event in trained.steps] == list(range(1, 3 * STEPS_PER_EPOCH + 1))
    assert [event.epoch for event in trained.steps] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    for event in trained.epochs:
        assert set(event.values) >= EPOCH_KEYS
        for name in ("train/accuracy", "val/accuracy", "train/f1", "val/f1"):
            assert 0.0 <= float(event.values[name] or 0.0) <= 1.0
        for name in ("seconds", "images_per_second", "peak_memory_mib"):
            assert float(event.values[name] or 0.0) > 0.0
    for event in trained.steps:
        assert set(event.values) >= {"train/loss", "train/accuracy", "images_per_second", "lr/head"}
    for event in trained.recorder.events:
        json.loads(event.to_json())


def test_step_metrics_add_up_to_the_epochs(tiny_train: Train) -> None:
    trained = tiny_train({"training.epochs": 1, "training.batch_size": 6})
    losses = [float(event.values["train/loss"] or 0.0) for event in trained.steps]
    accuracies = [float(event.values["train/accuracy"] or 0.0) for event in trained.steps]
    assert trained.series("train/loss") == pytest.approx([np.mean(losses)], rel=1e-5)
    assert trained.series("train/accuracy") == pytest.approx([np.mean(accuracies)], rel=1e-5)


def test_learning_rate_of_each_group_is_told(tiny_train: Train) -> None:
    frozen = tiny_train({"training.epochs": 1})
    assert "lr/backbone" not in frozen.steps[0].values
    full = tiny_train({"training.epochs": 1, "strategy.name": "full"})
    for event in (*full.steps, *full.epochs):
        assert event.values["lr/backbone"] == event.values["lr/head"]


def test_cosine_starts_at_the_rate_and_ends_near_zero(tiny_train: Train) -> None:
    trained = tiny_train({"training.epochs": 20, "optimiser.lr": 0.01})
    rates = [float(event.values["lr/head"] or 0.0) for event in trained.steps]
    assert rates[0] == 0.01
    assert rates == sorted(rates, reverse=True)
    assert 0.0 < rates[-1] < 0.01 * 0.01
    assert trained.series("lr/head")[0] == 0.01


def test_constant_rate_stays(tiny_train: Train) -> None:
    trained = tiny_train({"optimiser.schedule": "constant", "optimiser.lr": 0.01})
    assert {event.values["lr/head"] for event in trained.steps} == {0.01}


def test_a_very_long_run_reports_means_of_a_few_steps(recorder: Recorder) -> None:
    log = loop.StepLog.for_run(recorder, num_steps=3 * loop.MAX_STEP_EVENTS)
    log.restart(0.0)
    for step in range(1, 7):
        log.add(1, step, loss=float(step), correct=1, images=2, told={"lr/head": 0.1})
    assert [event.step for event in recorder.events] == [3, 6]
    assert [event.values["train/loss"] for event in recorder.events] == [2.0, 5.0]
    assert recorder.events[0].values["train/accuracy"] == 0.5


def test_metrics_count_every_image_the_same() -> None:
    metrics = EpochMetrics(num_classes=2, device=torch.device("cpu"))
    right, wrong = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 9.0]])
    metrics.update(torch.tensor(1.0), right.repeat(3, 1), torch.zeros(3, dtype=torch.long))
    metrics.update(torch.tensor(5.0), wrong, torch.zeros(1, dtype=torch.long))
    result = metrics.result("val")
    assert result["val/loss"] == pytest.approx(2.0)
    assert result["val/accuracy"] == pytest.approx(0.75)


def test_f1_of_very_many_classes_is_counted_without_a_table() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    random = np.random.default_rng(0)
    labels_N, predicted_N = random.integers(0, 3000, (2, 20_000))
    predicted_N[:10_000] = labels_N[:10_000]
    expected = f1_score(labels_N, predicted_N, average="macro", zero_division=0.0)
    found = macro_f1(torch.from_numpy(predicted_N), torch.from_numpy(labels_N), 4000)
    assert found == pytest.approx(expected, abs=1e-6)
