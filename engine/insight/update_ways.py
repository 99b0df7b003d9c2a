"""Updates of one model side by side: methods, each with one seed or several. No torch here.

A way is a spec without its seed: updates that differ in nothing else are its samples.

Shapes: N validation images, S seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from engine.insight.experiment import SAMPLES
from engine.insight.intervals import Estimate, mean_accuracy_estimate
from engine.insight.updates import Update
from engine.runs.store import Run
from engine.spec import field_info
from engine.update.methods import METHODS

# What a method says already.
TOLD = ("update.method", *SAMPLES)


@dataclass(frozen=True)
class Spread:
    """A number over seeds.

    Attributes:
        mean: of the seeds.
        deviation: standard deviation over them (with S - 1); None of one seed.
        num: seeds.
    """

    mean: float
    deviation: float | None
    num: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread | None":
        """Returns the spread of what is known; None where nothing is."""
        known = [float(one) for one in values if one is not None]
        if not known:
            return None
        deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
        return cls(float(np.mean(known)), deviation, len(known))

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {"mean": self.mean, "deviation": self.deviation, "num": self.num}


@dataclass(frozen=True)
class UpdateWay:
    """One way to update a model, and what its runs came to.

    Attributes:
        label: what a person reads; tells it from the other ways.
        updates: its runs, by seed.
        is_only: whether no other way has its method.
    """

    label: str
    updates: tuple[Update, ...]
    is_only: bool = True

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.updates[0].run.spec.update.method

    @property
    def short(self) -> str:
        """A name that is short enough for a chart: its method, told apart by a run's id."""
        return self.method if self.is_only else f"{self.method} {self.updates[0].run.id[:4]}"

    @property
    def is_going_on(self) -> bool:
        """Whether a run of it has not ended, so that its numbers are those so far."""
        return any(one.run.is_active for one in self.updates)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its runs."""
        return tuple(one.run.spec.seed for one in self.updates)

    @cached_property
    def numbers(self) -> dict[str, Spread | None]:
        """What it came to: accuracies and what was forgotten (fractions), counts, seconds."""
        return {name: Spread.of([tell(one) for one in self.updates]) for name, tell in TOLD_OF}

    @cached_property
    def old(self) -> Estimate | None:
        """Mean accuracy on old images, for other images and other seeds."""
        return self._estimate(is_new=False)

    @cached_property
    def new(self) -> Estimate | None:
        """Mean accuracy on the new images, for other images and other seeds."""
        return self._estimate(is_new=True)

    def _estimate(self, is_new: bool) -> Estimate | None:
        chosen = [one.right_N[one.is_new_N == is_new] for one in self.updates]
        lengths = {len(right_N) for right_N in chosen}
        if len(lengths) > 1 or lengths == {0}:
            return None
        return mean_accuracy_estimate(np.array(chosen, dtype=bool))

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data, accuracies as fractions."""
        return {
            "label": self.label,
            "method": self.method,
            "runs": [one.run.id for one in self.updates],
            "seeds": list(self.seeds),
            "is_going_on": self.is_going_on,
            **{name: one.to_dict() if one else None for name, one in self.numbers.items()},
            "old_interval": self.old.to_dict() if self.old else None,
            "new_interval": self.new.to_dict() if self.new else None,
        }


TOLD_OF: tuple[tuple[str, Callable[[Update], float | None]], ...] = (
    ("old_before", lambda one: one.before.old.accuracy),
    ("new_before", lambda one: one.before.new.accuracy),
    ("old", lambda one: one.after.old.accuracy),
    ("new", lambda one: one.after.new.accuracy),
    ("all", lambda one: one.after.all.accuracy),
    ("forgotten", lambda one: one.forgotten),
    ("broken", lambda one: len(one.broken_N)),
    ("mended", lambda one: len(one.mended_N)),
    ("seen_again", lambda one: one.run.summary.get("old_images_seen_again")),
    ("seconds", lambda one: one.run.summary.get("seconds")),
)


def update_ways(updates: Sequence[Update]) -> list[UpdateWay]:
    """Returns the ways in which models were updated, in the order in which they first come."""
    groups: dict[tuple[tuple[str, Any], ...], list[Update]] = {}
    for one in updates:
        groups.setdefault(_settings(one.run), []).append(one)
    ways = [dict(settings) for settings in groups]
    methods = [settings["update.method"] for settings in ways]
    return [
        UpdateWay(
            label,
            tuple(sorted(group, key=lambda one: one.run.spec.seed)),
            is_only=methods.count(method) == 1,
        )
        for label, group, method in zip(method_labels(ways), groups.values(), methods, strict=True)
    ]


def method_labels(ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns a label a way: its method, and what tells it from others with that method.

    Args:
        ways: dotted settings of each.
    """
    found = []
    for settings in ways:
        method = settings["update.method"]
        alike = [other for other in ways if other["update.method"] == method]
        telling = [
            path
            for path, value in settings.items()
            if path not in TOLD and any(value != other[path] for other in alike)
        ]
        words = [f"{_label(path)} {settings[path]}" for path in telling]
        found.append(" · ".join([f"{METHODS[method].label} ({method})", *words]))
    return found


def judged_alike(updates: Sequence[Update]) -> bool:
    """Returns whether updates were judged on the same old and new images."""
    seen = {
        tuple(
            (item.digest or item.path, item.label, bool(is_new))
            for item, is_new in zip(one.manifest.val, one.is_new_N, strict=True)
        )
        for one in updates
    }
    return len(seen) < 2


def _settings(run: Run) -> tuple[tuple[str, Any], ...]:
    return tuple((name, v) for name, v in run.spec.flat().items() if name not in SAMPLES)


def _label(path: str) -> str:
    return str((field_info(path).json_schema_extra or {})["label"]).lower()
