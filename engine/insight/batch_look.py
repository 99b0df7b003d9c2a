"""Looks at the images of a run and at new ones, and says whether the new are like the old.

What looks is the backbone with its pre-trained weights, not as the run left it: whatever a run has
learnt by heart of its own images would make others look new, and only with its first weights a
BatchNorm layer still holds the statistics of the pre-training. In a run with a frozen backbone both
are the same.

Features are kept with all others that are computed once, the old images' and the new ones' apart:
a second batch finds those of the old ones.

Shapes: N images, D features, C channels of all BatchNorm layers, G groups of images.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.data.scale import Scale
from engine.data.transforms import EvalTransform
from engine.errors import TrainingError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.batch_classes import (
    Side,
    Told,
    compare,
    farthest,
    num_steps,
    usual_images,
)
from engine.insight.batch_drift import BatchDrift, finding_of
from engine.insight.batch_pass import Lens, Pass
from engine.insight.batch_work import BatchCheck, Labelled, keep_drift, known_drift
from engine.insight.norm_shift import BLOCKS, NormSums, mean_shift, norm_shift
from engine.insight.norm_watch import NormWatch, norm_sums
from engine.insight.planes import directions
from engine.models.backbone import PRETRAINED, RANDOM, Backbone, build_backbone
from engine.spec import RunSpec
from engine.training.checkpoint import load_checkpoint
from engine.training.device import choose_device, memory_errors
from engine.training.layout import layout_for
from engine.training.repeatable import compute_repeatably
from engine.training.reporter import Preparation, Reporter

# Of more classes BatchNorm sums would take more room than features do.
MOST_CLASSES = 100


@memory_errors()
def check_batch(check: BatchCheck, reporter: Reporter) -> BatchDrift:
    """Returns what is said of a new batch; where it was known it is not found anew.

    Args:
        check: what is compared with what.
        reporter: is told how far it is, and says when to stop.

    Raises:
        DataError: an image can no longer be read.
        WeightsError: the run kept no model, or what it started from is no longer there.
        TrainingError: features are no finite numbers, or there is too little memory.
        StopTrainingError: it was asked to stop.
    """
    if (known := known_drift(check)) is not None:
        return known
    started = time.perf_counter()
    compute_repeatably()
    looking = _Looking(check, reporter)
    old, new = looking.at(check.old, "old images"), looking.at(check.new, "new images")
    known_classes, fresh = check.matching.known, check.matching.new
    steps = Preparation(reporter, "comparing classes", num_steps(known_classes, fresh))
    told = compare(old.side, new.side, known_classes, fresh, steps.advance)
    names = [one.name for one in told.classes]
    far = farthest(old.side, new.side, names)
    backbone = looking.backbone
    found = BatchDrift(
        run_id=check.run.id,
        folder=check.folder,
        backbone=backbone.record.label,
        started_from=backbone.origin.sentence,
        num_old=len(check.old.items),
        num_new=len(check.new.items),
        overall=told.overall,
        num_shared=told.num_shared,
        overall_finding=finding_of(told.overall),
        whole=told.whole,
        classes=told.classes,
        absent=check.absent,
        new_classes=told.new_classes,
        norms=None,
        why_no_norms=looking.why_no_norms,
        far=far,
        usual=usual_images(old.side, sorted({one.label for one in far})),
        notes=(*check.notes, *looking.notes),
        seconds=0.0,
    )
    found = looking.with_norms(found, told, old, new)
    found = replace(found, seconds=time.perf_counter() - started)
    keep_drift(check, found)
    return found


@dataclass(frozen=True)
class _Seen:
    """What is known of one side.

    Attributes:
        side: its images with their features.
        norms: sums of each class, in the order of `names`, then of each block; None of a backbone
            without BatchNorm.
        names: of the classes; empty where there are too many.
    """

    side: Side
    norms: NormSums | None
    names: tuple[str, ...]

    def of_blocks(self) -> NormSums:
        """Returns the sums of each block that has images."""
        assert self.norms is not None
        counts_G = self.norms.counts_G[len(self.names) :]
        sums_G3C = self.norms.sums_G3C[len(self.names) :]
        return NormSums(counts_G[counts_G > 0], sums_G3C[counts_G > 0])

    def shift_of(self, name: str, watch: NormWatch) -> float | None:
        """Returns how far the images of a class lie from the pre-training, None if not known."""
        if self.norms is None or name not in self.names:
            return None
        sums = self.norms.of([self.names.index(name)])
        return mean_shift(sums, watch.widths) if sums.counts_G[0] > 1 else None


class _Looking:
    """A backbone as a run started from, and what it makes of images.

    Attributes:
        backbone: with the weights before training.
        why_no_norms: why BatchNorm says nothing of its pre-training, in a sentence; else empty.
        notes: what is to be kept in mind of it.
    """

    def __init__(self, check: BatchCheck, reporter: Reporter):
        _, header = load_checkpoint(run_folder(check.run.id) / CHECKPOINT_FILE)
        spec = RunSpec.parse(header.spec)
        self.backbone = build_backbone(
            spec.model.backbone, spec.images.size, spec.model.weights, spec.seed
        )
        self._reporter = reporter
        scale = Scale(_rgb(header.mean), _rgb(header.std))
        device = choose_device("auto")
        self._lens = Lens(
            self.backbone,
            EvalTransform(spec.images, self.backbone.record, scale),
            device,
            layout_for(device, len(check.old.items) + len(check.new.items)),
        )
        self.why_no_norms = _why_no_norms(self.backbone, self._lens.watch)
        self.notes = _notes(self.backbone)

    def at(self, images: Labelled, what: str) -> _Seen:
        """Returns what the backbone makes of the images of one side."""
        names = tuple(sorted(set(images.labels)))
        names = names if len(names) <= MOST_CLASSES else ()
        groups_NM = _groups(images.labels, names)
        told = Preparation(self._reporter, f"looking at {what}", len(images.items))
        one_pass = Pass(self._lens, images.items, groups_NM, len(names) + BLOCKS, what, told)
        norms = None if self.why_no_norms else norm_sums(groups_NM, one_pass.sums_G3C())
        features_ND = one_pass.features_ND()
        if not np.isfinite(features_ND).all():
            raise TrainingError(
                f"{self.backbone.record.name} gives features of the {what} that are no finite "
                "numbers; choose another run."
            )
        paths = tuple(item.path for item in images.items)
        return _Seen(Side(paths, images.labels, directions(features_ND)), norms, names)

    def with_norms(self, found: BatchDrift, told: Told, old: _Seen, new: _Seen) -> BatchDrift:
        """Returns what was found together with what BatchNorm says of it."""
        if self.why_no_norms:
            return found
        watch = self._lens.watch
        return replace(
            found,
            norms=norm_shift(watch.names, watch.widths, old.of_blocks(), new.of_blocks()),
            classes=tuple(
                replace(
                    one,
                    old_shift=old.shift_of(one.name, watch),
                    new_shift=new.shift_of(one.name, watch),
                )
                for one in told.classes
            ),
            new_classes=tuple(
                replace(one, shift=new.shift_of(one.name, watch)) for one in told.new_classes
            ),
        )


def _groups(labels: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """Returns for each image the group of its class, where there are such, and of its block."""
    blocks_N = len(names) + np.arange(len(labels)) % BLOCKS
    if not names:
        return blocks_N[:, None]
    of_classes_N = np.array([names.index(label) for label in labels])
    return np.stack([of_classes_N, blocks_N], axis=1)


def _why_no_norms(backbone: Backbone, watch: NormWatch) -> str:
    if not watch.names:
        return (
            f"{backbone.record.label} has no BatchNorm layers, so nothing is left in it of the "
            "images that it was pre-trained on."
        )
    if backbone.origin.kind == RANDOM:
        return "The backbone started from random weights: there was no pre-training."
    return ""


def _notes(backbone: Backbone) -> tuple[str, ...]:
    if backbone.origin.kind == RANDOM:
        return (
            "The backbone started from random weights; what it makes of images tells little of "
            "what they show.",
        )
    if backbone.origin.kind != PRETRAINED:
        return (
            "The run started from weights of a file. Where those learnt from the old images, new "
            "ones look more unlike them than they are.",
        )
    return ()


def _rgb(channels: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = channels
    return red, green, blue
