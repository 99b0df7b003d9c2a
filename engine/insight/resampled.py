"""Statistics of many samples of images at once, each drawn from the same images. No torch here.

A sample is told by how often it holds each image. Statistics are then products of matrices, which
takes a fiftieth of the time of working them out sample by sample.

Shapes: N images, K classes, B bins, R samples.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.insight.calibration import NUM_BINS, bins_of

# Of how often each image is drawn, so many numbers are held at once.
MOST_NUMBERS = 4_000_000

Counts = NDArray[np.float64]
# Takes how often each image is in each sample (R, N) and gives the statistic of each (R,).
Resampled = Callable[[Counts], NDArray[np.float64]]


def counts_of_samples(num: int, num_samples: int, seed: int = 0) -> Iterator[Counts]:
    """Yields, in portions, how often each of so many images is in each sample drawn from them.

    Args:
        num: images, in all and in each sample.
        num_samples: samples in all.
        seed: of the drawing.
    """
    drawn = np.random.default_rng(seed)
    portion = max(1, MOST_NUMBERS // num)
    for first in range(0, num_samples, portion):
        rows = range(first, min(num_samples, first + portion))
        yield np.array(
            [np.bincount(drawn.integers(0, num, num), minlength=num) for _ in rows],
            dtype=np.float64,
        )


def f1_of_samples(predicted_N: NDArray[np.int64], labels_N: NDArray[np.int64]) -> Resampled:
    """Returns what gives the macro F1 of samples: the mean over the classes that occur in each.

    Args:
        predicted_N: the class that is named for each image.
        labels_N: its true class.
    """
    num_classes = int(max(predicted_N.max(), labels_N.max())) + 1
    places = np.arange(len(labels_N))
    right = predicted_N == labels_N
    right_KN, found_KN, there_KN = (
        sparse.csr_array(
            (weights.astype(np.float64), (classes, places)), shape=(num_classes, len(places))
        )
        for classes, weights in (
            (labels_N, right),
            (predicted_N, np.ones_like(right)),
            (labels_N, np.ones_like(right)),
        )
    )

    def of_samples(counts_RN: Counts) -> NDArray[np.float64]:
        either_KR = (found_KN + there_KN) @ counts_RN.T
        f1_KR = 2 * (right_KN @ counts_RN.T) / np.maximum(either_KR, 1.0)
        return np.asarray(f1_KR.sum(axis=0) / (either_KR > 0).sum(axis=0))

    return of_samples


def calibration_error_of_samples(
    probabilities_NK: NDArray[np.floating], labels_N: NDArray[np.integer]
) -> Resampled:
    """Returns what gives the expected calibration error of samples; see calibration.

    Args:
        probabilities_NK: of the classes, each row adding up to 1.
        labels_N: true classes.
    """
    confidence_N = probabilities_NK.max(axis=1).astype(np.float64)
    right_N = probabilities_NK.argmax(axis=1) == labels_N
    places = np.arange(len(labels_N))
    # Images times the gap of a bin is the sum over its images, so no division is needed.
    gaps_BN = sparse.csr_array(
        (confidence_N - right_N, (bins_of(confidence_N), places)), shape=(NUM_BINS, len(places))
    )

    def of_samples(counts_RN: Counts) -> NDArray[np.float64]:
        return np.asarray(np.abs(gaps_BN @ counts_RN.T).sum(axis=0) / counts_RN.sum(axis=1))

    return of_samples
