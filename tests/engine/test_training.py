"""Training: frozen means frozen, pairs are fair, runs repeat, the best epoch is what is kept."""

import json
import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score
from torch import Tensor, nn

from engine.data.decode import decode_image
from engine.data.loader import Batch
from engine.data.manifest import Manifest
from engine.data.transforms import EvalTransform
from engine.errors import DataError, TrainingError
from engine.events import MetricEvent
from engine.home import CHECKPOINT_FILE, run_folder
from engine.models.backbone import build_backbone
from engine.models.catalogue import backbone_record, head_parameters
from engine.runs import worker
from engine.runs.store import Store
from engine.training import loop
from engine.training.checkpoint import load_checkpoint
from engine.training.device import choose_device
from engine.training.metrics import EpochMetrics, macro_f1
from engine.training.predictions import Predictions, confusion_matrix
from engine.training.trainer import MANIFEST_FILE, Outcome, Session, run_epochs, set_up, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

LITE0 = backbone_record("efficientnet_lite0")
NUM_TRAIN, NUM_VAL, NUM_CLASSES, STEPS_PER_EPOCH = 18, 6, 3, 3
EPOCH_KEYS = {
    *(f"{split}/{name}" for split in ("train", "val") for name in ("loss", "accuracy", "f1")),
    "lr/head",
    "images_per_second",
    "seconds",
    "elapsed_seconds",
    "peak_memory_mib",
}


@pytest.fixture(autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@dataclass
class Trained:
    outcome: Outcome
    recorder: Recorder
    folder: Path

    @property
    def epochs(self) -> list[MetricEvent]:
        return self.recorder.of_kind("epoch")

    @property
    def steps(self) -> list[MetricEvent]:
        return self.recorder.of_kind("step")

    def series(self, key: str) -> list[float]:
        return [float(event.values[key] or 0.0) for event in self.epochs]


Train = Callable[..., Trained]
SetUp = Callable[..., Session]


@pytest.fixture
def tiny_train(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains on the tiny pictures with the given dotted settings, in a folder of its own."""

    def run(settings: dict[str, Any] | None = None, recorder: Recorder | None = None) -> Trained:
        recorder = recorder or Recorder()
        folder = tmp_path_factory.mktemp("run")
        return Trained(train(tiny_spec(tiny_folder, settings), folder, recorder), recorder, folder)

    return run


@pytest.fixture
def tiny_session(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """Sets up a run on the tiny pictures, ready for its first epoch."""

    def prepare(settings: dict[str, Any] | None = None) -> Session:
        spec = tiny_spec(tiny_folder, settings)
        return set_up(spec, tmp_path_factory.mktemp("run"), Recorder(), 0.0)

    return prepare


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


# ---- settings have their effect


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_every_optimiser_learns(tiny_train: Train, name: str) -> None:
    rate = 0.01 if name == "sgd" else 3e-3
    trained = tiny_train(
        {"optimiser.name": name, "optimiser.lr": rate, "training.epochs": 12},
    )
    losses = trained.series("train/loss")
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_the_optimiser_is_the_one_asked_for(tiny_session: SetUp, name: str, kind: type) -> None:
    session = tiny_session(
        {"optimiser.name": name, "optimiser.weight_decay": 0.02, "strategy.name": "full"}
    )
    optimiser = session.learner.optimiser
    assert type(optimiser) is kind
    assert {group["name"] for group in optimiser.param_groups} == {*LITE0.stage_names, "head"}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.02 if parameter.ndim > 1 else 0.0)
    held = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in session.model.parameters())


def test_weight_decay_pulls_weights_towards_zero(tiny_session: SetUp) -> None:
    norms = []
    for decay in (0.0, 1.0):
        session = tiny_session(
            {"optimiser.weight_decay": decay, "optimiser.lr": 0.03, "training.epochs": 10}
        )
        run_epochs(session)
        norms.append(float(session.model.head[1].weight.detach().norm()))
    assert norms[1] < 0.9 * norms[0]


def test_the_mlp_head_trains(tiny_train: Train) -> None:
    trained = tiny_train(
        {"model.head": "mlp", "model.hidden_units": 32, "training.epochs": 10},
    )
    losses = trained.series("train/loss")
    assert losses[-1] < 0.5 * losses[0]
    model, _ = load_checkpoint(trained.folder / CHECKPOINT_FILE)
    weights = [tuple(parameter.shape) for parameter in model.head.parameters()]
    assert weights == [(32, 1280), (32,), (3, 32), (3,)]


def test_label_smoothing_keeps_the_loss_above_its_floor(tiny_train: Train) -> None:
    settings = {"training.epochs": 40, "optimiser.lr": 3e-3}
    sharp = tiny_train(settings)
    smooth = tiny_train(settings | {"training.label_smoothing": 0.5})
    target = np.array([0.5 + 0.5 / 3, 0.5 / 3, 0.5 / 3])
    floor = float(-(target * np.log(target)).sum())
    assert sharp.series("train/loss")[-1] < 0.5 * floor
    assert smooth.series("train/loss")[-1] >= floor - 1e-6
    assert smooth.series("train/loss")[-1] < 1.5 * floor


def test_augmentation_changes_what_is_learnt_from(tiny_train: Train) -> None:
    plain, augmented = tiny_train(), tiny_train({"images.augmentation": "standard"})
    assert plain.series("train/loss") != augmented.series("train/loss")


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_every_fit_trains(tiny_train: Train, fit: str) -> None:
    trained = tiny_train({"images.fit": fit, "training.epochs": 1})
    assert trained.outcome.status == "finished"
    assert trained.outcome.best_val_accuracy is not None


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match="finds no CUDA GPU here; use auto or cpu"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


def test_the_data_sets_own_scale_is_measured_and_used(tiny_session: SetUp) -> None:
    """Mean and deviation of all pixels that are trained on, as NumPy computes them."""
    session = tiny_session({"images.normalisation": "dataset"})
    pixels = np.stack(
        [
            np.asarray(decode_image(Path(item.path)).resize((64, 64), Image.Resampling.BICUBIC))
            / 255
            for item in session.manifest.train
        ]
    )
    assert session.feed.scale.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), rel=5e-3)
    assert session.feed.scale.std == pytest.approx(pixels.std(axis=(0, 1, 2)), rel=5e-3)
    run_epochs(session)
    session.checkpoint.write()
    _, header = load_checkpoint(session.checkpoint.file)
    assert (header.mean, header.std) == (session.feed.scale.mean, session.feed.scale.std)


def test_bars_are_not_measured(tiny_session: SetUp) -> None:
    padded, squashed = (
        tiny_session({"images.normalisation": "dataset", "images.fit": fit}).feed.scale
        for fit in ("pad", "squash")
    )
    assert padded == squashed


def test_scales_change_what_is_learnt(tiny_train: Train) -> None:
    own, rescaled = (
        tiny_train({"images.normalisation": name}).series("val/loss")
        for name in ("backbone", "rescale")
    )
    assert own != rescaled


def test_an_exponential_schedule_is_followed_step_by_step(tiny_train: Train) -> None:
    trained = tiny_train(
        {
            "optimiser.schedule": "exponential",
            "optimiser.decay_rate": 0.5,
            "optimiser.decay_steps": 2,
        }
    )
    rates = [float(event.values["lr/head"] or 0.0) for event in trained.steps]
    assert rates == pytest.approx([3e-3 * 0.5 ** (step / 2) for step in range(len(rates))])
