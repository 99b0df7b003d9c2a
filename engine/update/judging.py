"""How well an update does on each batch of images that came so far. No torch here.

Shapes: N validation images, K classes, T batches.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.data.manifest import Batch, Manifest

if TYPE_CHECKING:
    from torch import Tensor

OLD, NEW = "val/old_accuracy", "val/new_accuracy"


def batch_accuracies(
    batches: tuple[Batch, ...], correct_N: NDArray[np.bool_]
) -> list[float | None]:
    """Returns what share (T) of each batch is told right; None where nothing judges it.

    Args:
        batches: in the order of the validation images.
        correct_N: whether each image was told right.
    """
    ends = np.cumsum([batch.num_val for batch in batches])
    parts = np.split(correct_N, ends[:-1])
    return [float(part.mean()) if len(part) else None for part in parts]


def old_and_new(manifest: Manifest, correct_N: NDArray[np.bool_]) -> dict[str, float]:
    """Returns accuracy on the images of all earlier batches, and on the last; nothing of no update.

    What has no images is not named.
    """
    if not manifest.batches:
        return {}
    first_new = len(correct_N) - manifest.batches[-1].num_val
    parts = {OLD: correct_N[:first_new], NEW: correct_N[first_new:]}
    return {name: float(part.mean()) for name, part in parts.items() if len(part)}


def of_logits(manifest: Manifest, logits_NK: "Tensor") -> dict[str, float]:
    """Returns the same of logits of the validation images, in the manifest's order."""
    labels_N = np.array([item.label for item in manifest.val])
    return old_and_new(manifest, logits_NK.argmax(dim=1).numpy() == labels_N)
