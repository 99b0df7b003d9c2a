"""How far images lie from what a backbone was pre-trained on, by its BatchNorm layers. No torch.

A BatchNorm layer keeps mean and variance of each of its channels over the pre-training images:
all that is left of them. What other images give is measured in those: a channel's shift is the
distance of its mean, in standard deviations of then.

Chance moves the mean of few images, and squares only add up, so what it adds on average is taken
off. Intervals are those of other images of the same kind (jackknife over BLOCKS parts of them,
Efron & Stein 1981).

Shapes: L layers, C channels of all layers, G groups of images, B blocks.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.insight.intervals import LEVEL, Estimate

BLOCKS = 20


class NormSums(NamedTuple):
    """Sums over the images of each group, of what goes into each channel, standardised.

    Attributes:
        counts_G: images of each group.
        sums_G3C: of an image's mean over its places, of that squared, and of its mean square.
    """

    counts_G: NDArray[np.int64]
    sums_G3C: NDArray[np.float64]

    def of(self, groups: Sequence[int] | NDArray[np.integer]) -> "NormSums":
        """Returns some groups together, as one."""
        chosen = list(groups)
        return NormSums(
            self.counts_G[chosen].sum(keepdims=True),
            self.sums_G3C[chosen].sum(axis=0, keepdims=True),
        )


@dataclass(frozen=True)
class NormLayer:
    """A BatchNorm layer, and where images lie in it.

    Attributes:
        name: its path in the backbone.
        old: root mean square over its channels of the old images' shift.
        new: that of the new ones.
        old_variance: variance of the old images, in that of then; geometric mean over channels.
        new_variance: that of the new ones.
    """

    name: str
    old: float
    new: float
    old_variance: float
    new_variance: float


@dataclass(frozen=True)
class NormShift:
    """How far old and new images lie from what a backbone was pre-trained on.

    Attributes:
        layers: in the order in which images go through them.
        old: mean over the layers, of the old images.
        new: of the new ones.
        more: how much farther the new ones lie.
    """

    layers: tuple[NormLayer, ...]
    old: Estimate
    new: Estimate
    more: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Returns what `to_dict` gave."""
        layers = tuple(NormLayer(**one) for one in values["layers"])
        return cls(layers, *(Estimate(**values[name]) for name in ("old", "new", "more")))


def norm_shift(
    names: Sequence[str], widths: Sequence[int], old: NormSums, new: NormSums
) -> NormShift:
    """Returns how far old and new images lie from those of the pre-training.

    Args:
        names: of the layers.
        widths: channels of each.
        old: a group a block, of which none is empty.
        new: likewise.
    """
    (old_mean, old_variance), (new_mean, new_variance) = (
        _jackknife(old, widths),
        _jackknife(new, widths),
    )
    whole = [sums.of(range(len(sums.counts_G))) for sums in (old, new)]
    layers = zip(
        names,
        *(layer_shifts(one, widths) for one in whole),
        *(_variances(one, widths) for one in whole),
        strict=True,
    )
    freedoms = [max(1, len(sums.counts_G) - 1) for sums in (old, new)]
    return NormShift(
        tuple(NormLayer(name, *map(float, numbers)) for name, *numbers in layers),
        _estimate(old_mean, old_variance, freedoms[0], lowest=0.0),
        _estimate(new_mean, new_variance, freedoms[1], lowest=0.0),
        _estimate(new_mean - old_mean, old_variance + new_variance, min(freedoms)),
    )


def layer_shifts(sums: NormSums, widths: Sequence[int]) -> NDArray[np.float64]:
    """Returns the shift of each layer (L,) for the images of one group.

    Zero where it is no larger than chance moves so many images on average, or where there is one.
    """
    count = int(sums.counts_G[0])
    mean_C, square_C, _ = sums.sums_G3C[0] / max(count, 1)
    if count < 2:
        return np.zeros(len(widths))
    by_chance_C = (square_C - mean_C**2) / (count - 1)
    return np.sqrt(np.maximum(_layer_means(mean_C**2 - by_chance_C, widths), 0.0))


def mean_shift(sums: NormSums, widths: Sequence[int]) -> float:
    """Returns the mean over the layers, for the images of one group."""
    return float(layer_shifts(sums, widths).mean())


def _variances(sums: NormSums, widths: Sequence[int]) -> NDArray[np.float64]:
    """Returns the variance over images and places (L,), in that of the pre-training."""
    mean_C, _, whole_C = sums.sums_G3C[0] / max(int(sums.counts_G[0]), 1)
    # A channel that never moves has none.
    logs_C = np.log(np.maximum(whole_C - mean_C**2, 1e-6))
    return np.exp(_layer_means(logs_C, widths))


def _layer_means(values_C: NDArray[np.float64], widths: Sequence[int]) -> NDArray[np.float64]:
    firsts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    means_L: NDArray[np.float64] = np.add.reduceat(values_C, firsts) / np.asarray(widths)
    return means_L


def _jackknife(sums: NormSums, widths: Sequence[int]) -> tuple[float, float]:
    """Returns the mean shift of all groups together, and its variance."""
    num = len(sums.counts_G)
    value = mean_shift(sums.of(range(num)), widths)
    if num < 2:
        return value, 0.0
    without = [
        mean_shift(sums.of([one for one in range(num) if one != left]), widths)
        for left in range(num)
    ]
    return value, float((num - 1) * np.var(without))


def _estimate(value: float, variance: float, freedom: int, lowest: float = -np.inf) -> Estimate:
    half = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * variance**0.5
    return Estimate(value, max(lowest, value - half), value + half)
