"""Where an epoch's batches come from: picture files, or features that were computed once.

Shapes: B images, C channels, H rows, W columns, N images of a split, D features.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.data.loader import UNREADABLE, Batch, EpochBatches, PictureDataset, picture_loader
from engine.errors import DataError


class Source(Protocol):
    """Batches of (inputs, labels (B,), positions (B,)) for one epoch after the other."""

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""

    @property
    def num_images(self) -> int:
        """Images in an epoch."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1), on the device."""


class PictureSource:
    """Normalised images (B, 3, H, W), decoded in worker processes."""

    def __init__(self, dataset: PictureDataset, batches: EpochBatches, device: torch.device):
        self._batches = batches
        self._device = device
        self._loader = picture_loader(dataset, batches, pin_memory=device.type == "cuda")

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return len(self._batches)

    @property
    def num_images(self) -> int:
        """Images in an epoch."""
        return self._batches.num_items

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1), on the device."""
        self._batches.epoch = epoch
        for images_BCHW, labels_B, positions_B in self._read():
            moved = images_BCHW.to(
                self._device, memory_format=torch.channels_last, non_blocking=True
            )
            yield moved, labels_B.to(self._device, non_blocking=True), positions_B

    def _read(self) -> Iterator[Batch]:
        try:
            yield from self._loader
        except DataError as error:
            # The loader hands on a worker's whole traceback as the message.
            sentence = str(error).rpartition(UNREADABLE)[2].strip()
            raise DataError(
                f"{UNREADABLE} {sentence}; put it back or remove it, and start the run again."
            ) from error


class FeatureSource:
    """Features (B, D) held in memory, in the same order as the pictures would come."""

    def __init__(self, features_ND: Tensor, labels_N: Tensor, batches: EpochBatches):
        self._features_ND = features_ND
        self._labels_N = labels_N
        self._batches = batches

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return len(self._batches)

    @property
    def num_images(self) -> int:
        """Images in an epoch."""
        return self._batches.num_items

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of an epoch (counted from 1), on the device."""
        self._batches.epoch = epoch
        for positions in self._batches.positions():
            positions_B = torch.from_numpy(positions)
            chosen_B = positions_B.to(self._features_ND.device)
            yield self._features_ND[chosen_B], self._labels_N[chosen_B], positions_B


def labels_tensor(labels: Sequence[int], device: torch.device) -> Tensor:
    """Returns labels (N,) on the device."""
    return torch.tensor(labels, dtype=torch.long, device=device)
