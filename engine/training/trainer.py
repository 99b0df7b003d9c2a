"""A run from spec to best checkpoint, read straight down: set up, train, finish.

Shapes: N validation images, K classes.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from engine.data.loader import EpochBatches, PictureDataset
from engine.data.manifest import MANIFEST_FILE, Item, Manifest, build_manifest
from engine.data.scale import UNIT, Scale, known_scale
from engine.data.transforms import EvalTransform, TrainTransform
from engine.events import Value
from engine.files import write_text
from engine.models.catalogue import BackboneRecord
from engine.models.classifier import Classifier, build_classifier, count_parameters
from engine.spec import RunSpec
from engine.strategies import STRATEGIES, Phase, phase_at
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader
from engine.training.device import choose_device, peak_memory_mib
from engine.training.features import compute_features, measure_scale
from engine.training.loop import Forward, StepLog, evaluate, train_one_epoch
from engine.training.metrics import EpochMetrics
from engine.training.optimisers import build_optimiser, learning_rates
from engine.training.predictions import Predictions
from engine.training.reporter import Preparation, Reporter, StopTrainingError
from engine.training.schedules import lr_factor
from engine.training.sources import FeatureSource, PictureSource, Source, labels_tensor
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, record_speed

WEIGHTS_FILE = "weights.json"
CHECKPOINT_FILE = "best.safetensors"
TELLING_IMAGES = 100


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        status: finished, or stopped by a person.
        best_epoch: with the highest validation accuracy, the first of equals; 0 where no epoch was
            completed.
        best_val_accuracy: fraction; None where no epoch was completed.
        seconds: from the first image looked at to the last file written.
        note: why it ended before its last epoch, if it did.
    """

    status: Literal["finished", "stopped"] = "finished"
    best_epoch: int = 0
    best_val_accuracy: float | None = None
    seconds: float = 0.0
    note: str = ""


@dataclass
class Session:
    """Everything that a run works with once it is set up."""

    spec: RunSpec
    manifest: Manifest
    model: Classifier
    scale: Scale
    phases: tuple[Phase, ...]
    forward: Forward
    train: Source
    val: Source
    optimiser: Optimizer
    scheduler: LambdaLR
    criterion: nn.Module
    device: torch.device
    reporter: Reporter
    checkpoint: BestCheckpoint
    folder: Path
    started: float
    outcome: Outcome = field(default_factory=Outcome)


def train(spec: RunSpec, folder: Path, reporter: Reporter) -> Outcome:
    """Trains a model as its spec says and leaves manifest, best weights and predictions behind.

    Args:
        spec: decides everything.
        folder: the run's own, which exists.
        reporter: is told of each step and epoch, and says when to stop.

    Raises:
        DataError: the images cannot be used.
        WeightsError: the pre-trained weights are missing or do not fit.
        TrainingError: the loss became NaN or infinite, or the device is not there.
    """
    started = time.perf_counter()
    try:
        session = set_up(spec, folder, reporter, started)
    except StopTrainingError:
        return Outcome("stopped", seconds=time.perf_counter() - started, note="stopped by hand")
    try:
        run_epochs(session)
    except StopTrainingError:
        session.outcome.status = "stopped"
        session.outcome.note = "stopped by hand"
    finally:
        session.checkpoint.write()
    session.outcome.seconds = time.perf_counter() - started
    return session.outcome


def set_up(spec: RunSpec, folder: Path, reporter: Reporter, started: float) -> Session:
    """Returns a session that is ready for its first epoch; features are computed by then."""
    device = choose_device(spec.device)
    torch.use_deterministic_algorithms(True, warn_only=True)
    manifest = _manifest(spec, folder, reporter)
    model = build_classifier(spec.model, len(manifest.classes), spec.seed, spec.images.size)
    write_text(folder / WEIGHTS_FILE, json.dumps(model.backbone.origin.to_dict(), indent=1))
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    strategy = STRATEGIES[spec.strategy.name]
    stages = tuple(model.backbone.stages)
    phases = strategy.plan(stages, spec.training.epochs)
    trained = strategy.ever_trainable(stages, spec.training.epochs)
    model.set_trainable(phase_at(phases, 1).trainable)
    reporter.emit("progress", 0, 0, _facts(spec, manifest, model, device))
    scale = _scale(spec, manifest, model.backbone.record, device, reporter)
    train_source, val_source, forward = _sources(
        spec, manifest, model, scale, trained, device, reporter
    )
    optimiser = build_optimiser(spec.optimiser, model, trained)
    num_steps = spec.training.epochs * train_source.num_batches
    scheduler = LambdaLR(optimiser, lambda step: lr_factor(spec.optimiser, step, num_steps))
    return Session(
        spec=spec,
        manifest=manifest,
        model=model,
        scale=scale,
        phases=phases,
        forward=forward,
        train=train_source,
        val=val_source,
        optimiser=optimiser,
        scheduler=scheduler,
        criterion=nn.CrossEntropyLoss(label_smoothing=spec.training.label_smoothing),
        device=device,
        reporter=reporter,
        checkpoint=BestCheckpoint(folder / CHECKPOINT_FILE, model, trained),
        folder=folder,
        started=started,
    )


def run_epochs(session: Session) -> None:
    """Trains and validates epoch by epoch; stops early where the spec says so.

    Raises:
        StopTrainingError: the run was asked to stop.
        TrainingError: the loss became NaN or infinite.
    """
    spec = session.spec.training
    log = StepLog.for_run(session.reporter, spec.epochs * session.train.num_batches)
    torch.manual_seed(session.spec.seed)
    for epoch in range(1, spec.epochs + 1):
        _run_epoch(session, epoch, log)
        since_best = epoch - session.outcome.best_epoch
        if spec.early_stopping and since_best >= spec.early_stopping and epoch < spec.epochs:
            session.outcome.note = (
                f"stopped early: no better validation accuracy in {since_best} epochs"
            )
            return


def _run_epoch(session: Session, epoch: int, log: StepLog) -> None:
    epoch_started = time.perf_counter()
    phase = phase_at(session.phases, epoch)
    session.model.set_trainable(phase.trainable)
    session.model.train_stages(phase.trainable)
    train_metrics = EpochMetrics(len(session.manifest.classes), session.device)
    rates = learning_rates(session.optimiser)
    train_one_epoch(
        epoch,
        session.forward,
        session.train,
        session.criterion,
        session.optimiser,
        session.scheduler,
        train_metrics,
        log,
    )
    train_seconds = time.perf_counter() - epoch_started
    session.model.eval()
    val_metrics = EpochMetrics(len(session.manifest.classes), session.device)
    logits_NK = evaluate(
        epoch, session.forward, session.val, session.criterion, val_metrics, session.reporter
    )
    now = time.perf_counter()
    values: dict[str, Value] = {
        **train_metrics.result("train"),
        **val_metrics.result("val"),
        **rates,
        "images_per_second": session.train.num_images / train_seconds,
        "val_images_per_second": session.val.num_images / (now - epoch_started - train_seconds),
        "seconds": now - epoch_started,
        "elapsed_seconds": now - session.started,
        "peak_memory_mib": peak_memory_mib(session.device),
    }
    _keep_if_best(session, epoch, float(val_metrics.result("val")["val/accuracy"]), logits_NK)
    learns_all = set(phase.trainable) == set(session.model.backbone.stages)
    if learns_all and session.train.num_images >= TELLING_IMAGES:
        speed = Speed(session.train.num_images / train_seconds, session.spec.images.size)
        record_speed(session.spec.model.backbone, TRAIN_FULL, speed)
    session.reporter.emit("epoch", epoch, epoch * session.train.num_batches, values)


def _keep_if_best(session: Session, epoch: int, accuracy: float, logits_NK: Tensor) -> None:
    best = session.outcome.best_val_accuracy
    if best is not None and accuracy <= best:
        return
    session.outcome.best_epoch = epoch
    session.outcome.best_val_accuracy = accuracy
    session.checkpoint.take(
        CheckpointHeader(
            session.spec.model_dump(),
            session.manifest.classes,
            epoch,
            accuracy,
            session.scale.mean,
            session.scale.std,
        )
    )
    labels_N = torch.tensor([item.label for item in session.manifest.val])
    probabilities_NK = logits_NK.softmax(dim=1).numpy()
    Predictions(labels_N.numpy(), probabilities_NK, epoch).save(session.folder)


def _manifest(spec: RunSpec, folder: Path, reporter: Reporter) -> Manifest:
    preparation: Preparation | None = None
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal preparation, seen
        preparation = preparation or Preparation(reporter, "checking pictures", total)
        preparation.advance(done - seen)
        seen = done

    manifest = build_manifest(spec.data, tell)
    write_text(folder / MANIFEST_FILE, json.dumps(manifest.to_dict(), indent=1))
    return manifest


def _facts(
    spec: RunSpec, manifest: Manifest, model: Classifier, device: torch.device
) -> dict[str, Value]:
    batches = EpochBatches(len(manifest.train), spec.training.batch_size, spec.seed, shuffle=True)
    return {
        "task": "ready",
        "steps_per_epoch": len(batches),
        "classes": len(manifest.classes),
        "train_images": len(manifest.train),
        "val_images": len(manifest.val),
        "left_out": len(manifest.left_out),
        "fingerprint": manifest.fingerprint,
        "trainable_parameters": count_parameters(model, trainable_only=True),
        "total_parameters": count_parameters(model),
        "weights": model.backbone.origin.sentence,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
    }


def _scale(
    spec: RunSpec,
    manifest: Manifest,
    record: BackboneRecord,
    device: torch.device,
    reporter: Reporter,
) -> Scale:
    """Returns how pixels are normalised; measures the training images where the spec says so."""
    if spec.images.normalisation != "dataset":
        return known_scale(spec.images, record)
    # Bars are no part of the pictures, so those are measured as they are without them.
    fit = "squash" if spec.images.fit == "pad" else spec.images.fit
    images = spec.images.model_copy(update={"fit": fit})
    dataset = PictureDataset(manifest.train, EvalTransform(images, record, UNIT), spec.seed)
    batches = EpochBatches(len(dataset), spec.training.batch_size, spec.seed, shuffle=False)
    preparation = Preparation(reporter, "measuring colours", len(dataset))
    return measure_scale(PictureSource(dataset, batches, device), preparation)


def _sources(
    spec: RunSpec,
    manifest: Manifest,
    model: Classifier,
    scale: Scale,
    trained: frozenset[str],
    device: torch.device,
    reporter: Reporter,
) -> tuple[Source, Source, Forward]:
    """Returns where training and validation batches come from, and what to run on them.

    Where no stage of the backbone ever learns and pictures are the same in every epoch, the
    backbone's output is too: it is computed once, and only the head is run from then on.
    """
    train_transform = TrainTransform(spec.images, model.backbone.record, scale)
    eval_transform = EvalTransform(spec.images, model.backbone.record, scale)
    batch_size, seed = spec.training.batch_size, spec.seed

    def batches(items: tuple[Item, ...], shuffle: bool) -> EpochBatches:
        return EpochBatches(len(items), batch_size, seed, shuffle)

    def pictures(items: tuple[Item, ...], transform: EvalTransform, shuffle: bool) -> PictureSource:
        dataset = PictureDataset(items, transform, seed)
        return PictureSource(dataset, batches(items, shuffle), device)

    if trained or spec.images.augmentation != "none":
        train_source = pictures(manifest.train, train_transform, shuffle=True)
        return train_source, pictures(manifest.val, eval_transform, shuffle=False), model

    preparation = Preparation(
        reporter, "computing features", len(manifest.train) + len(manifest.val)
    )

    def features(items: tuple[Item, ...], shuffle: bool) -> FeatureSource:
        source = pictures(items, eval_transform, shuffle=False)
        features_ND = compute_features(model.backbone, source, preparation)
        labels_N = labels_tensor([item.label for item in items], device)
        return FeatureSource(features_ND, labels_N, batches(items, shuffle))

    head_sources = features(manifest.train, True), features(manifest.val, False)
    if len(manifest.train) >= TELLING_IMAGES:
        speed = Speed(preparation.images_per_second, spec.images.size)
        record_speed(spec.model.backbone, FORWARD, speed)
    return *head_sources, model.head
