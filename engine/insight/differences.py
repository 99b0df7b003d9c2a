"""Whether two results differ, or only seem to. No torch here.

Shapes: N images, S and T seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.insight.intervals import LEVEL, Estimate, Part, half_width, total_variance

# With which certainty a difference that is there is to be found.
POWER = 0.8
NUM_RESAMPLES = 10_000

# Right or wrong, or something in between.
Scores = NDArray[np.bool_] | NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One result less another, on the same images.

    Attributes:
        estimate: of the difference of the accuracies, fractions.
        p_value: how often chance alone makes a difference as large.
        method: how that was found.
        only_first: images that the one alone gets right; its mean over seeds.
        only_second: images that the other alone gets right.
        num_images: that both were measured on.
        images_to_tell: about so many would tell them apart, were the difference as it seems; None
            where they are told apart, or no number of images would do.
    """

    estimate: Estimate
    p_value: float
    method: str
    only_first: float
    only_second: float
    num_images: int
    images_to_tell: int | None


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the p-value of two models that differ on so many images, exactly.

    Source: McNemar 1947; exact form as the sign test of the images on which they differ.
    """
    differing = only_first + only_second
    return float(stats.binomtest(only_first, differing).pvalue) if differing else 1.0


def difference_of_runs(
    first_N: NDArray[np.bool_], second_N: NDArray[np.bool_], seed: int = 0
) -> Difference:
    """Compares two runs: McNemar's test, and an interval by a paired bootstrap over images.

    It tells these two models apart, not what they were made with: another seed makes another model.

    Args:
        first_N: which images the one gets right.
        second_N: which the other gets right.
        seed: of the drawing of images.
    """
    only_first = int((first_N & ~second_N).sum())
    only_second = int((second_N & ~first_N).sum())
    lead_N = first_N.astype(np.int8) - second_N.astype(np.int8)
    p_value = mcnemar(only_first, only_second)
    variance = float(lead_N.var())
    return Difference(
        estimate=_bootstrap(lead_N, seed),
        p_value=p_value,
        method="McNemar",
        only_first=only_first,
        only_second=only_second,
        num_images=len(lead_N),
        images_to_tell=_images_to_tell(float(lead_N.mean()), variance, 0.0, p_value),
    )


def _bootstrap(lead_N: NDArray[np.int8], seed: int) -> Estimate:
    """Returns the mean lead and its interval.

    How often each of the three kinds of image (ahead, behind, equal) is drawn is all that counts,
    so drawing kinds is the same as drawing images, and quicker.
    """
    num = len(lead_N)
    shares = [float((lead_N == kind).mean()) for kind in (1, -1, 0)]
    drawn = np.random.default_rng(seed).multinomial(num, shares, NUM_RESAMPLES)
    means = (drawn[:, 0] - drawn[:, 1]) / num
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(lead_N.mean()), float(low), float(high))


def difference_of_scores(first_N: Scores, second_N: Scores) -> Difference:
    """Compares two runs by a score that each has on an image, such as how often it is right there.

    What is done to one image (25 corruptions, say) is no sample of 25: only images are.

    Args:
        first_N: scores of the one, from 0 to 1.
        second_N: of the other, on the same images.

    Source: Student 1908 (paired t-test).
    """
    lead_N = first_N.astype(np.float64) - second_N
    num, mean = len(lead_N), float(lead_N.mean())
    variance = float(lead_N.var(ddof=1)) if num > 1 else 0.0
    half = half_width([Part(variance / num, num - 1)])
    t = abs(mean) / (variance / num) ** 0.5 if variance else 0.0
    p_value = float(2 * stats.t.sf(t, num - 1)) if variance else float(mean == 0 or num == 1)
    return Difference(
        estimate=Estimate(mean, mean - half, mean + half),
        p_value=p_value,
        method="paired t",
        only_first=float(np.maximum(lead_N, 0.0).sum()),
        only_second=float(np.maximum(-lead_N, 0.0).sum()),
        num_images=num,
        images_to_tell=_images_to_tell(mean, variance, 0.0, p_value),
    )


def difference_of_strategies(first_SN: Scores, second_TN: Scores) -> Difference:
    """Compares two ways of training, each run with several seeds on the same images.

    Images and seeds are both samples. The variance of the difference is taken as the sum of that
    over images (of the mean over seeds) and that over seeds (of each), which counts what images and
    seeds do together twice: on the cautious side.

    Args:
        first_SN: which images each seed's run gets right, or a score from 0 to 1.
        second_TN: of the other way; may have another number of seeds.

    Raises:
        ValueError: one of them has a single seed.

    Source: crossed random effects, as for readers and cases (Gallas 2006); Welch 1947 and
    Satterthwaite 1946 for the degrees of freedom.
    """
    if min(len(first_SN), len(second_TN)) < 2:
        raise ValueError("a way of training with a single seed")
    lead_N = first_SN.mean(axis=0) - second_TN.mean(axis=0)
    of_seeds = [
        Part(float(group.mean(axis=1).var(ddof=1)) / len(group), len(group) - 1)
        for group in (first_SN, second_TN)
    ]
    over_images = float(lead_N.var(ddof=1))
    parts = [Part(over_images / len(lead_N), len(lead_N) - 1), *of_seeds]
    mean = float(lead_N.mean())
    half = half_width(parts)
    total, freedom = total_variance(parts)
    p_value = float(2 * stats.t.sf(abs(mean) / total**0.5, freedom)) if total else float(mean == 0)
    seeds_variance = sum(part.variance for part in of_seeds)
    return Difference(
        estimate=Estimate(mean, mean - half, mean + half),
        p_value=p_value,
        method="images and seeds",
        only_first=float(np.maximum(lead_N, 0.0).sum()),
        only_second=float(np.maximum(-lead_N, 0.0).sum()),
        num_images=len(lead_N),
        images_to_tell=_images_to_tell(mean, over_images, seeds_variance, p_value),
    )


def _images_to_tell(
    mean: float, over_images: float, over_seeds: float, p_value: float
) -> int | None:
    """Returns how many images would tell a difference with POWER, were it as large as it seems.

    Args:
        mean: the difference.
        over_images: variance of an image's lead.
        over_seeds: variance of the difference that more images do not lessen.
        p_value: of the difference now.
    """
    if p_value < 1 - LEVEL or mean == 0.0:
        return None
    wanted = float(stats.norm.ppf(0.5 + LEVEL / 2) + stats.norm.ppf(POWER))
    left = (mean / wanted) ** 2 - over_seeds
    return int(np.ceil(over_images / left)) if left > 0.0 else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values that allow for their number: one false alarm in twenty over all of them.

    Source: Holm 1979.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[int(index)] = highest
    return adjusted
