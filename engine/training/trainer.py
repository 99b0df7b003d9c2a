"""A run from spec to best checkpoint, read straight down: set up, train, finish.

Shapes: N validation images, K classes.
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from engine.data.manifest import MANIFEST_FILE
from engine.events import Value
from engine.models.classifier import count_parameters
from engine.spec import Act, RunSpec
from engine.strategies import phase_at
from engine.training.blending import blend_and_judge, keep_start
from engine.training.checkpoint import CheckpointHeader
from engine.training.device import memory_errors, peak_memory_mib, threads_for
from engine.training.elsewhere import known_manifest
from engine.training.feeding import TELLING_IMAGES, Inputs
from engine.training.layout import blank_images
from engine.training.loop import Forward, StepLog, evaluate, train_one_epoch
from engine.training.metrics import EpochMetrics
from engine.training.passes import compile_errors
from engine.training.predictions import Predictions
from engine.training.repeatable import insist_where_possible
from engine.training.reporter import Reporter, StopTrainingError
from engine.training.resume import acts_ahead, restore, state_of
from engine.training.session import (
    CHECKPOINT_FILE,
    HEAD_ALONE,
    WEIGHTS_FILE,
    Outcome,
    Session,
    set_up,
)
from engine.training.sources import Source
from engine.training.speeds import TRAIN_FULL, Speed, record_speed
from engine.training.state import StateKeeper, newest_state, reason_of
from engine.training.steering import begin_epoch, steer

__all__ = [
    "CHECKPOINT_FILE",
    "MANIFEST_FILE",
    "WEIGHTS_FILE",
    "Outcome",
    "Session",
    "run_epochs",
    "set_up",
    "train",
]


@memory_errors()
def train(spec: RunSpec, folder: Path, reporter: Reporter, recorded: Sequence[Act] = ()) -> Outcome:
    """Trains a model as its spec says and leaves manifest, best weights and predictions behind.

    Where the folder holds a state of the run, it goes on from there.

    Args:
        spec: decides everything.
        folder: the run's own, which exists.
        reporter: is told of each step and epoch, and says when to stop.
        recorded: acts that took effect before it was interrupted, with their steps; those that a
            state does not know yet take effect at the same steps again.

    Raises:
        DataError: the images cannot be used.
        WeightsError: the pre-trained weights are missing or do not fit.
        TrainingError: the loss became NaN or infinite, the device is not there or its memory is
            too small.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    try:
        session = _set_up_or_resume(spec, folder, reporter, started, recorded)
    except StopTrainingError:
        return Outcome("stopped", seconds=time.perf_counter() - started, note="stopped by hand")
    try:
        run_epochs(session)
        blend_and_judge(session)
    except StopTrainingError:
        session.outcome.status = "stopped"
        session.outcome.note = "stopped by hand"
    finally:
        session.checkpoint.write()
    if session.outcome.status == "finished" and session.keeper is not None:
        session.keeper.clear()
    late = (*session.waiting, *reporter.take_acts())
    session.outcome.acts_too_late = tuple(act.sentence for act in late)
    session.outcome.seconds = time.perf_counter() - session.started
    session.outcome.cpu_seconds = time.process_time() - cpu_started
    return session.outcome


def _set_up_or_resume(
    spec: RunSpec, folder: Path, reporter: Reporter, started: float, recorded: Sequence[Act]
) -> Session:
    state, damaged = newest_state(folder)
    for sentence in damaged:
        reporter.emit("progress", 0, 0, {"task": "state", "state_note": sentence})
    # Files that came since do not belong to a run that had begun.
    manifest = None if state is None else known_manifest(spec.data, folder)
    session = set_up(spec, folder, reporter, started, manifest=manifest)
    session.keeper = StateKeeper(folder)
    if state is not None:
        restore(session, state)
    step = session.resumed_after * session.learner.rates.plan.steps_per_epoch
    session.waiting = acts_ahead(session.waiting, recorded, step)
    if state is not None or damaged:
        told: dict[str, Value] = {"task": "resumed", "resumed_after": session.resumed_after}
        reporter.emit("progress", session.resumed_after, step, told)
    return session


def run_epochs(session: Session) -> None:
    """Trains and validates epoch by epoch; stops early where the spec says so.

    Raises:
        StopTrainingError: the run was asked to stop.
        TrainingError: the loss became NaN or infinite.
    """
    spec = session.spec.training
    num_steps = spec.epochs * session.learner.rates.plan.steps_per_epoch
    log = StepLog.for_run(session.reporter, num_steps)
    for epoch in range(session.resumed_after + 1, spec.epochs + 1):
        if _is_over(session, epoch - 1):
            return
        keep_start(session, epoch)
        _run_epoch(session, epoch, log)
        _keep_state(session)


def _is_over(session: Session, epoch: int) -> bool:
    """Returns whether a run that has completed an epoch is to stop early, and notes why."""
    spec = session.spec.training
    if not spec.early_stopping or not 1 <= epoch < spec.epochs:
        return False
    # A phase that has just begun is given its time.
    phase_start = phase_at(session.learner.rates.plan.phases, epoch).start_epoch
    since_best = epoch - max(session.outcome.best_epoch, phase_start - 1)
    if since_best < spec.early_stopping:
        return False
    session.outcome.note = f"stopped early: no better validation accuracy in {since_best} epochs"
    return True


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def _keep_state(session: Session) -> None:
    """Writes what the run has come to, where it is time to."""
    keeper = session.keeper
    if keeper is None or not keeper.is_due or session.epoch == session.spec.training.epochs:
        return
    try:
        # The best epoch so far must be on disk for a state that says there was one.
        session.checkpoint.write()
        keeper.write(state_of(session, time.perf_counter() - session.started))
    except (OSError, SafetensorError) as error:
        sentence = (
            f"What the run has come to cannot be written ({reason_of(error)}); it goes on, "
            "and could be resumed only from an earlier epoch."
        )
        told: dict[str, Value] = {"task": "state", "state_note": sentence}
        session.reporter.emit("progress", session.epoch, 0, told)


def _run_epoch(session: Session, epoch: int, log: StepLog) -> None:
    epoch_started = time.perf_counter()
    session.epoch = epoch
    inputs = begin_epoch(session, epoch)
    session.ran_on = "" if inputs is None else inputs.cut.stage or HEAD_ALONE
    batch_size = session.spec.training.batch_size
    learns = session.model.head if _is_head_alone(inputs) else session.model
    with threads_for(batch_size * count_parameters(learns)):
        _train_and_judge(session, epoch, log, inputs, epoch_started)


@dataclass(frozen=True)
class _Start:
    """What an epoch began with: the stages that learn, and the side of its pictures in px."""

    learning: set[str]
    size: int


def _is_head_alone(inputs: Inputs | None) -> bool:
    return inputs is not None and inputs.cut.stage is None


def _train_and_judge(
    session: Session, epoch: int, log: StepLog, inputs: Inputs | None, epoch_started: float
) -> None:
    before = _steps_before(session, epoch)
    start = _Start(set(session.trainable(before)), session.train_size(epoch))
    train_source, val_source, forward, judged_forward = session.sources(inputs, epoch)
    on_head_alone = _is_head_alone(inputs)
    if on_head_alone:
        session.model.head.train()
    else:
        learning = session.trainable(_steps_before(session, epoch))
        session.model.train_stages(learning, session.batch_norm)
    _insist_on_repeating(session, start, train_source, inputs, forward)
    train_metrics = EpochMetrics(len(session.manifest.classes), session.device)
    rates = session.learner.rates.set(_steps_before(session, epoch))
    # What is drawn in an epoch does not depend on what was drawn before, so that one that was cut
    # off can be done again.
    torch.manual_seed(_epoch_seed(session.spec.seed, epoch))
    with compile_errors(session.spec, session.model):
        train_one_epoch(
            epoch,
            forward,
            train_source,
            session.learner,
            train_metrics,
            log,
            lambda step: steer(session, epoch, step, inputs),
        )
    train_seconds = time.perf_counter() - epoch_started
    (session.judged.head if on_head_alone else session.judged).eval()
    val_metrics = EpochMetrics(len(session.manifest.classes), session.device)
    still = nullcontext() if on_head_alone else session.feed.folded(session.judged.backbone)
    with still:
        logits_NK = evaluate(
            epoch,
            session.learner.precision.wrapped(judged_forward),
            val_source,
            session.val_criterion,
            val_metrics,
            session.reporter,
        )
    now = time.perf_counter()
    values: dict[str, Value] = {
        **train_metrics.result("train"),
        **val_metrics.result("val"),
        **rates,
        **_penalty(session),
        "images_per_second": train_source.num_images / train_seconds,
        "val_images_per_second": val_source.num_images / (now - epoch_started - train_seconds),
        "seconds": now - epoch_started,
        "elapsed_seconds": now - session.started,
        "peak_memory_mib": peak_memory_mib(session.device),
    }
    session.learner.rates.measured(float(val_metrics.result("val")["val/loss"]))
    _keep_if_best(session, epoch, float(val_metrics.result("val")["val/accuracy"]), logits_NK)
    _note_speed(session, start, train_source.num_images, train_seconds)
    session.reporter.emit("epoch", epoch, epoch * train_source.num_batches, values)


def _insist_on_repeating(
    session: Session, start: _Start, source: Source, inputs: Inputs | None, forward: Forward
) -> None:
    """Has the device compute an epoch in ways that repeat; tried when other stages learn."""
    learning = frozenset(start.learning)
    if not learning:
        return
    if learning in session.repeats:
        torch.use_deterministic_algorithms(True, warn_only=not session.repeats[learning])
        return
    # Compiling is left to the first step.
    passes = session.passes.plain() if inputs is None else forward
    num_images = math.ceil(source.num_images / source.num_batches)
    num_images = math.ceil(num_images / session.spec.training.accumulation)
    batch = (
        blank_images(num_images, start.size, session.device, session.feed.layout)
        if inputs is None
        else inputs.cut.blank(num_images, session.device)
    )

    def logits() -> Tensor:
        with session.learner.precision.computing():
            return passes(batch)

    session.repeats[learning] = insist_where_possible(session.model, logits)


def _steps_before(session: Session, epoch: int) -> int:
    return (epoch - 1) * session.learner.rates.plan.steps_per_epoch


@torch.no_grad()
def _penalty(session: Session) -> dict[str, float]:
    penalty = session.learner.penalty
    return {} if penalty is None else {"train/pull": float(penalty())}


def _note_speed(session: Session, start: _Start, num_images: int, seconds: float) -> None:
    """Keeps the speed where every weight learnt all the time, of which estimates are made."""
    training = session.spec.training
    is_usual = not (training.compile or training.gradient_checkpointing)
    every = set(session.model.backbone.stages)
    whole = session.strategy.select == "all" and start.learning == every
    if is_usual and whole and num_images >= TELLING_IMAGES:
        speed = Speed(num_images / seconds, start.size)
        record_speed(session.spec.model.backbone, TRAIN_FULL, speed)


def _keep_if_best(session: Session, epoch: int, accuracy: float, logits_NK: Tensor) -> None:
    best = session.outcome.best_val_accuracy
    if best is not None and accuracy <= best:
        return
    session.outcome.best_epoch = epoch
    session.outcome.best_val_accuracy = accuracy
    header = CheckpointHeader.of(
        session.spec, session.manifest.classes, epoch, accuracy, session.feed.scale
    )
    session.checkpoint.take(header, session.moved)
    Predictions.of_logits(session.manifest, logits_NK, epoch).save(session.folder)
