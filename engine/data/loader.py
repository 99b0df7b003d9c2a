"""Batches of images in an order that depends on seed and epoch alone.

Shapes: B images, C channels, H rows, W columns.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from engine.data.batches import num_batches
from engine.data.check import content_digest
from engine.data.decode import decode_image
from engine.data.manifest import Item
from engine.data.squares import Rows
from engine.data.transforms import EvalTransform
from engine.errors import DataError

UNREADABLE = "This picture was good when the run began and can no longer be read:"

Draw = tuple[int, int]
Batch = tuple[Tensor, Tensor, Tensor]


class PictureDataset(Dataset[Batch]):
    """Pictures read from their files; an item is asked for as (epoch, position)."""

    def __init__(
        self,
        items: Sequence[Item],
        transform: EvalTransform,
        seed: int,
        squares: Rows | None = None,
        views: int = 0,
    ):
        """Takes what decides the images.

        Args:
            items: their files and labels.
            transform: makes images of them.
            seed: decides random changes, with epoch and position.
            squares: the pictures as `transform.square` gives them, where they are at hand.
            views: so many epochs differ, after which their images come again; 0 for all.
        """
        self.items = items
        self.transform = transform
        self.seed = seed
        self.squares = squares
        self.views = views

    def __getitem__(self, draw: Draw) -> Batch:
        """Returns image (3, H, W), label and position of one picture."""
        epoch, position = draw
        item = self.items[position]
        if self.squares is None:
            square = read_square(item, self.transform)
        else:
            square = Image.fromarray(self.squares[position])
        seed = (self.seed, view_of(epoch, self.views), position)
        image_CHW = self.transform.finish(square, seed)
        return image_CHW, torch.tensor(item.label), torch.tensor(position)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.items)


def read_square(item: Item, transform: EvalTransform) -> Image.Image:
    """Returns a picture of a run, read from its file and fitted.

    What is kept of it is found by its content, so it must be the content that was checked.

    Raises:
        DataError: it can no longer be read, or has changed since it was checked.
    """
    path = Path(item.path)
    try:
        picture = decode_image(path, at_least=transform.decode_size)
        if item.digest and content_digest(path) != item.digest:
            raise DataError("it has changed")
    except (DataError, OSError) as error:
        raise DataError(
            f"{UNREADABLE} {item.path}: {error}; put it back or remove it, and start the run again."
        ) from error
    return transform.square(picture)


def view_of(epoch: int, views: int) -> int:
    """Returns whose images an epoch sees (both counted from 1), where so many differ."""
    return (epoch - 1) % views + 1 if views else epoch


class EpochBatches(Sampler[list[Draw]]):
    """Batches of nearly equal size, shuffled anew in each epoch or in given order.

    Equal sizes keep every image in every epoch without a last batch of one, on which BatchNorm
    cannot train.
    """

    def __init__(
        self,
        num_items: int,
        batch_size: int,
        seed: int,
        shuffle: bool,
        chances_N: Sequence[float] | None = None,
    ):
        """Takes what decides the order.

        Args:
            num_items: items to choose from, and drawn in an epoch.
            batch_size: at most so many in a batch.
            seed: decides the order, with the epoch.
            shuffle: in an order of chance.
            chances_N: with what chance each item is drawn, summing to 1; items are then drawn with
                replacement, so some come twice and some not at all. None takes each once.
        """
        self.chances_N = chances_N
        self.num_items = num_items
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 1
        self.skip = 0

    def __len__(self) -> int:
        """Number of batches in an epoch, those that are skipped counted in."""
        return num_batches(self.num_items, self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yields the batches of the current `epoch` as lists of (epoch, position)."""
        for positions in self.positions():
            yield [(self.epoch, position) for position in positions.tolist()]

    def positions(self) -> list[np.ndarray]:
        """Returns the positions of each batch of the current `epoch` but the first `skip`."""
        order = np.arange(self.num_items)
        if self.shuffle:
            random = np.random.default_rng([self.seed, self.epoch])
            order = (
                random.permutation(self.num_items)
                if self.chances_N is None
                else random.choice(self.num_items, size=self.num_items, p=self.chances_N)
            )
        return np.array_split(order, len(self))[self.skip :]


def picture_loader(
    dataset: PictureDataset, batches: EpochBatches, pin_memory: bool = False
) -> DataLoader[Batch]:
    """Returns a loader that decodes in worker processes, kept alive between epochs."""
    num_workers = min(8, max(1, (os.cpu_count() or 1) // 2))
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=num_workers,
        persistent_workers=True,
        pin_memory=pin_memory,
        # Its workers' seeds, which nothing here uses, would else be drawn from the numbers that
        # dropout is drawn from, and not in every process at the same time.
        generator=torch.Generator(),
    )
