"""Where a model looks, by covering one part of the picture after the other.

It asks nothing of the architecture, and what it shows is what happens: how much less there is for a
class once a part is gone. It takes a pass a part, and a thing that several parts show is missed
where any one of them is enough.

Source: Zeiler & Fergus 2014 (Visualizing and understanding convolutional networks), section 4.2.

Shapes: B images, C channels, H rows, W columns, K classes, P parts.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Cells down and across, and how many of them, down and across, are covered at once: one alone is
# often too little to hide a thing.
SIDE = 7
COVERED = 2
NUM_PARTS = (SIDE + COVERED - 1) ** 2
BATCH = 8
# Less of the distance between the logits is what any change of pixels does.
LEAST_FALL = 0.05


@torch.no_grad()
def covered_maps(
    model: Callable[[Tensor], Tensor],
    image_CHW: Tensor,
    places: Sequence[int],
    advance: Callable[[int], None] = lambda num: None,
) -> list[Tensor]:
    """Returns by how much the evidence for classes falls where a part is covered, (SIDE, SIDE).

    Evidence is the class's logit above the mean of all logits, since what is added to all of them
    changes no probability. Each part is a square of COVERED cells a side, covered with the
    backbone's mean colour; a cell has the mean of the parts that it is in. Where no part changes
    anything that counts, the map is zero.

    Args:
        model: gives logits (B, K).
        image_CHW: normalised, so that 0 is the mean colour.
        places: indices of the classes.
        advance: told how many parts are done; what it raises ends this.
    """
    logits_1K = model(image_CHW[None])
    least = LEAST_FALL * float(logits_1K.max() - logits_1K.min())
    whole_K = _evidence(logits_1K)[0]
    firsts = range(1 - COVERED, SIDE)
    corners = list(itertools.product(firsts, firsts))
    falls = []
    for start in range(0, NUM_PARTS, BATCH):
        batch = corners[start : start + BATCH]
        images_BCHW = torch.stack([_covered(image_CHW, row, column) for row, column in batch])
        falls.append(whole_K - _evidence(model(images_BCHW)))
        advance(len(batch))
    falls_PK = torch.cat(falls)
    maps = [_cells(corners, falls_PK[:, place]) for place in places]
    return [
        map_hw.relu() if float(falls_PK[:, place].max()) > least else torch.zeros_like(map_hw)
        for place, map_hw in zip(places, maps, strict=True)
    ]


def _covered(image_CHW: Tensor, row: int, column: int) -> Tensor:
    """Returns the picture without the part whose upper left cell is given; it may begin outside."""
    height, width = image_CHW.shape[1:]
    down, across = (
        slice(round(max(0, first) * length / SIDE), round((first + COVERED) * length / SIDE))
        for first, length in ((row, height), (column, width))
    )
    covered_CHW = image_CHW.clone()
    covered_CHW[:, down, across] = 0.0
    return covered_CHW


def _cells(corners: Sequence[tuple[int, int]], falls_P: Tensor) -> Tensor:
    cells_hw = torch.zeros(SIDE, SIDE)
    for (row, column), fall in zip(corners, falls_P, strict=True):
        cells_hw[max(0, row) : row + COVERED, max(0, column) : column + COVERED] += fall
    return cells_hw / COVERED**2


def _evidence(logits_BK: Tensor) -> Tensor:
    return logits_BK - logits_BK.mean(dim=1, keepdim=True)
