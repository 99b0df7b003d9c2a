"""What accuracy costs: which ways of training are on the Pareto front. No torch here.

A way is on the front of a cost where no other is at least as accurate for at most as much, and
better in one of the two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.insight.experiment import Pair, Way
from engine.insight.intervals import Estimate
from engine.insight.verdicts import Name, label_of_way


@dataclass(frozen=True)
class Cost:
    """One thing that training costs.

    Attributes:
        name: as in JSON.
        label: what a person reads.
        unit: of its values.
        less: how a way is called that costs less.
        of_way: gives what a way costs; None where that is not known.
    """

    name: str
    label: str
    unit: str
    less: str
    of_way: Callable[[Way], Estimate | None]


def _parameters(way: Way) -> Estimate | None:
    number = way.trained_parameters
    return None if number is None else Estimate(float(number), float(number), float(number))


COSTS = (
    Cost("seconds", "time of a run", "seconds", "quicker", lambda way: way.seconds_uncached),
    Cost("parameters", "parameters trained", "parameters", "smaller", _parameters),
    Cost("memory", "peak memory", "MiB", "leaner", lambda way: way.memory_mib),
)


@dataclass(frozen=True)
class CostPoint:
    """A way of training with its accuracy and what it costs.

    Attributes:
        way: of training.
        accuracy: mean over its seeds, a fraction.
        cost: mean over its runs.
        beaten_by: ways on the front that are at least as accurate for at most as much; empty where
            it is on the front itself.
    """

    way: Way
    accuracy: Estimate
    cost: Estimate
    beaten_by: tuple[Way, ...] = ()

    @property
    def is_on_front(self) -> bool:
        """Whether nothing beats it."""
        return not self.beaten_by


@dataclass(frozen=True)
class Front:
    """Ways of training with regard to one cost.

    Attributes:
        cost: what is looked at.
        points: of the ways of which accuracy and cost are known, the cheapest first.
        unknown: the others.
        steps: pairs of neighbours on the front of which it is known whether they differ, by labels.
    """

    cost: Cost
    points: tuple[CostPoint, ...]
    unknown: tuple[Way, ...]
    steps: tuple[Pair, ...]

    @property
    def on_front(self) -> tuple[CostPoint, ...]:
        """The points that nothing beats, the cheapest first."""
        return tuple(point for point in self.points if point.is_on_front)

    def sentence(self, name: Name = label_of_way) -> str:
        """Returns which ways are on the front, what each step on it buys, and who is beaten.

        Args:
            name: gives what a way is called.
        """
        if not self.points:
            return f"No way of training has both an accuracy and its {self.cost.label} yet."
        front = self.on_front
        if len(self.points) == 1:
            return f"{name(front[0].way)} is the only way here, so there is nothing to weigh."
        if len(front) == 1:
            lead = f"{name(front[0].way)} is both the most accurate and the {_most(self.cost)}."
        else:
            names = _listed([name(point.way) for point in front])
            lead = f"On the front are {names}: none of them is beaten in both."
        return " ".join([lead, *self._steps(name), *self._beaten(name)])

    def _steps(self, name: Name) -> list[str]:
        found = []
        for one, other in zip(self.on_front, self.on_front[1:], strict=False):
            points = 100 * (other.accuracy.value - one.accuracy.value)
            said = (
                f"From {name(one.way)} to {name(other.way)}, {_times(one.cost, other.cost)} buys "
                f"{points:.1f} points"
            )
            pair = next((p for p in self.steps if _is_of(p, one.way, other.way)), None)
            if pair is not None:
                said += ", more than chance" if pair.is_real else ", which may be chance"
            found.append(f"{said}.")
        return found

    def _beaten(self, name: Name) -> list[str]:
        found = []
        for point in self.points:
            if point.is_on_front:
                continue
            better = point.beaten_by
            one = len(better) == 1
            said = (
                f"{name(point.way)} is beaten by {_listed([name(way) for way in better])}, which "
                f"{'is' if one else 'are'} at least as accurate and {'costs' if one else 'cost'} "
                "no more"
            )
            pair = next((p for p in self.steps if _is_of(p, point.way, better[0])), None)
            if one and pair is not None and not pair.is_real:
                said += "; that it is the more accurate may be chance"
            found.append(f"{said}.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "cost": self.cost.name,
            "unit": self.cost.unit,
            "points": [
                {
                    "label": point.way.label,
                    "accuracy": point.accuracy.to_dict(),
                    "cost": point.cost.to_dict(),
                    "on_front": point.is_on_front,
                    "beaten_by": [way.label for way in point.beaten_by],
                }
                for point in self.points
            ],
            "unknown": [way.label for way in self.unknown],
            "sentence": self.sentence(),
        }


def cost_front(ways: Sequence[Way], pairs: Sequence[Pair], cost: Cost) -> Front:
    """Returns which of some ways are on the Pareto front of accuracy and a cost.

    It goes by what was measured, chance or not; the pairs tell whether a step on it is real.

    Args:
        ways: judged on the same images.
        pairs: of them.
        cost: what is looked at.
    """
    points, unknown = [], []
    for way in ways:
        accuracy, spent = way.accuracy, cost.of_way(way)
        if accuracy is None or spent is None:
            unknown.append(way)
        else:
            points.append(CostPoint(way, accuracy, spent))
    front = [point for point in points if not any(_beats(other, point) for other in points)]
    judged = [
        CostPoint(
            point.way,
            point.accuracy,
            point.cost,
            tuple(other.way for other in front if _beats(other, point)),
        )
        for point in points
    ]
    return Front(
        cost,
        tuple(sorted(judged, key=lambda point: (point.cost.value, -point.accuracy.value))),
        tuple(unknown),
        tuple(pairs),
    )


def cost_fronts(ways: Sequence[Way], pairs: Sequence[Pair]) -> list[Front]:
    """Returns the front of each cost."""
    return [cost_front(ways, pairs, cost) for cost in COSTS]


def _beats(one: CostPoint, other: CostPoint) -> bool:
    gains = one.accuracy.value - other.accuracy.value, other.cost.value - one.cost.value
    return min(gains) >= 0.0 and max(gains) > 0.0


def _is_of(pair: Pair, one: Way, other: Way) -> bool:
    return {id(pair.first), id(pair.second)} == {id(one), id(other)}


def _times(one: Estimate, other: Estimate) -> str:
    if one.value <= 0.0:
        return "what it costs more"
    ratio = other.value / one.value
    return f"{ratio:,.0f} times as much" if ratio >= 10 else f"{ratio:.2g} times as much"


def _most(cost: Cost) -> str:
    return {"quicker": "quickest", "smaller": "smallest", "leaner": "leanest"}[cost.less]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
