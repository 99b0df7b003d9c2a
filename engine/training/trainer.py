"""A run from spec to best checkpoint, read straight down: set up, train, finish.

Shapes: N validation images, K classes.
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.data.manifest import MANIFEST_FILE
from engine.events import Value
from engine.models.classifier import count_parameters
from engine.spec import Act, RunSpec
from engine.strategies import phase_at
from engine.training.before import judge_before
from engine.training.blending import blend_and_judge, keep_start
from engine.training.checkpoint import CheckpointHeader
from engine.training.device import memory_errors, peak_memory_mib, threads_for
from engine.training.elsewhere import known_manifest
from engine.training.features import BATCH_SIZE
from engine.training.feeding import TELLING_IMAGES, Inputs
from engine.training.judge_layers import layer_values, watch_stages
from engine.training.keeping import keep_state, keep_within, pause
from engine.training.layout import blank_images
from engine.training.loop import Forward, evaluate, train_one_epoch
from engine.training.memory import in_parts
from engine.training.metrics import EpochMetrics
from engine.training.passes import compile_errors
from engine.training.predictions import Predictions
from engine.training.repeatable import insist_where_possible
from engine.training.reporter import Pauser, Reporter, StopTrainingError
from engine.training.representation import Watch
from engine.training.resume import acts_ahead, features_at_once, restore
from engine.training.session import HEAD_ALONE, Outcome, Session
from engine.training.setting_up import set_up
from engine.training.sources import Source
from engine.training.speeds import TRAIN_FULL, Speed, record_speed
from engine.training.state import StateKeeper, newest_state
from engine.training.steering import begin_epoch, steer
from engine.training.within import Within
from engine.update.judging import of_logits

__all__ = [
    "MANIFEST_FILE",
    "Outcome",
    "Session",
    "run_epochs",
    "set_up",
    "train",
]


@memory_errors()
def train(
    spec: RunSpec,
    folder: Path,
    reporter: Reporter,
    recorded: Sequence[Act] = (),
    pauser: Pauser | None = None,
) -> Outcome:
    """Trains a model as its spec says and leaves manifest, best weights and predictions behind.

    Where the folder holds a state of the run, it goes on from there.

    Args:
        spec: decides everything.
        folder: the run's own, which exists.
        reporter: is told of each step and epoch, and says when to stop.
        recorded: acts that took effect before it was interrupted, with their steps; those that a
            state does not know yet take effect at the same steps again.
        pauser: says whether the run is to pause where it is to stop; None where it never is.

    Raises:
        DataError: the images cannot be used.
        WeightsError: the pre-trained weights are missing or do not fit.
        TrainingError: the loss became NaN or infinite, the device is not there or its memory is
            too small.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    try:
        session = _set_up_or_resume(spec, folder, reporter, started, recorded)
        judge_before(session)
    except StopTrainingError:
        seconds = time.perf_counter() - started
        if pauser is not None and pauser.should_pause():
            # What it had kept is as it was.
            return Outcome("paused", seconds=seconds, note="paused while it was prepared")
        return Outcome("stopped", seconds=seconds, note="stopped by hand")
    try:
        while not _trains_to_an_end(session, pauser):
            pass
    finally:
        session.checkpoint.write()
    if session.outcome.status == "finished" and session.keeper is not None:
        session.keeper.clear()
    late = (*session.waiting, *reporter.take_acts())
    session.outcome.acts_too_late = tuple(act.sentence for act in late)
    session.outcome.seconds = time.perf_counter() - session.started
    session.outcome.cpu_seconds = time.process_time() - cpu_started
    return session.outcome


def _trains_to_an_end(session: Session, pauser: Pauser | None) -> bool:
    """Returns whether a run has ended or paused; False where it could not pause and is to go on."""
    try:
        run_epochs(session)
        blend_and_judge(session)
    except StopTrainingError:
        if pauser is not None and pauser.should_pause():
            return pause(session, pauser)
        session.outcome.status = "stopped"
        session.outcome.note = "stopped by hand"
    return True


def _set_up_or_resume(
    spec: RunSpec, folder: Path, reporter: Reporter, started: float, recorded: Sequence[Act]
) -> Session:
    state, damaged = newest_state(folder)
    if damaged and state is None:
        damaged.append("No state of the run is whole, so it begins anew.")
    for sentence in damaged:
        reporter.emit("progress", 0, 0, {"task": "state", "state_note": sentence})
    # Files that came since do not belong to a run that had begun.
    manifest = None if state is None else known_manifest(spec.data, folder, reporter)
    at_once = BATCH_SIZE if state is None else features_at_once(state)
    session = set_up(spec, folder, reporter, started, manifest=manifest, features_at_once=at_once)
    session.keeper = StateKeeper(folder)
    if damaged:
        # Else it would be taken for newer than what is about to be written.
        session.keeper.forget_newer(state)
    if state is not None:
        restore(session, state)
    step = _steps_before(session, session.resumed_after + 1)
    if session.within is not None:
        step += session.within.num_steps
    session.waiting = acts_ahead(session.waiting, recorded, step)
    if state is not None or damaged:
        told: dict[str, Value] = {"task": "resumed", "resumed_after": session.resumed_after}
        reporter.emit("progress", session.resumed_after, step, told)
    return session


def run_epochs(session: Session) -> None:
    """Trains and validates epoch by epoch; stops early where the spec says so.

    Goes on from whatever the session has come to.

    Raises:
        StopTrainingError: the run was asked to stop.
        TrainingError: the loss became NaN or infinite.
    """
    first = session.epoch + (session.within is None)
    for epoch in range(first, session.spec.training.epochs + 1):
        if session.within is None:
            if _is_over(session, epoch - 1):
                return
            keep_start(session, epoch)
        _run_epoch(session, epoch)
        keep_state(session)


def _is_over(session: Session, epoch: int) -> bool:
    """Returns whether a run that has completed an epoch is to end there, and notes why."""
    if not 1 <= epoch < session.spec.training.epochs:
        return False
    return _learns_no_more(session, epoch) or _has_no_more_time(session)


def _has_no_more_time(session: Session) -> bool:
    minutes = session.spec.training.max_minutes
    if not minutes or session.trained_seconds < 60 * minutes:
        return False
    session.outcome.note = f"stopped after {minutes:g} minute{'s'[: minutes != 1]}, as asked"
    return True


def _learns_no_more(session: Session, epoch: int) -> bool:
    spec = session.spec.training
    if not spec.early_stopping:
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


def _run_epoch(session: Session, epoch: int) -> None:
    inputs = _begin(session, epoch) if session.within is None else session.same_inputs()
    assert session.within is not None
    batch_size = session.spec.training.batch_size
    learns = session.model.head if _is_head_alone(inputs) else session.model
    with threads_for(batch_size * count_parameters(learns)):
        _train_and_judge(session, session.within, epoch, inputs)
    session.within = None


def _begin(session: Session, epoch: int) -> Inputs | None:
    """Enters an epoch, and returns what it runs on, where that is not pictures."""
    began = time.perf_counter()
    session.rates_before = session.rates_before or session.learner.rates.state()
    inputs = begin_epoch(session, epoch)
    session.rates_before = None
    session.ran_on = "" if inputs is None else inputs.cut.stage or HEAD_ALONE
    before = _steps_before(session, epoch)
    session.epoch = epoch
    session.within = Within(
        learning=set(session.trainable(before)),
        size=session.train_size(epoch),
        rates=session.learner.rates.set(before),
        began=began,
        metrics=EpochMetrics(len(session.manifest.classes), session.device),
        log=session.step_log(),
    )
    return inputs


def _is_head_alone(inputs: Inputs | None) -> bool:
    return inputs is not None and inputs.cut.stage is None


def _train_and_judge(session: Session, within: Within, epoch: int, inputs: Inputs | None) -> None:
    sources = session.sources(inputs, epoch, within.size)
    train_source, val_source, forward, judged_forward = sources
    _train(session, within, epoch, inputs, train_source, forward)
    trained = time.perf_counter()
    val_metrics = EpochMetrics(len(session.manifest.classes), session.device)
    watch = watch_stages(session, inputs)
    logits_NK = _judge(session, epoch, inputs, val_source, judged_forward, val_metrics, watch)
    now, train_seconds = time.perf_counter(), trained - within.began
    values: dict[str, Value] = {
        **within.metrics.result("train"),
        **val_metrics.result("val"),
        **within.rates,
        **_penalty(session),
        **of_logits(session.manifest, logits_NK),
        "images_per_second": train_source.num_images / train_seconds,
        "val_images_per_second": val_source.num_images / (now - trained),
        "seconds": now - within.began,
        "elapsed_seconds": now - session.started,
        "peak_memory_mib": peak_memory_mib(session.device),
        **layer_values(session, inputs, watch.features()),
    }
    session.trained_seconds += now - within.began
    session.learner.rates.measured(float(val_metrics.result("val")["val/loss"]))
    _keep_if_best(session, epoch, float(val_metrics.result("val")["val/accuracy"]), logits_NK)
    _note_speed(session, within, train_source.num_images, train_seconds)
    session.reporter.emit("epoch", epoch, epoch * train_source.num_batches, values)


def _judge(
    session: Session,
    epoch: int,
    inputs: Inputs | None,
    source: Source,
    forward: Forward,
    metrics: EpochMetrics,
    watch: Watch,
) -> Tensor:
    on_head_alone = _is_head_alone(inputs)
    (session.judged.head if on_head_alone else session.judged).eval()
    still = nullcontext() if on_head_alone else session.feed.folded(session.judged.backbone)
    with still, watch.hooked():
        return evaluate(
            epoch,
            watch.forward(session.learner.precision.wrapped(forward)),
            watch.source(source),
            session.val_criterion,
            metrics,
            session.reporter,
            session.judging,
        )


def _train(
    session: Session,
    within: Within,
    epoch: int,
    inputs: Inputs | None,
    source: Source,
    forward: Forward,
) -> None:
    learning = session.trainable(_steps_before(session, epoch))
    if within.random is not None:
        session.model.set_trainable(learning)
    if _is_head_alone(inputs):
        session.model.head.train()
    else:
        session.model.train_stages(learning, session.batch_norm)
    _insist_on_repeating(session, frozenset(learning), within.size, source, inputs, forward)
    if not within.num_steps:
        within.log.restart(time.perf_counter())
    # What is drawn in an epoch does not depend on what was drawn before, so that one that was cut
    # off can be done again.
    torch.manual_seed(_epoch_seed(session.spec.seed, epoch))
    within.draw_on()

    def after_step(num_steps: int) -> None:
        within.num_steps = num_steps
        keep_within(session)

    with compile_errors(session.spec, session.model):
        train_one_epoch(
            epoch,
            forward,
            source,
            session.learner,
            within.metrics,
            within.log,
            lambda step: steer(session, epoch, step, inputs),
            after_step,
            within.num_steps,
        )


def _insist_on_repeating(
    session: Session,
    learning: frozenset[str],
    size: int,
    source: Source,
    inputs: Inputs | None,
    forward: Forward,
) -> None:
    """Has the device compute an epoch in ways that repeat; tried when other stages learn."""
    if not learning:
        return
    if learning in session.repeats:
        torch.use_deterministic_algorithms(True, warn_only=not session.repeats[learning])
        return
    # Compiling is left to the first step.
    passes = session.passes.plain() if inputs is None else forward
    num_images = math.ceil(source.num_images / source.num_batches)

    def try_it(parts: int) -> bool:
        num_at_once = math.ceil(num_images / parts)
        batch = (
            blank_images(num_at_once, size, session.device, session.feed.layout)
            if inputs is None
            else inputs.cut.blank(num_at_once, session.device)
        )

        def logits() -> Tensor:
            with session.learner.precision.computing():
                return passes(batch)

        return insist_where_possible(session.model, logits)

    parts = session.learner.accumulation
    session.repeats[learning], _ = in_parts(try_it, parts, num_images)


def _steps_before(session: Session, epoch: int) -> int:
    return (epoch - 1) * session.learner.rates.plan.steps_per_epoch


@torch.no_grad()
def _penalty(session: Session) -> dict[str, float]:
    penalty = session.learner.penalty
    return {} if penalty is None else {"train/pull": float(penalty())}


def _note_speed(session: Session, within: Within, num_images: int, seconds: float) -> None:
    """Keeps the speed where every weight learnt all the time, of which estimates are made."""
    training = session.spec.training
    is_usual = not (training.compile or training.gradient_checkpointing)
    every = set(session.model.backbone.stages)
    whole = session.strategy.select == "all" and within.learning == every
    if is_usual and whole and num_images >= TELLING_IMAGES:
        speed = Speed(num_images / seconds, within.size)
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
