"""What gives rare classes their due. Shapes: N training images, K classes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def class_weights(labels_N: Sequence[int], num_classes: int) -> Tensor:
    """Returns the weight (K,) of each class in the loss: N / (K * images of the class).

    All classes together then weigh as much as without weights (King & Zeng 2001). A class without
    images weighs 0.
    """
    counts_K = np.bincount(labels_N, minlength=num_classes)
    weights_K = np.where(counts_K > 0, len(labels_N) / np.maximum(counts_K, 1), 0.0)
    return torch.tensor(weights_K / (counts_K > 0).sum(), dtype=torch.float32)


def equal_chances(labels_N: Sequence[int], num_classes: int) -> list[float]:
    """Returns the chance (N,) of each image such that every class is drawn equally often."""
    counts_K = np.bincount(labels_N, minlength=num_classes)
    chances_N = 1.0 / counts_K[np.asarray(labels_N)]
    return [float(chance) for chance in chances_N / chances_N.sum()]
