"""What a run's epochs are fed with: pictures, or what a still part of the backbone makes of them.

Shapes: N images of a split.
"""

import copy
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.data.loader import EpochBatches
from engine.data.manifest import Item, Manifest
from engine.data.scale import Scale
from engine.data.squares import Rows, rows_of, unique_items
from engine.data.transforms import EvalTransform
from engine.events import Value
from engine.models.backbone import Backbone
from engine.models.catalogue import BackboneRecord
from engine.models.cut import Cut
from engine.models.exact import exact_convolutions
from engine.models.folding import Folds
from engine.spec import RunSpec
from engine.training.features import (
    BATCH_SIZE,
    Kept,
    effect_of_half,
    features_key,
    fill_features,
    find_cut,
    keep_features,
)
from engine.training.memory import features_note, in_parts
from engine.training.optimisers import HEAD
from engine.training.pictures import Pictures
from engine.training.reporter import Preparation, Reporter
from engine.training.sources import FeatureSource, Source, labels_tensor
from engine.training.speeds import FORWARD, Speed, record_speed

TELLING_IMAGES = 100


@dataclass(frozen=True)
class Inputs:
    """What the part of a backbone takes that is run in every epoch.

    Attributes:
        cut: where that part begins.
        train: to learn from.
        val: to judge by.
    """

    cut: Cut
    train: FeatureSource
    val: FeatureSource


class Feed:
    """Training and validation batches of a run.

    Attributes:
        scale: how pixels are normalised.
        at_once: pictures whose features are computed in one batch.
    """

    def __init__(
        self,
        spec: RunSpec,
        manifest: Manifest,
        record: BackboneRecord,
        device: torch.device,
        reporter: Reporter,
        at_once: int = BATCH_SIZE,
        scale: Scale | None = None,
    ):
        """Prepares a run's images.

        Args:
            spec: says how.
            manifest: which images.
            record: of the backbone.
            device: where batches are to be.
            reporter: is told what takes a while.
            at_once: pictures whose features are computed in one batch.
            scale: how pixels are normalised, where that is not for the spec to say.
        """
        self.at_once = at_once
        self._spec = spec
        self._manifest = manifest
        self._record = record
        self._device = device
        self._reporter = reporter
        self._sources: tuple[Source, Source] | None = None
        self._pictures = Pictures(spec, manifest, record, device, reporter, scale)
        self._cuts: dict[str | None, Cut | None] = {}
        self._kept: dict[tuple[str | None, int], Kept] = {}
        self._told: set[tuple[str | None, int]] = set()
        self._folds: Folds | None = None
        self.scale = self._pictures.scale

    @property
    def layout(self) -> torch.memory_format:
        """In which images lie in memory."""
        return self._pictures.layout

    @property
    def num_batches(self) -> int:
        """Training batches in an epoch."""
        return len(self._pictures.batches(self._manifest.train, shuffle=True))

    def pictures(self) -> tuple[Source, Source]:
        """Returns sources of pictures: augmented ones to train on, plain ones to validate on."""
        if self._sources is None:
            self._sources = self._pictures.sources()
        return self._sources

    def features(self, backbone: Backbone) -> tuple[FeatureSource, FeatureSource]:
        """Returns sources of the backbone's features (D,), computed once."""
        inputs = self.inputs(backbone, None)
        assert inputs is not None
        return inputs.train, inputs.val

    def each_once(self, backbone: Backbone) -> FeatureSource:
        """Returns the backbone's features (D,) of each training image once, in their order.

        An epoch to train on draws some images twice and others not, where classes are balanced.
        """
        cut = self._cut(backbone, None)
        assert cut is not None
        view = min(self._num_views, 1)
        self._at_hand(None, cut, view, only_once=False)
        rows = self._rows(cut, view, "train")
        return self._featured(self._manifest.train, [rows], cut, shuffle=False)

    def inputs(
        self,
        backbone: Backbone,
        stage: str | None,
        head: nn.Module | None = None,
        num_epochs: int | None = None,
    ) -> Inputs | None:
        """Returns what goes into the part of a backbone that learns, computed once.

        Args:
            backbone: of which nothing before `stage` changes.
            stage: the first that learns; None where none does.
            head: on which the effect of half precision is measured, where there is one.
            num_epochs: that will use them, where that is known. For a single one they are not
                computed, which would be no gain, nor taken from others: what happens to be there
                must not decide the last digits of a result.

        Returns:
            None where the backbone cannot be divided, or what would be kept is too large.
        """
        cut = self._cut(backbone, stage)
        if cut is None:
            return None
        shown = range(1, self._num_views + 1) if self._num_views else [0]
        train: list[Rows] = []
        for view in shown:
            if not self._at_hand(head, cut, view, num_epochs == 1):
                return None
            train.append(self._rows(cut, view, "train"))
        if not self._at_hand(head, cut, 0, num_epochs == 1):
            return None
        val = self._rows(cut, 0, "val")
        manifest = self._manifest
        return Inputs(
            cut,
            self._featured(manifest.train, train, cut, shuffle=True),
            self._featured(manifest.val, [val], cut, shuffle=False),
        )

    def val_images(self, positions_N: np.ndarray, inputs: Inputs | None) -> Source:
        """Returns some validation images, by their positions: pictures, or a backbone's inputs."""
        items = [self._manifest.val[position] for position in positions_N]
        if inputs is None:
            batches = self._pictures.batches(items, shuffle=False)
            return self._pictures.source(items, self._pictures.plain, batches)
        every = self._rows(inputs.cut, 0, "val")
        rows = Rows(every.array, every.rows_N[positions_N])
        return self._featured(items, [rows], inputs.cut, shuffle=False)

    def spare_images(self) -> Source:
        """Returns the images that are left aside, as pictures without changes."""
        items = self._manifest.spare
        batches = self._pictures.batches(items, shuffle=False)
        return self._pictures.source(items, self._pictures.plain, batches)

    def some_pictures(self) -> Tensor:
        """Returns two images to try something on."""
        return self._pictures.some()

    def for_spec(self, spec: RunSpec, reporter: Reporter) -> "Feed":
        """Returns a feed of the same pictures, prepared alike, for another spec."""
        other = copy.copy(self)
        other._spec, other._reporter, other._sources = spec, reporter, None
        other._pictures = self._pictures.for_spec(spec, reporter)
        other._kept, other._cuts, other._told = dict(self._kept), dict(self._cuts), set()
        return other

    def folded(self, backbone: Backbone) -> AbstractContextManager[None]:
        """Returns the context in which a backbone of the run's make evaluates faster."""
        if self._folds is None:
            self._folds = Folds(backbone, self._pictures.some())
        return self._folds.applied(backbone)

    def forget(self, stages: Collection[str]) -> None:
        """Lets go of what was computed by stages that are about to change.

        Where the cut is stays known; whether a backbone can be divided does not depend on weights.
        """
        names = list(self._record.stage_names)
        first = min((names.index(stage) for stage in stages), default=len(names))
        for stage, view in list(self._kept):
            if first < (len(names) if stage is None else names.index(stage)):
                del self._kept[stage, view]

    def _cut(self, backbone: Backbone, stage: str | None) -> Cut | None:
        if stage in self._cuts:
            known = self._cuts[stage]
            if known is None or known.backbone is backbone:
                return known
        # As folds are tried: what a GPU looks for, for seconds, before it computes a batch of
        # another size or precision, it looks for once.
        with exact_convolutions():
            self._cuts[stage] = find_cut(backbone, stage, self._pictures.some())
        return self._cuts[stage]

    def _at_hand(self, head: nn.Module | None, cut: Cut, view: int, only_once: bool) -> bool:
        """Computes the inputs of a view where need be, and returns whether they are at hand.

        View 0 is that of pictures as they are.
        """
        place = cut.stage, view
        if place in self._kept:
            if place not in self._told:
                self._tell_kept(self._kept[place], cut, view, head)
            return True
        if only_once and cut.stage is not None:
            return False
        kept, parts = in_parts(
            lambda parts: self._keep(cut, view, self.at_once // parts), 1, self.at_once
        )
        if parts > 1:
            self.at_once //= parts
            note = features_note(self.at_once)
            self._reporter.emit("progress", 0, 0, {"task": "memory", "memory_note": note})
        if kept is None:
            return False
        self._kept[place] = kept
        self._tell_kept(kept, cut, view, head)
        # Whoever works with them from now on finds them.
        self._kept[place] = replace(kept, was_there=True)
        return True

    def _rows(self, cut: Cut, view: int, split: str) -> Rows:
        manifest = self._manifest
        items = manifest.train if split == "train" else manifest.val
        rows_N = np.arange(len(items)) if view else rows_of(items, self._unique_of(view))
        return Rows(self._kept[cut.stage, view].array, rows_N)

    def _transform(self, view: int) -> EvalTransform:
        return self._pictures.changed if view else self._pictures.plain

    def _unique_of(self, view: int) -> tuple[Item, ...]:
        """Returns the items whose inputs are computed, in the order of their rows."""
        manifest = self._manifest
        if view:
            # What is drawn at random for a picture depends on its position.
            return manifest.train
        # All of them, so that runs with another split of the same pictures find them, too.
        return unique_items(manifest.val) if self._num_views else self._pictures.unique

    def _key(
        self, cut: Cut, view: int, unique: Sequence[Item], transform: EvalTransform, at_once: int
    ) -> dict[str, Any]:
        images = self._spec.images
        changed = {"augmentation": images.augmentation, "seed": self._spec.seed, "view": view}
        dtype = "float16" if self._halves else "float32"
        view_key = changed if view else None
        device, layout = self._device, self.layout
        return features_key(cut, unique, transform, dtype, view_key, device, layout, at_once)

    def _keep(self, cut: Cut, view: int, at_once: int) -> Kept | None:
        size = self._spec.images.size
        unique, transform = self._unique_of(view), self._transform(view)

        def fill(array: np.ndarray) -> None:
            told = Preparation(self._reporter, "computing features", len(unique))
            batches = EpochBatches(len(unique), at_once, 0, shuffle=False)
            source = self._pictures.source(unique, transform, batches)
            # What goes into a stage is to be what it is in a run that computes it in each epoch; a
            # head alone is always trained on what is kept.
            still = self.folded(cut.backbone) if cut.stage is None else nullcontext()
            with cut.backbone.evaluating(), still:
                fill_features(array, cut, source, max(view, 1), told)
            if cut.stage is None and len(unique) >= TELLING_IMAGES:
                speed = Speed(told.images_per_second, size)
                record_speed(self._spec.model.backbone, FORWARD, speed)

        return keep_features(
            self._key(cut, view, unique, transform, at_once),
            f"{self._record.label}, {size} px, what goes into {cut.stage or HEAD}",
            (len(unique), *cut.shape),
            fill,
            self._pictures.wait("waiting for features of another run"),
            always=cut.stage is None,
        )

    @property
    def _num_views(self) -> int:
        """Differently changed versions of each training picture that come; 0 where they are not."""
        if not self._pictures.changed.changes:
            return 0
        return min(self._spec.images.views, self._spec.training.epochs)

    @property
    def _halves(self) -> bool:
        return self._spec.training.feature_precision == "half"

    def _tell_kept(self, kept: Kept, cut: Cut, view: int, head: nn.Module | None) -> None:
        values: dict[str, Value] = {
            "task": "features",
            "features_before": cut.stage or HEAD,
            "features_images": len(kept.array),
            "features_found": kept.was_there,
            "features_mib": kept.num_bytes / 2**20,
            "features_seconds": kept.seconds,
            "features_note": kept.why_not,
        }
        if self._halves and head is not None:
            images_BCHW, _, _ = next(iter(self.pictures()[1].epoch(1)))
            values["features_logits_off"] = effect_of_half(cut, head, images_BCHW)
        self._told.add((cut.stage, view))
        self._reporter.emit("progress", 0, 0, values)

    def _featured(
        self, items: Sequence[Item], views: Sequence[Rows], cut: Cut, shuffle: bool
    ) -> FeatureSource:
        labels_N = labels_tensor([item.label for item in items], self._device)
        return FeatureSource(views, cut.axes, labels_N, self._pictures.batches(items, shuffle))
