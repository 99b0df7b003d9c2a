"""How sure a number is that was measured on a sample of images. No torch here.

Shapes: N images, K classes, S seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from engine.insight.resampled import Resampled, counts_of_samples

LEVEL = 0.95
NUM_RESAMPLES = 400


@dataclass(frozen=True)
class Estimate:
    """A number with the interval that holds its true value in 95 of 100 cases."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Returns it as plain data."""
        return {"value": self.value, "low": self.low, "high": self.high}


def accuracy_estimate(right_N: NDArray[np.bool_]) -> Estimate:
    """Returns the accuracy (fraction) of one model, for all images that these are a sample of.

    Source: Wilson 1927 (score interval).
    """
    right, num = int(right_N.sum()), len(right_N)
    interval = stats.binomtest(right, num).proportion_ci(LEVEL, method="wilson")
    return Estimate(right / num, float(interval.low), float(interval.high))


def auc_estimate(first_N: NDArray[np.floating], second_M: NDArray[np.floating]) -> Estimate:
    """Returns how often a score is greater for one of the second set than for one of the first.

    The interval is never of no width, even where the score tells all of these apart.

    Source: Newcombe 2006, Statistics in Medicine 25:559 (its method 5).

    Args:
        first_N: scores of the one set.
        second_M: of the other; equal ones count half.
    """
    num = len(first_N) * len(second_M)
    auc = float(stats.mannwhitneyu(second_M, first_N).statistic) / num
    typical = (len(first_N) + len(second_M)) / 2 - 1
    z_squared = float(stats.norm.ppf(0.5 + LEVEL / 2)) ** 2

    def beyond(true: float) -> float:
        spread = typical * ((1 - true) / (2 - true) + true / (1 + true))
        return (auc - true) ** 2 - z_squared * true * (1 - true) * (1 + spread) / num

    # At 0 and 1 no score varies, so these are roots of their own where all are told apart.
    nearly = 1e-9
    low = optimize.brentq(beyond, nearly, min(auc, 1 - nearly)) if auc > nearly else 0.0
    high = optimize.brentq(beyond, max(auc, nearly), 1 - nearly) if auc < 1 - nearly else 1.0
    return Estimate(auc, float(low), float(high))


def score_estimate(score_N: NDArray[np.float64]) -> Estimate:
    """Returns the mean of a score that each image has, from 0 to 1, with Student's interval."""
    mean, num = float(score_N.mean()), len(score_N)
    half = half_width([Part(float(score_N.var(ddof=1)) / num, num - 1)]) if num > 1 else 1.0
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


def mean_accuracy_estimate(right_SN: NDArray[np.bool_] | NDArray[np.float64]) -> Estimate:
    """Returns the mean accuracy (fraction) over seeds, for other images and other seeds.

    Both are samples: the images of all that there could be, the seeds of all ways in which chance
    could fall while training. With one seed only the images are known to vary.

    Args:
        right_SN: which images each seed's run gets right, or a score from 0 to 1.
    """
    if len(right_SN) == 1:
        [right_N] = right_SN
        return accuracy_estimate(right_N) if right_N.dtype == bool else score_estimate(right_N)
    accuracy_S = right_SN.mean(axis=1)
    parts = [
        Part(float(right_SN.mean(axis=0).var(ddof=1)) / right_SN.shape[1], right_SN.shape[1] - 1),
        Part(float(accuracy_S.var(ddof=1)) / len(accuracy_S), len(accuracy_S) - 1),
    ]
    mean = float(accuracy_S.mean())
    half = half_width(parts)
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


@dataclass(frozen=True)
class Part:
    """A part of the variance of an estimate, and the degrees of freedom that it is known with."""

    variance: float
    freedom: int


def half_width(parts: Sequence[Part], level: float = LEVEL) -> float:
    """Returns half the width of an interval of Student's t.

    Source: Satterthwaite 1946 (for the degrees of freedom of a sum).
    """
    total, freedom = total_variance(parts)
    if total == 0.0:
        return 0.0
    return float(stats.t.ppf(0.5 + level / 2, freedom)) * math.sqrt(total)


def total_variance(parts: Sequence[Part]) -> tuple[float, float]:
    """Returns the sum of variances, and the degrees of freedom that it is known with."""
    total = float(sum(part.variance for part in parts))
    if total == 0.0:
        return 0.0, float(max(part.freedom for part in parts))
    return total, total**2 / sum(part.variance**2 / part.freedom for part in parts)


def mean_estimate(values: Sequence[float]) -> Estimate | None:
    """Returns the mean of samples with Student's interval; of one sample it is that alone."""
    if not values:
        return None
    mean = float(np.mean(values))
    half = 0.0
    if len(values) > 1:
        half = half_width([Part(float(np.var(values, ddof=1)) / len(values), len(values) - 1)])
    return Estimate(mean, mean - half, mean + half)


def estimate_over_seeds(statistics: Sequence[Resampled], num: int, seed: int = 0) -> Estimate:
    """Returns the mean of a statistic (0 to 1) over seeds, for other images and other seeds.

    How it varies with the images is found by drawing them anew many times. The interval lies about
    the value itself, since some statistics, as the calibration error, are larger by construction
    where images come twice.

    Args:
        statistics: one a seed, of samples of the images; see resampled.
        num: images.
        seed: of the drawing.

    Source: Efron 1979 (bootstrap, standard error).
    """
    value_S = [float(statistic(np.ones((1, num)))[0]) for statistic in statistics]
    means = np.concatenate(
        [
            np.mean([statistic(counts_RN) for statistic in statistics], axis=0)
            for counts_RN in counts_of_samples(num, NUM_RESAMPLES, seed)
        ]
    )
    parts = [Part(float(np.var(means, ddof=1)), max(1, num - 1))]
    if len(value_S) > 1:
        parts.append(Part(float(np.var(value_S, ddof=1)) / len(value_S), len(value_S) - 1))
    mean, half = float(np.mean(value_S)), half_width(parts)
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))
