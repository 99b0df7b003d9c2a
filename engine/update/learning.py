"""What an update changes about a run: the model that it begins with, and what is added to its loss.

Shapes: N images, D features, B of a batch, K classes.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.data.manifest import Item, Manifest
from engine.errors import SpecError
from engine.models.classifier import Classifier
from engine.models.grown import GrownLinear, grow_head
from engine.spec import RunSpec
from engine.strategies import Pull, Strategy
from engine.training.feeding import Feed
from engine.training.pull import PullToStart
from engine.training.reporter import Preparation, Reporter
from engine.update.choosing import FeaturesOf
from engine.update.class_means import class_means
from engine.update.distillation import Distillation
from engine.update.images import content
from engine.update.importance import PullByImportance, importance
from engine.update.start import Start

Teacher = Callable[[Tensor, Tensor], Tensor]


def grown_model(spec: RunSpec, start: Start, num_classes: int) -> Classifier:
    """Returns the model that is updated with logits for all classes; its parts are the same.

    Raises:
        SpecError: there are no new classes, but nothing else is to learn.
    """
    num_new = num_classes - start.num_classes
    if spec.update.method == "frozen_head" and not num_new:
        raise SpecError(
            "update.method is 'frozen_head', which trains new classes only, and the new images "
            "have none; choose another method."
        )
    model = Classifier(start.model.backbone, grow_head(start.model.head, num_new, spec.seed))
    model.backbone.origin = start.origin
    return model


def set_head(spec: RunSpec, manifest: Manifest, model: Classifier, feed: Feed) -> None:
    """Gives a model the head that its method begins with, and says which of it may learn.

    Raises:
        DataError: a class has no image, but its mean is asked for.
        StopTrainingError: the run was asked to stop.
    """
    if spec.update.method == "frozen_head":
        last = model.head[-1]
        assert isinstance(last, GrownLinear)
        model.head.requires_grad_(False)
        last.new.requires_grad_(True)
    if spec.update.method == "ncm":
        source = feed.each_once(model.backbone)
        first = model.head[:-1].eval()
        device = next(model.head.parameters()).device
        layer = class_means(source, first, manifest.classes).to(device)
        model.head = nn.Sequential(*first, layer)


def penalty_of(
    spec: RunSpec,
    strategy: Strategy,
    model: Classifier,
    start: Start | None,
    feed: Feed,
    stages: Collection[str],
    reporter: Reporter,
) -> nn.Module | None:
    """Returns what the strategy or the method adds to the loss, if anything.

    Args:
        spec: names both.
        strategy: that it names.
        model: before its first step.
        start: what is updated, if anything is.
        feed: gives the old images.
        stages: that will ever learn.
        reporter: is told how far it is.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    known = () if start is None else tuple(start.model.head.parameters())
    if start is not None and spec.update.method == "ewc":
        return _pull_by_importance(spec, model, start, feed, stages, reporter)
    if start is not None and spec.update.method == "l2_sp":
        return PullToStart(Pull(spec.strategy.pull, spec.strategy.head_pull), model, known)
    if strategy.pull is not None:
        return PullToStart(strategy.pull(spec.strategy), model, known)
    return None


def _pull_by_importance(
    spec: RunSpec,
    model: Classifier,
    start: Start,
    feed: Feed,
    stages: Collection[str],
    reporter: Reporter,
) -> nn.Module | None:
    source = feed.spare_images()
    told = Preparation(reporter, "measuring what old images depend on", source.num_images)
    weights = importance(model, start.num_classes, stages, source, spec.seed, told)
    return PullByImportance(spec.update.importance, weights) if weights else None


def teacher_of(spec: RunSpec, start: Start | None) -> Distillation | None:
    """Returns the teacher of a model that is updated, if its method has one."""
    if start is None or spec.update.method != "lwf":
        return None
    return Distillation(start.model, spec.update.distillation, spec.update.temperature)


def earlier_features(
    spec: RunSpec, start: Start, device: torch.device, reporter: Reporter
) -> FeaturesOf:
    """Returns what gives features of earlier images by the model that is updated.

    They are those that a frozen run on all images computes, and are kept for it.
    """
    images = spec.images.model_copy(update={"augmentation": "none"})
    plain = spec.model_copy(update={"images": images})

    def features_of(manifest: Manifest, items: Sequence[Item]) -> NDArray[np.floating]:
        backbone = start.model.backbone
        feed = Feed(plain, manifest, backbone.record, device, reporter, scale=start.scale)
        batches = feed.each_once(backbone).epoch(1)
        features_ND = np.concatenate([features_BD.cpu().numpy() for features_BD, _, _ in batches])
        # An earlier image that came again stands there under another path.
        place = {content(item): position for position, item in enumerate(manifest.train)}
        of_items_ND: NDArray[np.floating] = features_ND[[place[content(item)] for item in items]]
        return of_items_ND

    return features_of
