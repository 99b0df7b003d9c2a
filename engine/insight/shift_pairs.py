"""Whether two ways of training change places under shift, or only seem to. No torch here.

Shapes: N images as they are, M shifted images, V versions of each, S seeds.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.data.corruptions import CORRUPTIONS
from engine.insight.differences import (
    Difference,
    Scores,
    difference_of_runs,
    difference_of_scores,
    difference_of_strategies,
    holm,
)
from engine.insight.intervals import LEVEL, Estimate
from engine.insight.shift_tests import Version

REAL = 1 - LEVEL


@dataclass(frozen=True)
class Sides:
    """What a way of training gets right on both sides, seed by seed.

    Attributes:
        clean_SN: images as they are, like those of the training.
        shifted_SVM: shifted ones, version by version.
        versions: of the shifted ones.
        seeds: of the runs.
        same_images: whether the shifted ones are the same images, made worse.
    """

    clean_SN: NDArray[np.bool_]
    shifted_SVM: NDArray[np.bool_]
    versions: tuple[Version, ...]
    seeds: tuple[int, ...]
    same_images: bool

    @property
    def scores_SM(self) -> Scores:
        """Share of the versions of each shifted image that each seed gets right."""
        if self.shifted_SVM.shape[1] == 1:
            return self.shifted_SVM[:, 0]
        return self.scores_of(self.versions)

    def scores_of(self, versions: Sequence[Version]) -> NDArray[np.float64]:
        """Returns the share of some versions of each shifted image that each seed gets right."""
        rows = [row for row, version in enumerate(self.versions) if version in versions]
        scores_SM: NDArray[np.float64] = self.shifted_SVM[:, rows].mean(axis=1)
        return scores_SM


@dataclass(frozen=True)
class KindLead:
    """By how much one way leads under one corruption, all severities taken together.

    Attributes:
        kind: of corruption.
        difference: of the mean accuracies.
        adjusted_p: p-value that allows for the number of corruptions.
    """

    kind: str
    difference: Difference
    adjusted_p: float

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "corruption": self.kind,
            "difference": self.difference.estimate.to_dict(),
            "p_value": self.difference.p_value,
            "adjusted_p_value": self.adjusted_p,
            "is_real": self.adjusted_p < REAL,
        }


@dataclass(frozen=True)
class ShiftPair:
    """Two ways held against each other on both sides.

    All p-values allow for the number of pairs.

    Attributes:
        first: the one that leads on images as they are.
        second: the other.
        clean: first less second on images as they are.
        shifted: likewise under shift.
        change: of the lead, shifted less clean.
        clean_p: how often chance alone makes such a lead.
        shifted_p: likewise under shift.
        change_p: how often chance alone makes such a change of the lead.
        kinds: the lead under each corruption; none for another folder.
        seeds: how many of each were looked at.
        num_clean: images as they are.
        num_shifted: shifted images.
    """

    first: str
    second: str
    clean: Difference
    shifted: Difference
    change: Estimate
    clean_p: float
    shifted_p: float
    change_p: float
    kinds: tuple[KindLead, ...]
    seeds: tuple[int, int]
    num_clean: int
    num_shifted: int

    @property
    def changes_places(self) -> bool:
        """Whether the one that leads on images as they are is behind under shift."""
        return self.clean.estimate.value * self.shifted.estimate.value < 0

    @property
    def is_change_real(self) -> bool:
        """Whether they change places and chance alone would hardly make either lead.

        Source: Gail & Simon 1985 (qualitative interactions): both leads must be told from none.
        """
        return self.changes_places and max(self.clean_p, self.shifted_p) < REAL

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "first": self.first,
            "second": self.second,
            "clean": _side(self.clean, self.clean_p),
            "shifted": _side(self.shifted, self.shifted_p),
            "change": self.change.to_dict()
            | {"adjusted_p_value": self.change_p, "is_real": self.change_p < REAL},
            "changes_places": self.changes_places,
            "is_change_of_places_real": self.is_change_real,
            "by_corruption": [one.to_dict() for one in self.kinds],
            "seeds": list(self.seeds),
            "clean_images": self.num_clean,
            "shifted_images": self.num_shifted,
        }


def _side(difference: Difference, adjusted_p: float) -> dict[str, Any]:
    return difference.estimate.to_dict() | {
        "p_value": difference.p_value,
        "adjusted_p_value": adjusted_p,
        "is_real": adjusted_p < REAL,
        "method": difference.method,
    }


@dataclass(frozen=True)
class _Held:
    """Two ways held against each other, before the number of pairs is allowed for."""

    first: tuple[str, Sides]
    second: tuple[str, Sides]
    clean: Difference
    shifted: Difference
    change: Estimate
    change_p: float


def pairs_under_shift(ways: Sequence[tuple[str, Sides]]) -> list[ShiftPair]:
    """Returns every two ways held against each other, the more accurate one of each pair first.

    With several seeds of both, images and seeds are taken as samples; else one run of each is held
    against the other, with the same seed if there is one.

    Args:
        ways: a label and what was got right, of the same images.
    """
    held = [_held(one, other) for one, other in itertools.combinations(ways, 2)]
    clean_p, shifted_p, change_p = (
        holm(values)
        for values in (
            [one.clean.p_value for one in held],
            [one.shifted.p_value for one in held],
            [one.change_p for one in held],
        )
    )
    return [
        ShiftPair(
            first=one.first[0],
            second=one.second[0],
            clean=one.clean,
            shifted=one.shifted,
            change=one.change,
            clean_p=clean_p[place],
            shifted_p=shifted_p[place],
            change_p=change_p[place],
            kinds=_kinds(one.first[1], one.second[1]),
            seeds=_num_seeds(one.first[1], one.second[1]),
            num_clean=one.clean.num_images,
            num_shifted=one.shifted.num_images,
        )
        for place, one in enumerate(held)
    ]


def _held(first: tuple[str, Sides], second: tuple[str, Sides]) -> _Held:
    one, other = first[1], second[1]
    clean = _difference(one, other, one.clean_SN, other.clean_SN)
    if clean.estimate.value < 0:
        return _held(second, first)
    shifted = _difference(one, other, one.scores_SM, other.scores_SM)
    if one.same_images:
        gains = [side.scores_SM - side.clean_SN.astype(np.float64) for side in (one, other)]
        difference = _difference(one, other, *gains)
        return _Held(first, second, clean, shifted, difference.estimate, difference.p_value)
    change, change_p = _apart(clean.estimate, shifted.estimate)
    return _Held(first, second, clean, shifted, change, change_p)


def _difference(one: Sides, other: Sides, first_SN: Scores, second_TN: Scores) -> Difference:
    if min(_num_seeds(one, other)) > 1:
        return difference_of_strategies(first_SN, second_TN)
    shared = [seed for seed in one.seeds if seed in other.seeds]
    places = [side.seeds.index(shared[0]) if shared else 0 for side in (one, other)]
    first_N, second_N = first_SN[places[0]], second_TN[places[1]]
    if first_N.dtype == bool and second_N.dtype == bool:
        return difference_of_runs(first_N.astype(bool), second_N.astype(bool))
    return difference_of_scores(first_N, second_N)


def _num_seeds(one: Sides, other: Sides) -> tuple[int, int]:
    """Returns how many seeds of each are looked at: all, or one where either has no more."""
    numbers = len(one.seeds), len(other.seeds)
    return numbers if min(numbers) > 1 else (1, 1)


def _apart(clean: Estimate, shifted: Estimate) -> tuple[Estimate, float]:
    """Returns one lead less another that was found on other images, and how sure that is."""
    value = shifted.value - clean.value
    half = float(np.hypot(clean.high - clean.low, shifted.high - shifted.low)) / 2
    if not half:
        return Estimate(value, value, value), float(value == 0)
    width = float(stats.norm.ppf(0.5 + LEVEL / 2))
    p_value = float(2 * stats.norm.sf(abs(value) / (half / width)))
    return Estimate(value, value - half, value + half), p_value


def _kinds(one: Sides, other: Sides) -> tuple[KindLead, ...]:
    if not one.same_images:
        return ()
    by_kind = {
        kind: [version for version in one.versions if version.kind == kind] for kind in CORRUPTIONS
    }
    found = {
        kind: _difference(one, other, one.scores_of(versions), other.scores_of(versions))
        for kind, versions in by_kind.items()
    }
    adjusted = holm([difference.p_value for difference in found.values()])
    return tuple(
        KindLead(kind, difference, p_value)
        for (kind, difference), p_value in zip(found.items(), adjusted, strict=True)
    )
