"""Everything that a run works with, set up from its spec."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from engine.data.manifest import MANIFEST_FILE, Manifest, build_manifest
from engine.errors import SpecError
from engine.events import Value
from engine.files import write_text
from engine.models.backbone import Backbone
from engine.models.classifier import Classifier, build_classifier, count_parameters
from engine.models.lora import add_adapters
from engine.spec import Act, BatchNormMode, RunSpec
from engine.strategies import STRATEGIES, Strategy
from engine.training.balance import class_weights
from engine.training.checkpoint import BestCheckpoint
from engine.training.device import choose_device
from engine.training.features import BATCH_SIZE
from engine.training.feeding import Feed, Inputs
from engine.training.layers import Layers
from engine.training.layout import blank_images, layout_of_run
from engine.training.loop import Forward, Learner, StepLog
from engine.training.memory import Judging
from engine.training.mixing import Mixer
from engine.training.optimisers import build_optimiser
from engine.training.passes import Passes, after_cut
from engine.training.plan import rate_plan, same_every_epoch
from engine.training.precision import Precision
from engine.training.pull import PullToStart
from engine.training.rates import Rates
from engine.training.repeatable import compute_repeatably
from engine.training.reporter import Preparation, Reporter
from engine.training.sizes import train_size
from engine.training.sources import Source
from engine.training.state import StateKeeper
from engine.training.within import Within
from engine.update.choosing import images_of_update
from engine.update.class_means import Beholder
from engine.update.distillation import Distillation
from engine.update.learning import (
    earlier_features,
    grown_model,
    penalty_of,
    set_head,
    teacher_of,
)
from engine.update.methods import METHODS
from engine.update.start import Start, load_start
from engine.versions import versions_sentence

WEIGHTS_FILE = "weights.json"
HEAD_ALONE = "the head"
CHECKPOINT_FILE = "best.safetensors"


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


def set_up(
    spec: RunSpec,
    folder: Path,
    reporter: Reporter,
    started: float,
    before: Session | None = None,
    manifest: Manifest | None = None,
    features_at_once: int = BATCH_SIZE,
) -> Session:
    """Returns a session that is ready for its first epoch; features are computed by then.

    Args:
        spec: decides everything.
        folder: the run's own, which exists.
        reporter: is told what happens.
        started: perf_counter seconds.
        before: a session of the same pictures, backbone and its preparation, in which no stage
            ever learnt; what it has is used again, and it must not go on.
        manifest: the images, where it is known already which.
        features_at_once: pictures whose features are computed at once.
    """
    device = choose_device(spec.device)
    compute_repeatably()
    start = None
    if spec.update.start:
        # What the other session learnt would lie in the same head.
        start, before = load_start(spec), None
        start.model.to(device)
    if manifest is None and before is not None:
        manifest = before.manifest
    manifest = manifest or _manifest(spec, folder, reporter, device, start)
    strategy = STRATEGIES[spec.strategy.name]
    backbone = None if before is None else before.model.backbone
    layout = layout_of_run(spec, device, manifest.num_whole_train)
    model = _model(spec, manifest, strategy, folder, backbone, start).to(
        device,
        memory_format=layout,  # type: ignore[call-overload]
    )
    if start_size := spec.images.start_size:
        _try_small(model.backbone, blank_images(2, start_size, device, layout))
    labels_N = [item.label for item in manifest.train]
    smoothing = spec.training.label_smoothing
    weighted = spec.training.class_balance == "loss"
    weights_K = class_weights(labels_N, len(manifest.classes)).to(device) if weighted else None
    if before is None:
        scale = None if start is None else start.scale
        record = model.backbone.record
        feed = Feed(spec, manifest, record, device, reporter, features_at_once, scale)
    else:
        feed = before.feed.for_spec(spec, reporter)
    plan = rate_plan(spec, tuple(model.backbone.stages), feed.num_batches)
    if start is not None:
        set_head(spec, manifest, model, feed)
    ever = {name for phase in plan.phases for name in phase.trainable}
    penalty = penalty_of(spec, strategy, model, start, feed, ever, reporter)
    optimiser = build_optimiser(spec.optimiser, model, decays=not isinstance(penalty, PullToStart))
    teacher = teacher_of(spec, start)
    decay = spec.training.ema_decay
    average = ModelEmaV3(model, decay=decay, use_warmup=True) if decay else None
    learns = start is None or METHODS[spec.update.method].steps
    learner = (Learner if learns else Beholder)(
        model=model,
        criterion=nn.CrossEntropyLoss(weight=weights_K, label_smoothing=smoothing),
        optimiser=optimiser,
        rates=Rates(optimiser, plan),
        mixer=Mixer(spec.training, len(manifest.classes), spec.seed),
        penalty=penalty,
        clip_norm=spec.training.clip_norm,
        average=average,
        precision=Precision(spec.training.precision, device),
        accumulation=spec.training.accumulation,
        teacher=teacher,
    )
    session = Session(
        spec=spec,
        manifest=manifest,
        strategy=strategy,
        model=model,
        learner=learner,
        val_criterion=nn.CrossEntropyLoss(label_smoothing=smoothing),
        feed=feed,
        passes=Passes(spec, model),
        device=device,
        reporter=reporter,
        checkpoint=BestCheckpoint(
            folder / CHECKPOINT_FILE, model if average is None else average.module
        ),
        folder=folder,
        layers=Layers.of_run(spec, model, len(manifest.train), len(manifest.val)),
        started=started,
        waiting=list(spec.steering),
        teacher=teacher,
        start=start,
    )
    model.set_trainable(session.trainable(0))
    reporter.emit("progress", 0, 0, _facts(session))
    session.inputs(0)
    return session


def _model(
    spec: RunSpec,
    manifest: Manifest,
    strategy: Strategy,
    folder: Path,
    backbone: Backbone | None,
    start: Start | None,
) -> Classifier:
    num_classes, size = len(manifest.classes), spec.images.size
    if start is None:
        model = build_classifier(spec.model, num_classes, spec.seed, size, backbone)
    else:
        model = grown_model(spec, start, num_classes)
    write_text(folder / WEIGHTS_FILE, json.dumps(model.backbone.origin.to_dict(), indent=1))
    if strategy.adapters is not None:
        adapters = strategy.adapters(spec.strategy)
        add_adapters(model.backbone.network, adapters.rank, adapters.scale, spec.seed)
    model.select(strategy.select)
    if strategy.select != "all" and not any(model.learning.values()):
        raise SpecError(
            f"strategy.name is {strategy.name!r}, but {spec.model.backbone} has no "
            f"{strategy.select} that could learn; choose another strategy or backbone."
        )
    return model


@torch.no_grad()
def _try_small(backbone: Backbone, images_BCHW: Tensor) -> None:
    """Runs a backbone on pictures of the first size, before anything is trained.

    Raises:
        SpecError: it cannot be run on pictures that small.
    """
    try:
        with backbone.evaluating():
            backbone(images_BCHW)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:160]
        raise SpecError(
            f"images.start_size is {images_BCHW.shape[-1]}; {backbone.record.name} cannot be run "
            f"on pictures that small ({reason}); choose a larger size, or 0."
        ) from error


def _manifest(
    spec: RunSpec, folder: Path, reporter: Reporter, device: torch.device, start: Start | None
) -> Manifest:
    preparation: Preparation | None = None
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal preparation, seen
        preparation = preparation or Preparation(reporter, "checking pictures", total)
        preparation.advance(done - seen)
        seen = done

    if start is None:
        manifest = build_manifest(spec.data, tell)
    else:
        features_of = earlier_features(spec, start, device, reporter)
        manifest = images_of_update(spec, start, tell, features_of)
    write_text(folder / MANIFEST_FILE, json.dumps(manifest.to_dict(), indent=1))
    return manifest


def _facts(session: Session) -> dict[str, Value]:
    manifest, model, plan = session.manifest, session.model, session.learner.rates.plan
    ever = {name for phase in plan.phases for name in phase.trainable}
    learning = sum(p.numel() for name in ever for p in model.learning[name])
    curve: dict[str, Any] = {
        "epochs": [round(epoch, 4) for epoch in plan.curve().epochs],
        "head": [float(f"{rate:.5g}") for rate in plan.curve().head],
        "backbone": [None if r is None else float(f"{r:.5g}") for r in plan.curve().backbone],
    }
    return {
        "task": "ready",
        "steps_per_epoch": plan.steps_per_epoch,
        "classes": len(manifest.classes),
        "train_images": len(manifest.train),
        "val_images": len(manifest.val),
        "left_out": len(manifest.left_out),
        "fingerprint": manifest.fingerprint,
        "trainable_parameters": learning + count_parameters(model.head, trainable_only=True),
        "total_parameters": count_parameters(model),
        "weights": model.backbone.origin.sentence,
        "planned_rates": json.dumps(curve),
        "device": torch.cuda.get_device_name(session.device)
        if session.device.type == "cuda"
        else "CPU",
        "made_with": versions_sentence(),
        "prepared_seconds": time.perf_counter() - session.started,
    }
