"""Updates of one model by several methods, each with one seed or several, side by side.

No torch here.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.insight.updates import Update
from engine.spec import field_info
from engine.strategies import STRATEGIES
from engine.update.methods import METHODS

# What tells samples of one way from each other: seeds, and the model that each seed began with.
SAMPLES = ("seed", "update.start", "update.names")


@dataclass(frozen=True)
class Spread:
    """A figure over seeds.

    Attributes:
        mean: of them.
        deviation: sample standard deviation; None of one.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread | None":
        """Returns the spread of values; None where one is missing, or all."""
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return cls(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


@dataclass(frozen=True)
class MethodResult:
    """What one way of updating came to.

    Attributes:
        label: what a person reads; tells it from the other ways.
        updates: by seed.
    """

    label: str
    updates: tuple[Update, ...]

    @property
    def method(self) -> str:
        """Its name in specs."""
        return self.updates[0].run.spec.update.method

    @cached_property
    def before_old(self) -> Spread | None:
        """Accuracy (fraction) on old images before."""
        return Spread.of([one.before.old.accuracy for one in self.updates])

    @cached_property
    def before_new(self) -> Spread | None:
        """Accuracy (fraction) on new images before."""
        return Spread.of([one.before.new.accuracy for one in self.updates])

    @cached_property
    def old(self) -> Spread | None:
        """Accuracy (fraction) on old images after."""
        return Spread.of([one.after.old.accuracy for one in self.updates])

    @cached_property
    def new(self) -> Spread | None:
        """Accuracy (fraction) on new images after."""
        return Spread.of([one.after.new.accuracy for one in self.updates])

    @cached_property
    def all(self) -> Spread | None:
        """Accuracy (fraction) on all images after."""
        return Spread.of([one.after.all.accuracy for one in self.updates])

    @cached_property
    def forgotten(self) -> Spread | None:
        """Accuracy (fraction) on old images before less that after."""
        return Spread.of([one.forgotten for one in self.updates])

    @cached_property
    def broken(self) -> Spread | None:
        """Number of old images that were told right, and are not any more."""
        return Spread.of([len(one.broken_N) for one in self.updates])

    @cached_property
    def mended(self) -> Spread | None:
        """Number of old images that were told wrong, and are told right now."""
        return Spread.of([len(one.mended_N) for one in self.updates])

    @cached_property
    def seen_again(self) -> Spread | None:
        """Number of old training images that are learnt from once more."""
        return Spread.of([one.run.summary.get("old_images_seen_again") for one in self.updates])

    @cached_property
    def seconds(self) -> Spread | None:
        """Time that a run took, in seconds."""
        return Spread.of([one.run.summary.get("seconds") for one in self.updates])

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data, accuracies as fractions."""
        figures = (
            *("before_old", "before_new", "old", "new", "all", "forgotten"),
            *("broken", "mended", "seen_again", "seconds"),
        )
        spreads = {name: getattr(self, name) for name in figures}
        return {
            "label": self.label,
            "method": self.method,
            "strategy": self.updates[0].run.spec.strategy.name,
            "seeds": [one.run.spec.seed for one in self.updates],
            **{
                name: None if one is None else {"mean": one.mean, "deviation": one.deviation}
                for name, one in spreads.items()
            },
            "updates": [one.to_dict() for one in self.updates],
        }


def method_results(updates: Sequence[Update]) -> list[MethodResult]:
    """Returns the ways of updating, in the order in which they are first met; seeds together."""
    ways: dict[str, list[Update]] = {}
    flats = {}
    for one in updates:
        flat = {k: v for k, v in one.run.spec.flat().items() if k not in SAMPLES}
        way = repr(sorted(flat.items()))
        flats[way] = flat
        ways.setdefault(way, []).append(one)
    labels = _labels(list(flats.values()))
    return [
        MethodResult(label, tuple(sorted(members, key=lambda one: one.run.spec.seed)))
        for label, members in zip(labels, ways.values(), strict=True)
    ]


def _labels(flats: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the method of each way, with what else tells it from ways of the same method."""
    labels = []
    for flat in flats:
        alike = [one for one in flats if one["update.method"] == flat["update.method"]]
        differs = [path for path in flat if any(one[path] != flat[path] for one in alike)]
        label = METHODS[flat["update.method"]].label
        if differs:
            label += " · " + ", ".join(_setting(path, flat[path]) for path in differs)
        labels.append(label)
    return labels


def _setting(path: str, value: Any) -> str:
    if path == "strategy.name":
        return STRATEGIES[value].label
    label = (field_info(path).json_schema_extra or {}).get("label", path)
    return f"{label} {value}"
