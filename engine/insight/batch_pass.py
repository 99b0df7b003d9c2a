"""Puts images through a backbone once: for features, and for what goes into BatchNorm layers.

Both are kept with all that is computed once. Features are not those of a frozen run, of the same
images: it folds BatchNorm into convolutions, which changes last digits, and what is found must not
decide those of a run.

Shapes: B images, N of them in all, D features, C channels of all BatchNorm layers, G groups.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.loader import UNREADABLE, EpochBatches, PictureDataset
from engine.data.manifest import Item
from engine.data.transforms import EvalTransform
from engine.errors import DataError
from engine.insight.norm_watch import NormTally, NormWatch
from engine.models.backbone import Backbone
from engine.models.cut import Cut
from engine.training.features import BATCH_SIZE, features_key, keep_features
from engine.training.layout import blank_images
from engine.training.reporter import Preparation
from engine.training.sources import PictureSource


class Lens:
    """A backbone, how pictures are prepared for it, and where it computes.

    Attributes:
        backbone: is moved to the device.
        transform: makes images of pictures.
        device: computes.
        layout: in which images lie in memory.
        cut: after all of the backbone.
        watch: of its BatchNorm layers.
    """

    def __init__(
        self,
        backbone: Backbone,
        transform: EvalTransform,
        device: torch.device,
        layout: torch.memory_format,
    ):
        self.backbone = backbone
        self.transform = transform
        self.device = device
        self.layout = layout
        backbone.to(device, memory_format=layout)  # type: ignore[call-overload]
        blank_BCHW = blank_images(1, transform.spec.size, device, layout)
        self.cut = Cut(backbone, None, blank_BCHW)
        self.watch = NormWatch(backbone, blank_BCHW)

    @property
    def label(self) -> str:
        """What a person reads of it."""
        return f"{self.backbone.record.label}, {self.transform.spec.size} px"


class Pass:
    """Features and BatchNorm sums of images: from the cache, or both at once."""

    def __init__(
        self,
        lens: Lens,
        items: Sequence[Item],
        groups_NM: NDArray[np.int64],
        num_groups: int,
        what: str,
        told: Preparation,
    ):
        """Takes images.

        Args:
            lens: looks at them.
            items: images, each content once.
            groups_NM: the groups that each is in.
            num_groups: how many there are.
            what: the images are, in two words.
            told: how many images are done.
        """
        self._lens = lens
        self._items = items
        self._groups_NM = groups_NM
        self._num_groups = num_groups
        self._what = what
        self._told = told
        self._features_ND: NDArray[np.float32] | None = None

    def sums_G3C(self) -> NDArray[np.float32]:
        """Returns the BatchNorm sums of the groups; see NormSums."""
        num_channels = sum(self._lens.watch.widths)

        def fill(array: np.ndarray) -> None:
            tally = NormTally(self._groups_NM, self._num_groups, num_channels)
            self._features_ND = self._computed(tally)
            array[:] = tally.sums_G3C

        groups = hashlib.sha256(self._groups_NM.tobytes()).hexdigest()[:16]
        return self._kept({"norms": groups}, (self._num_groups, 3, num_channels), fill)

    def features_ND(self) -> NDArray[np.float32]:
        """Returns the features of the images, in their order."""

        def fill(array: np.ndarray) -> None:
            known_ND = self._features_ND
            array[:] = self._computed(None) if known_ND is None else known_ND

        return self._kept({"norms": None}, (len(self._items), *self._lens.cut.shape), fill)

    def _kept(
        self, key: dict[str, Any], shape: tuple[int, ...], fill: Callable[[np.ndarray], None]
    ) -> NDArray[np.float32]:
        lens = self._lens
        whole_key = key | features_key(
            lens.cut, self._items, lens.transform, "float32", None, lens.device, lens.layout
        )
        label = f"{lens.label}, {self._what} of a check for drift"
        waiting = lambda: self._told.advance(0)  # noqa: E731
        kept = keep_features(whole_key, label, shape, fill, waiting, always=True)
        assert kept is not None
        return np.array(kept.array)

    @torch.inference_mode()
    def _computed(self, tally: NormTally | None) -> NDArray[np.float32]:
        """Returns features; all images go through the backbone, and are added up where asked."""
        lens = self._lens
        features_ND = np.empty((len(self._items), *lens.cut.shape), dtype=np.float32)
        dataset = PictureDataset(self._items, lens.transform, 0)
        batches = EpochBatches(len(dataset), BATCH_SIZE, 0, shuffle=False)
        source = PictureSource(dataset, batches, lens.device, lens.layout)
        watched = nullcontext() if tally is None else lens.watch.hooked()
        with lens.backbone.evaluating(), watched, _said_of_images(self._what):
            for images_BCHW, _, positions_B in source.epoch(1):
                features_ND[positions_B.numpy()] = lens.backbone(images_BCHW).cpu().numpy()
                if tally is not None:
                    tally.add(positions_B, lens.watch.batch())
                self._told.advance(len(positions_B))
        return features_ND


@contextmanager
def _said_of_images(what: str) -> Iterator[None]:
    """Has a picture that cannot be read told in words that fit a run which has ended.

    Raises:
        DataError: it cannot be read.
    """
    try:
        yield
    except DataError as error:
        why = str(error).removeprefix(UNREADABLE).partition("; put it back or")[0].strip()
        raise DataError(
            f"One of the {what} can no longer be read: {why}; put it back as it was, and try again."
        ) from error
