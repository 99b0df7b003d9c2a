"""The learning-rate finder: the loss while the rate of the head, or of the backbone, rises.

Everything is tried on a copy of the model, so the session stays as it was, random state included.
A session is taken as it is before its first epoch.

Source: Smith 2015 (range test); Howard & Gugger 2020 (fastai's settings and rules).
"""

import copy
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from engine.data.loader import Batch
from engine.models.classifier import Classifier
from engine.spec import RunSpec, field_range
from engine.training.device import memory_errors
from engine.training.loop import Forward, Learner
from engine.training.optimisers import HEAD, build_optimiser
from engine.training.passes import Passes
from engine.training.plan import same_every_epoch
from engine.training.pull import PullToStart
from engine.training.range_test import (
    DIVERGED,
    NUM_STEPS,
    Group,
    RangeTest,
    RunningMean,
    analyse,
    learning_stages,
    smoothing_for,
    written,
)
from engine.training.reporter import Reporter, StopTrainingError
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.sources import FeatureSource, Source

WARM_STEPS = 30


@dataclass(frozen=True)
class Limits:
    """How much a range test may cost.

    Attributes:
        num_steps: optimiser steps from the smallest rate to the largest.
        seconds: if all steps would take longer, there are fewer of them.
        least_steps: but no fewer than this, however long it takes.
    """

    num_steps: int = NUM_STEPS
    seconds: float = 120.0
    least_steps: int = 40


@memory_errors()
def find_for_spec(
    spec: RunSpec, reporter: Reporter, limits: Limits | None = None
) -> tuple[RangeTest, RangeTest]:
    """Returns the range tests of head and backbone for a run that need not exist.

    Raises:
        DataError: the images cannot be used.
        WeightsError: the pre-trained weights are missing or do not fit.
        SpecError: the model cannot be built.
        TrainingError: the GPU has too little memory.
        StopTrainingError: it was asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="thaw-lr-") as folder:
        session = set_up(spec, Path(folder), reporter, time.perf_counter())
        return find_both(session, limits)


def find_both(session: Session, limits: Limits | None = None) -> tuple[RangeTest, RangeTest]:
    """Returns the range tests of head and backbone; see `find_rates`."""
    with _same_randomness(session.device):
        bench = _Bench(session, limits or Limits())
        head = bench.head()
        return head, bench.backbone(lambda: head)


def find_rates(session: Session, group: Group, limits: Limits | None = None) -> RangeTest:
    """Returns the range test of one part of a model.

    The head is tested on a frozen backbone, on features where the run would use them. The backbone
    is tested under a head that was trained first, for a few steps on features at the rate that its
    own test suggests, and is kept still then: what an untrained head sends down says little. Each
    stage that ever learns under the strategy does so at its greatest factor on the backbone's
    rate. Where none does, the test has no curve and says why.

    Args:
        session: a run that has been set up; it is not touched.
        group: the part that is tested.
        limits: how much the test may cost.

    Raises:
        StopTrainingError: the session's reporter asked to stop.
    """
    with _same_randomness(session.device):
        bench = _Bench(session, limits or Limits())
        return bench.head() if group == "head" else bench.backbone(bench.head)


@contextmanager
def _same_randomness(device: torch.device) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


class _Bench:
    """Where copies of a session's model are tried."""

    def __init__(self, session: Session, limits: Limits):
        self._session = session
        self._limits = limits
        self._feed = session.feed.for_spec(session.spec, session.reporter)

    def head(self) -> RangeTest:
        """Returns the range test of the head on a frozen backbone."""
        learner = self._fresh_learner()
        model = learner.model
        kept = same_every_epoch(self._session.spec)
        source: Source = self._features(model) if kept else self._feed.pictures()[0]
        model.set_trainable(())
        model.train_stages((), self._session.batch_norm)
        method = "Only the head learnt, " + (
            "from features that the backbone gave once."
            if kept
            else "on a frozen backbone that saw changed pictures in each step."
        )
        forward: Forward = model.head if kept else model
        return self._sweep("head", learner, forward, source, {HEAD: 1.0}, method)

    def backbone(self, head: Callable[[], RangeTest]) -> RangeTest:
        """Returns the range test of all stages that ever learn; `head` gives that of the head."""
        session = self._session
        stages = learning_stages(session.learner.rates.plan.phases)
        factors = {name: one for name, one in stages.items() if session.model.learning[name]}
        if not factors:
            reason = (
                f"No stage of the backbone learns under {session.strategy.label}, so it needs no "
                "learning rate."
            )
            return RangeTest("backbone", (), (), (), None, reason)
        head_rate = head().suggestion or session.spec.optimiser.lr
        learner = self._fresh_learner()
        model = learner.model
        self._warm_up(learner, head_rate)
        model.head.requires_grad_(False)
        model.set_trainable(factors)
        model.train_stages(factors, session.batch_norm)
        method = (
            f"The head was trained first, {WARM_STEPS} steps on features at {written(head_rate)}, "
            f"and then kept still; {_which(factors, len(model.backbone.stages))}."
        )
        forward = Passes(session.spec, model).plain()
        return self._sweep("backbone", learner, forward, self._feed.pictures()[0], factors, method)

    def _fresh_learner(self) -> Learner:
        session = self._session
        torch.manual_seed(session.spec.seed)
        model = copy.deepcopy(session.model)
        pull = session.strategy.pull
        return replace(
            session.learner,
            model=model,
            optimiser=build_optimiser(session.spec.optimiser, model, decays=pull is None),
            penalty=None if pull is None else PullToStart(pull(session.spec.strategy), model),
            average=None,
        )

    def _features(self, model: Classifier) -> FeatureSource:
        return self._feed.features(model.backbone)[0]

    def _warm_up(self, learner: Learner, rate: float) -> None:
        model = learner.model
        source = self._features(model)
        model.set_trainable(())
        model.train_stages(())
        _set(learner, {HEAD: rate})
        for step, (features_BD, labels_B, _) in enumerate(
            islice(_endless(source), WARM_STEPS), start=1
        ):
            learner.learn(model.head, features_BD, labels_B)
            learner.descend(step)
        learner.optimiser.zero_grad(set_to_none=True)

    def _sweep(
        self,
        group: Group,
        learner: Learner,
        forward: Forward,
        source: Source,
        factors: Mapping[str, float],
        method: str,
    ) -> RangeTest:
        """Returns the loss of each step while the rate rises from its least to its greatest."""
        batches = _endless(source)
        num_steps = self._affordable_steps(learner, forward, batches)
        smoothing = smoothing_for(num_steps)
        mean, best = RunningMean(smoothing), math.inf
        rates = np.geomspace(*field_range("optimiser.lr"), num_steps).tolist()
        losses: list[float] = []
        for step, (rate, batch) in enumerate(zip(rates, batches, strict=False), start=1):
            _set(learner, {name: rate * factor for name, factor in factors.items()})
            value = _learn(learner, forward, batch, step)
            if not math.isfinite(value):
                break
            losses.append(value)
            self._tell(group, step, num_steps)
            smoothed = mean.add(value)
            best = min(best, smoothed)
            if smoothed > DIVERGED * best:
                break
            learner.descend(step)
        return analyse(group, rates[: len(losses)], losses, method, smoothing)

    def _affordable_steps(
        self, learner: Learner, forward: Forward, batches: Iterator[Batch]
    ) -> int:
        """Returns how many steps fit the limit, judged by two that change no weight."""
        limits = self._limits
        if math.isinf(limits.seconds):
            return limits.num_steps
        started = 0.0
        for step, batch in enumerate(islice(batches, 3)):
            _learn(learner, forward, batch, step)
            if step == 0:  # the first batch also waits for what decodes pictures
                started = time.perf_counter()
        learner.optimiser.zero_grad(set_to_none=True)
        seconds = (time.perf_counter() - started) / 2
        wanted = int(limits.seconds / max(seconds, 1e-9))
        return min(max(wanted, limits.least_steps), limits.num_steps)

    def _tell(self, group: Group, done: int, total: int) -> None:
        reporter = self._session.reporter
        task = f"trying rates for the {group}"
        reporter.emit("progress", 0, 0, {"task": task, "done": done, "total": total})
        if reporter.should_stop():
            raise StopTrainingError


def _which(factors: Mapping[str, float], num_stages: int) -> str:
    """Returns in words which stages learn, and at what share of the rate."""
    count = "all" if len(factors) == num_stages else f"{len(factors)} of {num_stages}"
    low, high = min(factors.values()), max(factors.values())
    if low == high == 1.0:
        return f"{count} stages of the backbone learnt"
    share = f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"
    return f"{count} stages of the backbone learnt, at {share} times the rate shown"


def _endless(source: Source) -> Iterator[Batch]:
    epoch = 0
    while True:
        epoch += 1
        yield from source.epoch(epoch)


def _set(learner: Learner, rates: Mapping[str, float]) -> None:
    for group in learner.optimiser.param_groups:
        group["lr"] = rates.get(group["name"], 0.0)


def _learn(learner: Learner, forward: Forward, batch: Batch, step: int) -> float:
    """Adds up the gradients of a batch, and returns its loss."""
    inputs, labels_B, _ = batch
    mixed, targets = learner.mixer(inputs, labels_B, step)
    return float(learner.learn(forward, mixed, targets)[0])
