"""A run's pictures: decoded once where there is room for them, and in batches.

Shapes: N images, B of a batch.
"""

import copy
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from engine.caching import CachedArray, release
from engine.data.loader import EpochBatches, PictureDataset, read_square
from engine.data.manifest import Item, Manifest
from engine.data.scale import UNIT, Scale, known_scale
from engine.data.squares import RELEASE_BYTES, Rows, cached_squares, rows_of, unique_items
from engine.data.transforms import EvalTransform, TrainTransform
from engine.errors import CacheError
from engine.events import Value
from engine.models.catalogue import BackboneRecord
from engine.spec import RunSpec
from engine.training.balance import equal_chances
from engine.training.features import measure_scale
from engine.training.layout import layout_of_run
from engine.training.reporter import Preparation, Reporter, StopTrainingError
from engine.training.sources import PictureSource, Source, SquareSource, labels_tensor

# Pictures decoded between two looks at whether the run was asked to stop.
PORTION = 64


class Pictures:
    """The pictures of a run, prepared as its spec says.

    Attributes:
        unique: an item of each content, in an order that depends on the contents alone.
        scale: how pixels are normalised.
        layout: in which images lie in memory.
        plain: makes images of pictures as they are.
        changed: makes images to train on.
    """

    def __init__(
        self,
        spec: RunSpec,
        manifest: Manifest,
        record: BackboneRecord,
        device: torch.device,
        reporter: Reporter,
        scale: Scale | None = None,
    ):
        self._spec = spec
        self._manifest = manifest
        self._record = record
        self._device = device
        self._reporter = reporter
        self._squares: dict[str, CachedArray | None] = {}
        self.layout = layout_of_run(spec, device, manifest.num_whole_train)
        # Those that are left aside, too: runs on other shares then find what is kept of them.
        self.unique = unique_items((*manifest.train, *manifest.spare, *manifest.val))
        self.scale = self._measured_scale() if scale is None else scale
        self.plain = EvalTransform(spec.images, record, self.scale)
        self.changed = TrainTransform(spec.images, record, self.scale)

    def for_spec(self, spec: RunSpec, reporter: Reporter) -> "Pictures":
        """Returns the same pictures, prepared alike, for another spec."""
        other = copy.copy(self)
        other._spec, other._reporter = spec, reporter
        return other

    def some(self) -> Tensor:
        """Returns two images to try something on."""
        images = [self.plain.finish(read_square(i, self.plain), ()) for i in self._manifest.val[:2]]
        return torch.stack(images).to(self._device, memory_format=self.layout)

    def sources(self) -> tuple[Source, Source]:
        """Returns sources of changed images to train on, and of plain ones to validate on."""
        train, val = self._manifest.train, self._manifest.val
        return (
            self.source(train, self.changed, self.batches(train, shuffle=True)),
            self.source(val, self.plain, self.batches(val, shuffle=False)),
        )

    def source(
        self, items: Sequence[Item], transform: EvalTransform, batches: EpochBatches
    ) -> Source:
        """Returns images of any items among the run's, in batches."""
        cached = self._squares_of(transform)
        squares = None if cached is None else Rows(cached.array, rows_of(items, self.unique))
        if squares is not None and not transform.changes:
            labels_N = labels_tensor([item.label for item in items], self._device)
            return SquareSource(squares, labels_N, transform, batches, self._device, self.layout)
        views = self._spec.images.views
        dataset = PictureDataset(items, transform, self._spec.seed, squares, views)
        return PictureSource(dataset, batches, self._device, self.layout)

    def batches(self, items: Sequence[Item], shuffle: bool) -> EpochBatches:
        """Returns the batches of some items: a training set's are shuffled and balanced."""
        training = self._spec.training
        chances_N = None
        if shuffle and training.class_balance == "sampling":
            chances_N = equal_chances([item.label for item in items], len(self._manifest.classes))
        return EpochBatches(len(items), training.batch_size, self._spec.seed, shuffle, chances_N)

    def wait(self, task: str) -> Callable[[], None]:
        """Returns what to call while another run does something: it tells, and may stop."""

        def waiting() -> None:
            self._reporter.emit("progress", 0, 0, {"task": task})
            if self._reporter.should_stop():
                raise StopTrainingError

        return waiting

    def _squares_of(self, transform: EvalTransform) -> CachedArray | None:
        """Returns all the pictures as squares; None where the cache has no room for them."""
        key = str(transform.square_key())
        if key not in self._squares:
            try:
                self._squares[key] = cached_squares(
                    self.unique,
                    transform,
                    lambda array, unique: self._decode(array, unique, transform),
                    self.wait("waiting for pictures that another run decodes"),
                )
            except CacheError as error:
                self._squares[key] = None
                told: dict[str, Value] = {"task": "pictures", "pictures_note": str(error)}
                self._reporter.emit("progress", 0, 0, told)
        return self._squares[key]

    def _decode(self, array: np.ndarray, unique: Sequence[Item], transform: EvalTransform) -> None:
        told = Preparation(self._reporter, "decoding pictures", len(unique))
        released = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(unique), PORTION):
                portion = unique[start : start + PORTION]
                squares = pool.map(lambda item: read_square(item, transform), portion)
                for place, square in enumerate(squares, start):
                    array[place] = np.asarray(square)
                released += len(portion) * array[0].nbytes
                if released > RELEASE_BYTES:
                    released = 0
                    array.flush()  # type: ignore[attr-defined]
                    release(array)
                told.advance(len(portion))

    def _measured_scale(self) -> Scale:
        """Returns how pixels are normalised; measures training images where the spec says so."""
        images = self._spec.images
        if images.normalisation != "dataset":
            return known_scale(images, self._record)
        # Bars are no part of the pictures, so those are measured as they are without them.
        fit = "squash" if images.fit == "pad" else images.fit
        transform = EvalTransform(images.model_copy(update={"fit": fit}), self._record, UNIT)
        train = self._manifest.train
        source = self.source(train, transform, self.batches(train, shuffle=False))
        preparation = Preparation(self._reporter, "measuring colours", len(train))
        return measure_scale(source, preparation)
