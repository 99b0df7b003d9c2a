"""Everything that a run works with, set up from its spec."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine.data.manifest import Manifest
from engine.models.classifier import Classifier
from engine.spec import Act, BatchNormMode, RunSpec
from engine.strategies import Strategy
from engine.training.checkpoint import BestCheckpoint
from engine.training.feeding import Feed, Inputs
from engine.training.layers import Layers
from engine.training.loop import Forward, Learner, StepLog
from engine.training.memory import Judging
from engine.training.passes import Passes, after_cut
from engine.training.plan import same_every_epoch
from engine.training.reporter import Reporter
from engine.training.sizes import train_size
from engine.training.sources import Source
from engine.training.state import StateKeeper
from engine.training.within import Within
from engine.update.distillation import Distillation
from engine.update.start import Start

HEAD_ALONE = "the head"


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        status: finished, or stopped or paused by a person.
        best_epoch: with the highest validation accuracy, the first of equals; 0 where no epoch was
            completed.
        best_val_accuracy: fraction; None where no epoch was completed.
        seconds: from the first image looked at to the last file written.
        cpu_seconds: that the training process kept processors busy in that time; other processes
            on the machine hardly change it.
        note: why it ended before its last epoch, or where it was paused, if it was.
        blend: metrics of the kept model and its `alpha`, where it is a blend of two others.
        acts_too_late: sentences of the acts that no step was left for.
    """

    status: Literal["finished", "stopped", "paused"] = "finished"
    best_epoch: int = 0
    best_val_accuracy: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    note: str = ""
    blend: dict[str, float] | None = None
    acts_too_late: tuple[str, ...] = ()


@dataclass
class Session:
    """A run that has been set up.

    Attributes:
        spec: decides everything.
        manifest: the images.
        strategy: that the spec names.
        model: learns.
        learner: takes the steps.
        val_criterion: the loss on validation images, without weights of classes.
        feed: gives batches.
        passes: of the model while it learns.
        device: where all is computed.
        reporter: is told what happens.
        checkpoint: keeps the best weights.
        folder: the run's own.
        layers: what is kept to tell how far each stage has moved.
        started: perf_counter seconds.
        epoch: the present one, counted from 1; 0 before the first.
        within: what the present epoch has come to; None before its first step and after its end.
        rates_before: the rates before the epoch that is about to begin, while it is prepared.
        trained_seconds: that all epochs so far took.
        moved: stages that have learnt at any time so far.
        blend_start: weights from which the last phase started, where they are to be blended.
        repeats: whether training repeats, for each set of stages with which that was tried.
        waiting: acts that are still to be applied, in order.
        keeper: writes states to go on from; None where nothing is kept.
        resumed_after: epoch after which it was taken up again; 0 where it was not.
        ran_on: of the last epoch, what was computed once for it: the name of the first stage that
            it ran, or HEAD_ALONE; empty where it ran on pictures.
        judging: in how many parts batches are judged.
        teacher: of a model that is updated, if it has one.
        start: what is updated; None where the run starts from pre-trained weights. Its model has
            the same backbone, which moves.
        outcome: so far.
    """

    spec: RunSpec
    manifest: Manifest
    strategy: Strategy
    model: Classifier
    learner: Learner
    val_criterion: nn.Module
    feed: Feed
    passes: Passes
    device: torch.device
    reporter: Reporter
    checkpoint: BestCheckpoint
    folder: Path
    layers: Layers
    started: float
    epoch: int = 0
    within: Within | None = None
    rates_before: dict[str, Any] | None = None
    trained_seconds: float = 0.0
    moved: set[str] = field(default_factory=set)
    blend_start: dict[str, Tensor] | None = None
    repeats: dict[frozenset[str], bool] = field(default_factory=dict)
    waiting: list[Act] = field(default_factory=list)
    keeper: StateKeeper | None = None
    resumed_after: int = 0
    ran_on: str = ""
    judging: Judging = field(default_factory=Judging)
    teacher: Distillation | None = None
    start: Start | None = None
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def judged(self) -> Classifier:
        """The model whose weights are validated and kept: the average where there is one."""
        average = self.learner.average
        return self.model if average is None else average.module

    def trainable(self, step: int) -> dict[str, float]:
        """Returns the stages that learn after `step` steps, with factors on their rate."""
        return self.learner.rates.stage_factors(self.learner.rates.plan.phase(step))

    @property
    def blend_share(self) -> float | None:
        """Share of the last weights in the kept model; None where it is no blend."""
        if self.start is not None and self.spec.update.method == "wise_ft":
            return self.spec.strategy.alpha
        blend = self.strategy.blend
        return None if blend is None else blend(self.spec.strategy)

    @property
    def blend_from(self) -> int:
        """Epoch before which the other weights of a blend are those of the model; 0 for none."""
        if self.start is not None and self.spec.update.method == "wise_ft":
            return 1
        first = self.learner.rates.plan.phases[-1].start_epoch
        # Before a first phase nothing has been learnt yet.
        return first if self.strategy.blend is not None and first > 1 else 0

    @property
    def batch_norm(self) -> BatchNormMode:
        """What BatchNorm's statistics do, the strategy counted in."""
        mode = self.spec.training.batch_norm
        return "frozen" if mode == "follow" and not self.strategy.moves_statistics else mode

    def inputs(self, step: int) -> Inputs | None:
        """Returns what the epoch that begins after `step` steps runs on, if not on pictures.

        That is what the stages before the first that learns make of the pictures.
        """
        if not same_every_epoch(self.spec):
            return None
        names = list(self.model.backbone.stages)
        learning = self.trainable(step)
        first = min((names.index(name) for name in learning), default=len(names))
        # Where the average lags behind, its first stages differ from those of the model.
        lags = self.learner.average is not None and self.moved & set(names[:first])
        # A teacher's first stages are those that the run began with.
        differs = self.teacher is not None and self.moved & set(names[:first])
        if not first or lags or differs:
            return None
        stage = names[first] if learning else None
        alike: int | None = self._epochs_alike(step)
        if self.ran_on == (stage or HEAD_ALONE):
            # They were used in the epoch before; in another process they may have to be computed.
            alike = None
        return self.feed.inputs(self.model.backbone, stage, self.judged.head, alike)

    def same_inputs(self) -> Inputs | None:
        """Returns what the present epoch, which is taken up, ran on, if not on pictures."""
        if not self.ran_on:
            return None
        stage = None if self.ran_on == HEAD_ALONE else self.ran_on
        return self.feed.inputs(self.model.backbone, stage, self.judged.head)

    def step_log(self) -> StepLog:
        """Returns a log of the steps of an epoch."""
        plan = self.learner.rates.plan
        return StepLog.for_run(self.reporter, plan.epochs * plan.steps_per_epoch)

    def _epochs_alike(self, step: int) -> int:
        """Returns for how many epochs from a step on the same stages are to learn."""
        plan = self.learner.rates.plan
        later = range(step, plan.epochs * plan.steps_per_epoch, plan.steps_per_epoch)
        now = set(self.trainable(step))
        return next(
            (n for n, one in enumerate(later) if set(self.trainable(one)) != now), len(later)
        )

    def sources(
        self, inputs: Inputs | None, epoch: int, size: int | None = None
    ) -> tuple[Source, Source, Forward, Forward]:
        """Returns training and validation batches of an epoch, and what to run on each.

        Args:
            inputs: what it runs on; pictures where None.
            epoch: counts from 1.
            size: side of its pictures in px, where that is known already.
        """
        learning = self.passes.learning(inputs, size or self.train_size(epoch))
        if self.teacher is not None:
            self.teacher.runs_on(inputs)
        if inputs is None:
            return *self.feed.pictures(), learning, self.judged
        return inputs.train, inputs.val, learning, after_cut(inputs, self.judged)

    def train_size(self, epoch: int) -> int:
        """Returns the side in px of the pictures that an epoch trains on."""
        plan = self.learner.rates.plan
        learning = self.trainable((epoch - 1) * plan.steps_per_epoch)
        stem = next(iter(self.model.backbone.stages))
        return train_size(self.spec, plan.phases, epoch, stem, learning)
