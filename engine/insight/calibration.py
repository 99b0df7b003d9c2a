"""How far a model's confidence can be believed. No torch here.

Shapes: N images, K classes, B bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """What a model was confident of, against how often it was right.

    Bins have the same width, and those that no image falls into are left out.

    Attributes:
        edges_B: upper ends of the bins, fractions.
        counts_B: images in each.
        confidence_B: mean probability of the class that was named, a fraction.
        accuracy_B: fraction of the images that it was right about.
    """

    edges_B: NDArray[np.float64]
    counts_B: NDArray[np.int64]
    confidence_B: NDArray[np.float64]
    accuracy_B: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error (ECE): the mean gap of the two, weighed by images."""
        gaps_B = np.abs(self.confidence_B - self.accuracy_B)
        return float((self.counts_B * gaps_B).sum() / self.counts_B.sum())


def reliability(
    probabilities_NK: NDArray[np.floating], labels_N: NDArray[np.integer], num_bins: int = NUM_BINS
) -> Reliability:
    """Returns confidence against accuracy in bins of the same width.

    Args:
        probabilities_NK: of the classes, each row adding up to 1.
        labels_N: true classes, 0 to K - 1.
        num_bins: between 0 and 1.

    Source: Guo et al. 2017 (On calibration of modern neural networks).
    """
    confidence_N = probabilities_NK.max(axis=1).astype(np.float64)
    right_N = probabilities_NK.argmax(axis=1) == labels_N
    bins_N = bins_of(confidence_N, num_bins)
    counts = np.bincount(bins_N, minlength=num_bins)
    there = np.flatnonzero(counts)
    sums = [np.bincount(bins_N, weights, num_bins)[there] for weights in (confidence_N, right_N)]
    return Reliability(
        edges_B=(there + 1) / num_bins,
        counts_B=counts[there],
        confidence_B=sums[0] / counts[there],
        accuracy_B=sums[1] / counts[there],
    )


def bins_of(confidence_N: NDArray[np.float64], num_bins: int = NUM_BINS) -> NDArray[np.intp]:
    """Returns into which bin (from 0) each confidence falls; one holds its upper end, as there."""
    bins_N: NDArray[np.intp] = np.ceil(confidence_N * num_bins).astype(np.intp) - 1
    return np.clip(bins_N, 0, num_bins - 1)
