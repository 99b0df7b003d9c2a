"""Batches: every image once an epoch, nearly equal sizes, an order of seed and epoch alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.loader import EpochBatches, PictureDataset, picture_loader
from engine.data.manifest import Item
from engine.data.transforms import EvalTransform
from engine.models.catalogue import backbone_record
from engine.spec import ImageSpec

COUNTS = [(2, 2), (3, 2), (4, 32), (18, 8), (33, 32), (65, 32), (64, 32), (97, 8), (5, 1024)]


def order(
    num_items: int, batch_size: int, seed: int, epoch: int, shuffle: bool = True
) -> list[int]:
    batches = EpochBatches(num_items, batch_size, seed, shuffle)
    batches.epoch = epoch
    return [int(position) for batch in batches.positions() for position in batch]


@pytest.mark.parametrize(("num_items", "batch_size"), COUNTS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_image_comes_exactly_once(num_items: int, batch_size: int, shuffle: bool) -> None:
    for epoch in (1, 2):
        assert sorted(order(num_items, batch_size, 0, epoch, shuffle)) == list(range(num_items))


@pytest.mark.parametrize(("num_items", "batch_size"), COUNTS)
def test_sizes_differ_by_at_most_one_and_no_batch_is_of_one(
    num_items: int, batch_size: int
) -> None:
    batches = EpochBatches(num_items, batch_size, 0, shuffle=True)
    sizes = [len(batch) for batch in batches.positions()]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2
    assert len(sizes) == len(batches)
    assert max(sizes) <= max(batch_size, 3)


def test_a_single_validation_image_is_one_batch() -> None:
    batches = EpochBatches(1, 8, 0, shuffle=False)
    assert [batch.tolist() for batch in batches.positions()] == [[0]]


def test_order_depends_on_the_seed_and_the_epoch_alone() -> None:
    first = order(40, 8, seed=0, epoch=1)
    np.random.seed(3)
    torch.manual_seed(3)
    assert order(40, 8, seed=0, epoch=1) == first
    assert order(40, 8, seed=1, epoch=1) != first
    assert order(40, 8, seed=0, epoch=2) != first
    assert order(40, 5, seed=0, epoch=1) == first


def test_unshuffled_batches_keep_the_order() -> None:
    assert order(10, 4, seed=0, epoch=3, shuffle=False) == list(range(10))


def test_loader_hands_out_images_labels_and_positions(tiny_folder: Path) -> None:
    files = sorted(tiny_folder.glob("*/*"))[:10]
    items = [Item(str(file), label=index % 3) for index, file in enumerate(files)]
    transform = EvalTransform(
        ImageSpec(size=64, fit="squash"), backbone_record("efficientnet_lite0")
    )
    batches = EpochBatches(len(items), 4, seed=0, shuffle=True)
    loader = picture_loader(PictureDataset(items, transform, seed=0), batches)
    for epoch in (1, 2):
        batches.epoch = epoch
        expected = [batch.tolist() for batch in batches.positions()]
        seen = []
        for images_BCHW, labels_B, positions_B in loader:
            assert images_BCHW.shape[1:] == (3, 64, 64)
            assert images_BCHW.dtype == torch.float32
            assert [items[p].label for p in positions_B.tolist()] == labels_B.tolist()
            seen.append(positions_B.tolist())
        assert seen == expected
