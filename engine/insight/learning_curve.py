"""What more training images bring: accuracy of ways of training against their number. No torch.

Runs of a curve differ in their share of the training images (`data.train_fraction`) and in what
tells samples apart; all are judged on the same validation images.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.insight.compare import RunReport
from engine.insight.experiment import Pair, Way, labels_of, pairs_of, settings_of, ways_of
from engine.insight.intervals import Estimate

FRACTION = "data.train_fraction"


@dataclass(frozen=True)
class CurvePoint:
    """A way of training on one share of the images.

    Attributes:
        fraction: the share.
        num_images: to train on.
        way: its runs.
    """

    fraction: float
    num_images: int
    way: Way

    @property
    def accuracy(self) -> Estimate:
        """Mean accuracy over seeds, a fraction."""
        assert self.way.accuracy is not None
        return self.way.accuracy


@dataclass(frozen=True)
class LearningCurve:
    """A way of training on several shares of the images.

    Attributes:
        label: what a person reads.
        points: with the fewest images first.
    """

    label: str
    points: tuple[CurvePoint, ...]

    def at(self, fraction: float) -> CurvePoint | None:
        """Returns the point of a share, if there is one."""
        return next((point for point in self.points if point.fraction == fraction), None)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "label": self.label,
            "points": [
                {
                    "fraction": point.fraction,
                    "train_images": point.num_images,
                    "accuracy": point.accuracy.to_dict(),
                    "seeds": list(point.way.seeds),
                    "runs": [one.run.id for one in point.way.reports],
                }
                for point in self.points
            ],
        }


@dataclass(frozen=True)
class Standing:
    """Who leads on one share of the images.

    Attributes:
        num_images: to train on.
        lead: of the second curve over the first, a fraction.
        is_real: whether chance alone would hardly make it.
    """

    num_images: int
    lead: float
    is_real: bool


@dataclass(frozen=True)
class LearningCurves:
    """Learning curves, and pairs of ways at each share.

    Attributes:
        curves: one a way.
        pairs: ways held against each other on the same share; their p-values allow for them all.
    """

    curves: tuple[LearningCurve, ...]
    pairs: tuple[Pair, ...]

    @property
    def num_shares(self) -> int:
        """How many shares of the images there are."""
        return len({point.fraction for curve in self.curves for point in curve.points})

    def standings(self, first: LearningCurve, second: LearningCurve) -> list[Standing]:
        """Returns who leads on each share that both curves have, with the fewest images first."""
        found = []
        for point in first.points:
            other = second.at(point.fraction)
            pair = None if other is None else _pair_of(self.pairs, point.way, other.way)
            if other is None or pair is None:
                continue
            sign = 1.0 if pair.first is other.way else -1.0
            lead = sign * pair.difference.estimate.value
            found.append(Standing(point.num_images, lead, pair.is_real))
        return found

    @property
    def sentences(self) -> list[str]:
        """For every two curves: where one overtakes the other, or that none is seen to."""
        if self.num_shares < 2:
            return []
        return [
            overtaking(one.label, other.label, self.standings(one, other))
            for one, other in itertools.combinations(self.curves, 2)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "curves": [curve.to_dict() for curve in self.curves],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "sentences": self.sentences,
        }


def learning_curves(reports: Sequence[RunReport]) -> LearningCurves:
    """Returns the learning curves that runs make up; ways without predictions have no point."""
    ways = [way for way in ways_of(reports) if way.samples]
    groups: dict[tuple[tuple[str, Any], ...], list[Way]] = {}
    for way in ways:
        settings = settings_of(way.reports[0])
        groups.setdefault(tuple(one for one in settings if one[0] != FRACTION), []).append(way)
    labels = labels_of([dict(settings) for settings in groups])
    curves = tuple(
        LearningCurve(label, tuple(sorted(map(_point, group), key=lambda one: one.fraction)))
        for label, group in zip(labels, groups.values(), strict=True)
    )
    return LearningCurves(curves, tuple(pairs_of(ways)))


def _point(way: Way) -> CurvePoint:
    first = way.reports[0].run
    counts = [one.run.summary.get("train_images") or 0 for one in way.reports]
    return CurvePoint(first.spec.data.train_fraction, round(sum(counts) / len(counts)), way)


def _pair_of(pairs: Sequence[Pair], one: Way, other: Way) -> Pair | None:
    both = {id(one), id(other)}
    return next((pair for pair in pairs if {id(pair.first), id(pair.second)} == both), None)


def overtaking(first: str, second: str, standings: Sequence[Standing]) -> str:
    """Returns in a sentence where one way of training overtakes another, or that it does not.

    Args:
        first: what the one is called.
        second: what the other is called.
        standings: on each share, with the fewest images first; a lead is the second's.
    """
    if len(standings) < 2:
        return f"{first} and {second} have been held against each other on fewer than two shares."
    real = [one for one in standings if one.is_real]
    if not real:
        return (
            f"{first} and {second} cannot be told apart on any of {len(standings)} shares of the "
            f"images{_seemingly(first, second, standings)}."
        )
    turn = next(
        (pair for pair in itertools.pairwise(real) if pair[0].lead * pair[1].lead < 0), None
    )
    if turn is not None:
        behind, ahead = (first, second) if turn[1].lead > 0 else (second, first)
        return (
            f"{ahead} overtakes {behind} between {turn[0].num_images:,} and "
            f"{turn[1].num_images:,} training images: {behind} is better by "
            f"{_points(turn[0])} on the fewer, {ahead} by {_points(turn[1])} on the more, both "
            "more than chance."
        )
    better, other = (second, first) if real[-1].lead > 0 else (first, second)
    sizes = _listed([f"{one.num_images:,}" for one in real])
    rest = [one for one in standings if not one.is_real]
    apart = (
        f"; on {_listed([f'{one.num_images:,}' for one in rest])} they cannot be told apart"
        f"{_seemingly(first, second, standings)}"
        if rest
        else ""
    )
    return (
        f"{better} is better than {other} on {sizes} training images{apart}. Neither is seen to "
        "overtake the other."
    )


def _seemingly(first: str, second: str, standings: Sequence[Standing]) -> str:
    """Returns what the lines do, where that is within noise."""
    leads = [one for one in standings if one.lead != 0.0]
    turn = next(
        (pair for pair in itertools.pairwise(leads) if pair[0].lead * pair[1].lead < 0), None
    )
    if turn is not None:
        return (
            f" (the lines cross between {turn[0].num_images:,} and {turn[1].num_images:,} images, "
            "which may be chance)"
        )
    return ""


def _points(one: Standing) -> str:
    return f"{100 * abs(one.lead):.1f} points"


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
