"""Where an epoch's batches come from: picture files, or what was computed from them once.

Shapes: B images, C channels, H rows, W columns, N images of a split.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.data.loader import UNREADABLE, Batch, EpochBatches, PictureDataset, picture_loader
from engine.data.squares import Rows
from engine.data.transforms import EvalTransform
from engine.errors import DataError, TrainingError
from engine.models.cut import as_inputs


class Source(Protocol):
    """Batches of (inputs, labels (B,), positions (B,)) for one epoch after the other."""

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""

    @property
    def num_images(self) -> int:
        """Images in an epoch."""

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1) but the first `skip`, on the device."""


class _InBatches:
    """What all sources share: an epoch is so many batches of so many images."""

    def __init__(self, batches: EpochBatches):
        self._batches = batches

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return len(self._batches)

    @property
    def num_images(self) -> int:
        """Images in an epoch."""
        return self._batches.num_items


class PictureSource(_InBatches):
    """Normalised images (B, 3, H, W), decoded in worker processes."""

    def __init__(
        self,
        dataset: PictureDataset,
        batches: EpochBatches,
        device: torch.device,
        layout: torch.memory_format,
    ):
        super().__init__(batches)
        self._device = device
        self._layout = layout
        self._loader = picture_loader(dataset, batches, pin_memory=device.type == "cuda")

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1) but the first `skip`, on the device."""
        self._batches.epoch, self._batches.skip = epoch, skip
        for images_BCHW, labels_B, positions_B in self._read():
            moved = images_BCHW.to(self._device, memory_format=self._layout, non_blocking=True)
            yield moved, labels_B.to(self._device, non_blocking=True), positions_B

    def _read(self) -> Iterator[Batch]:
        try:
            yield from self._loader
        except DataError as error:
            # The loader hands on a worker's whole traceback as the message.
            sentence = str(error).rpartition(UNREADABLE)[2].strip()
            raise DataError(f"{UNREADABLE} {sentence}") from error
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                "A process that decodes pictures was killed, mostly for want of memory; end what "
                "else uses it, and resume the run."
            ) from error


class SquareSource(_InBatches):
    """Normalised images (B, 3, H, W), made of squares that were decoded once."""

    def __init__(
        self,
        squares: Rows,
        labels_N: Tensor,
        transform: EvalTransform,
        batches: EpochBatches,
        device: torch.device,
        layout: torch.memory_format,
    ):
        self._squares = squares
        self._labels_N = labels_N
        self._transform = transform
        super().__init__(batches)
        self._device = device
        self._layout = layout

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1) but the first `skip`, on the device."""
        self._batches.epoch, self._batches.skip = epoch, skip
        for positions in self._batches.positions():
            squares_BHWC = torch.from_numpy(self._squares[positions]).to(self._device)
            positions_B = torch.from_numpy(positions)
            labels_B = self._labels_N[positions_B.to(self._labels_N.device)]
            images_BCHW = self._transform.normalised(squares_BHWC)
            yield images_BCHW.contiguous(memory_format=self._layout), labels_B, positions_B


class FeatureSource(_InBatches):
    """What goes into the last part of a network (B, ...), in the same order as its pictures.

    It comes from arrays that were computed once, a view an array: an epoch takes the next of them.
    """

    def __init__(
        self,
        views: Sequence[Rows],
        axes: tuple[int, ...],
        labels_N: Tensor,
        batches: EpochBatches,
    ):
        """Takes what was computed.

        Args:
            views: one where every epoch sees the same.
            axes: order in which the dimensions of a batch lie there.
            labels_N: labels (N,), on the device.
            batches: positions of each batch.
        """
        self._views = views
        self._axes = axes
        self._labels_N = labels_N
        super().__init__(batches)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1) but the first `skip`, on the device."""
        self._batches.epoch, self._batches.skip = epoch, skip
        rows = self._views[(epoch - 1) % len(self._views)]
        device = self._labels_N.device
        for positions in self._batches.positions():
            stored = torch.from_numpy(rows[positions]).to(device, torch.float32)
            positions_B = torch.from_numpy(positions)
            yield as_inputs(stored, self._axes), self._labels_N[positions_B.to(device)], positions_B


def labels_tensor(labels: Sequence[int], device: torch.device) -> Tensor:
    """Returns labels (N,) on the device."""
    return torch.tensor(labels, dtype=torch.long, device=device)
