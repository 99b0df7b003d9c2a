"""Which epoch is kept, and how training ends that goes wrong or is asked to stop."""

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

from engine.data.decode import decode_image
from engine.data.manifest import Manifest
from engine.data.transforms import EvalTransform
from engine.errors import DataError, TrainingError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs import worker
from engine.runs.store import Store
from engine.training import loop
from engine.training.checkpoint import load_checkpoint
from engine.training.metrics import EpochMetrics
from engine.training.predictions import Predictions, confusion_matrix
from engine.training.trainer import MANIFEST_FILE, run_epochs, set_up, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.engine.tiny_training import (
    LITE0,
    NUM_CLASSES,
    NUM_VAL,
    STEPS_PER_EPOCH,
    SetUp,
    Train,
    _restored_torch,
    tiny_session,
    tiny_train,
)

__all__ = ["_restored_torch", "tiny_session", "tiny_train"]


class SpoiledLoss(nn.Module):
    """Cross entropy that turns into `value` at one call, counted from 1."""

    def __init__(self, value: float, at_call: int) -> None:
        super().__init__()
        self.value = value
        self.calls_left = at_call

    def forward(self, logits_BK: Tensor, labels_B: Tensor) -> Tensor:
        self.calls_left -= 1
        loss = nn.functional.cross_entropy(logits_BK, labels_B)
        return loss * self.value if self.calls_left == 0 else loss


# ---- the best epoch


def test_early_stopping_stops_and_keeps_the_best(tiny_train: Train) -> None:
    trained = tiny_train(
        {"optimiser.lr": 1e-7, "training.epochs": 50, "training.early_stopping": 2}
    )
    assert trained.outcome.status == "finished"
    assert len(trained.epochs) == 3
    assert trained.outcome.best_epoch == 1
    assert "stopped early" in trained.outcome.note
    assert "2 epochs" in trained.outcome.note
    _, header = load_checkpoint(trained.folder / CHECKPOINT_FILE)
    assert header.epoch == 1


def test_without_early_stopping_every_epoch_is_run(tiny_train: Train) -> None:
    trained = tiny_train({"optimiser.lr": 1e-7, "training.epochs": 6})
    assert len(trained.epochs) == 6
    assert trained.outcome.note == ""


def accuracy_of(model: nn.Module, manifest: Manifest, settings: dict[str, Any]) -> float:
    """Judges a model afresh, one picture at a time, without the training code."""
    transform = EvalTransform(tiny_spec("x", settings).images, LITE0)
    right = 0
    with torch.inference_mode():
        for item in manifest.val:
            image_CHW = transform(decode_image(Path(item.path)), ())
            right += int(model(image_CHW[None]).argmax()) == item.label
    return right / len(manifest.val)


@pytest.mark.parametrize(
    "settings",
    [
        {"training.epochs": 8, "optimiser.name": "sgd", "optimiser.lr": 1.0},
        {"training.epochs": 4, "strategy.name": "full", "optimiser.lr": 0.02},
        {"training.epochs": 3, "images.augmentation": "standard", "model.head": "mlp"},
    ],
    ids=["frozen", "full", "augmented mlp"],
)
def test_the_checkpoint_reaches_the_recorded_accuracy(
    tiny_train: Train, settings: dict[str, Any]
) -> None:
    trained = tiny_train(settings)
    accuracies = trained.series("val/accuracy")
    assert trained.outcome.best_val_accuracy == max(accuracies)
    assert trained.outcome.best_epoch == 1 + accuracies.index(max(accuracies))
    model, header = load_checkpoint(trained.folder / CHECKPOINT_FILE)
    manifest = Manifest.from_file(trained.folder / MANIFEST_FILE)
    assert not model.training
    assert header.epoch == trained.outcome.best_epoch
    assert header.val_accuracy == trained.outcome.best_val_accuracy
    assert tuple(header.classes) == manifest.classes
    assert accuracy_of(model, manifest, settings) == pytest.approx(max(accuracies), abs=1e-6)


def test_predictions_are_of_the_best_epoch(tiny_train: Train) -> None:
    trained = tiny_train({"training.epochs": 8, "optimiser.name": "sgd", "optimiser.lr": 1.0})
    predictions = Predictions.load(trained.folder)
    assert predictions is not None
    assert predictions.epoch == trained.outcome.best_epoch
    assert predictions.probabilities_NK.shape == (NUM_VAL, NUM_CLASSES)
    np.testing.assert_allclose(predictions.probabilities_NK.sum(axis=1), 1.0, rtol=1e-5)
    manifest = Manifest.from_file(trained.folder / MANIFEST_FILE)
    assert predictions.labels_N.tolist() == [item.label for item in manifest.val]


def test_confusion_matrix_and_f1_agree_with_the_best_accuracy(tiny_train: Train) -> None:
    trained = tiny_train()
    predictions = Predictions.load(trained.folder)
    assert predictions is not None
    matrix_KK = confusion_matrix(predictions)
    assert matrix_KK.shape == (NUM_CLASSES, NUM_CLASSES)
    assert matrix_KK.sum() == NUM_VAL
    assert matrix_KK.sum(axis=1).tolist() == [2, 2, 2]
    assert matrix_KK.trace() / NUM_VAL == pytest.approx(trained.outcome.best_val_accuracy)
    best = trained.epochs[trained.outcome.best_epoch - 1]
    expected = f1_score(predictions.labels_N, predictions.predicted_N, average="macro")
    assert best.values["val/f1"] == pytest.approx(expected, abs=1e-6)


def test_a_folder_without_predictions_has_none(tmp_path: Path) -> None:
    assert Predictions.load(tmp_path) is None


# ---- when it goes wrong, or is asked to stop


@pytest.mark.parametrize(
    ("value", "name"), [(math.nan, "NaN"), (math.inf, "infinite")], ids=["nan", "inf"]
)
def test_a_loss_that_is_no_number_ends_training_by_name(
    tiny_session: SetUp, value: float, name: str
) -> None:
    session = tiny_session()
    session.learner.criterion = SpoiledLoss(value, at_call=2)
    with pytest.raises(TrainingError) as caught:
        run_epochs(session)
    message = str(caught.value)
    assert f"The training loss became {name} in epoch 1, step 2" in message
    assert "lower the learning rate (it was 2.8e-03)" in message


@pytest.mark.filterwarnings("ignore:Encountered `nan` values in tensor")
def test_logits_that_are_no_numbers_in_validation_end_training(tiny_session: SetUp) -> None:
    session = tiny_session()
    with torch.no_grad():
        session.model.head[1].weight.fill_(math.nan)
    metrics = EpochMetrics(NUM_CLASSES, session.device)
    with pytest.raises(TrainingError, match="The validation loss became NaN in epoch 4"):
        loop.evaluate(
            4,
            session.model.head,
            session.sources(session.inputs(0), 1)[1],
            session.val_criterion,
            metrics,
            session.reporter,
        )


def test_the_best_epoch_before_a_nan_is_kept(
    tiny_folder: Path, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 2 * STEPS_PER_EPOCH  # training and validation have a loss each
    monkeypatch.setattr(nn, "CrossEntropyLoss", lambda **_: SpoiledLoss(math.nan, calls + 1))
    spec = tiny_spec(tiny_folder, {"training.epochs": 9})
    with pytest.raises(TrainingError, match="epoch 3, step 7"):
        train(spec, tmp_path, recorder)
    assert len(recorder.of_kind("epoch")) == 2
    _, header = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    assert header.epoch in (1, 2)


def test_a_nan_loss_ends_the_run_as_failed_with_that_reason(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn, "CrossEntropyLoss", lambda **_: SpoiledLoss(math.nan, 2))
    store = Store()
    [run] = store.add_runs([("nan", tiny_spec(tiny_folder))])
    store.claim_next(1, "here")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        worker.main(run.id)
    finally:
        signal.signal(signal.SIGTERM, handler)
    ended = store.run(run.id)
    store.close()
    assert ended.status == "failed"
    assert ended.reason.startswith("The training loss became NaN in epoch 1, step 2")
    written = (run_folder(run.id) / worker.TRACEBACK_FILE).read_text()
    assert "Traceback" in written
    assert "TrainingError" in written


def test_a_stop_ends_after_the_present_step_and_keeps_the_best(tiny_train: Train) -> None:
    trained = tiny_train({"training.epochs": 50}, Recorder(stop_at=("step", 8)))
    assert trained.outcome.status == "stopped"
    assert trained.outcome.note == "stopped by hand"
    assert len(trained.steps) == 8
    assert [event.epoch for event in trained.epochs] == [1, 2]
    assert trained.outcome.best_epoch in (1, 2)
    _, header = load_checkpoint(trained.folder / CHECKPOINT_FILE)
    assert header.epoch == trained.outcome.best_epoch
    assert header.val_accuracy == trained.outcome.best_val_accuracy


def test_a_stop_before_the_first_epoch_leaves_no_checkpoint(tiny_train: Train) -> None:
    trained = tiny_train({}, Recorder(stop_at=("progress", 1)))
    assert trained.outcome.status == "stopped"
    assert trained.outcome.best_val_accuracy is None
    assert trained.epochs == []
    assert not (trained.folder / CHECKPOINT_FILE).exists()


def test_a_folder_that_cannot_be_used_is_a_data_error(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        train(tiny_spec(tmp_path / "missing"), tmp_path, recorder)


def test_a_picture_that_goes_away_in_mid_run_is_named(
    own_folder: Path, tmp_path: Path, recorder: Recorder
) -> None:
    session = set_up(
        tiny_spec(own_folder, {"images.augmentation": "flip"}), tmp_path, recorder, 0.0
    )
    lost = Path(session.manifest.train[0].path)
    lost.unlink()
    with pytest.raises(DataError) as caught:
        run_epochs(session)
    message = str(caught.value)
    assert str(lost) in message
    assert "Traceback" not in message
    assert "\n" not in message
