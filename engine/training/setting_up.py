"""Sets a run up from its spec: images, model, and all that its first step needs."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from engine.data.manifest import MANIFEST_FILE, Manifest, build_manifest
from engine.errors import SpecError
from engine.events import Value
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, WEIGHTS_FILE
from engine.models.backbone import Backbone
from engine.models.classifier import Classifier, build_classifier, count_parameters
from engine.models.lora import add_adapters
from engine.spec import RunSpec
from engine.strategies import STRATEGIES, Strategy
from engine.training.balance import class_weights
from engine.training.checkpoint import BestCheckpoint
from engine.training.device import choose_device
from engine.training.features import BATCH_SIZE
from engine.training.feeding import Feed
from engine.training.layers import Layers
from engine.training.layout import blank_images, layout_of_run
from engine.training.loop import Learner
from engine.training.mixing import Mixer
from engine.training.optimisers import build_optimiser
from engine.training.passes import Passes
from engine.training.plan import rate_plan
from engine.training.precision import Precision
from engine.training.pull import PullToStart
from engine.training.rates import Rates
from engine.training.repeatable import compute_repeatably
from engine.training.reporter import Preparation, Reporter
from engine.training.session import Session
from engine.update.choosing import images_of_update
from engine.update.class_means import Beholder
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
