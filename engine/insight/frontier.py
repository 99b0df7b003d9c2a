"""The depth frontier: the same model with none, one, two, ... all of its stages trained.

It shows how deep fine-tuning has to go before it stops paying. No torch is imported here.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import RunNotFoundError
from engine.events import Status
from engine.insight.chance import chance_images
from engine.insight.compare import RunReport, fairness_warnings, report
from engine.models.catalogue import backbone_record
from engine.runs.store import Run, Store
from engine.spec import RunSpec

# Of several runs at one depth, the status that says most about them together.
_TELLING: tuple[Status, ...] = (
    "running",
    "stopping",
    "pausing",
    "queued",
    "paused",
    "failed",
    "interrupted",
    "stopped",
    "finished",
)


@dataclass(frozen=True)
class DepthPoint:
    """The runs in which the last so many stages learn.

    Attributes:
        depth: how many stages learn beside the head.
        stage: what a person calls the stage that this depth added; empty at 0.
        reports: of its runs, one a seed.
    """

    depth: int
    stage: str
    reports: tuple[RunReport, ...]

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Best validation accuracy (fraction) of each run that has one yet."""
        found = (one.best_val_accuracy for one in self.reports)
        return tuple(accuracy for accuracy in found if accuracy is not None)

    @property
    def accuracy(self) -> float | None:
        """Mean of the accuracies, a fraction."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    @property
    def seconds(self) -> float | None:
        """Mean time of a run on the clock, so far where it goes on."""
        found = [seconds for one in self.reports if (seconds := one.seconds) is not None]
        return statistics.fmean(found) if found else None

    @property
    def peak_memory_mib(self) -> float | None:
        """Most memory that one of the runs held."""
        found = (
            float(event.values.get("peak_memory_mib") or 0.0)
            for one in self.reports
            for event in one.epochs
        )
        return max(found, default=0.0) or None

    @property
    def trained_parameters(self) -> int | None:
        """Learnable numbers that moved, the head's included."""
        found = (one.run.summary.get("trainable_parameters") for one in self.reports)
        return next((int(number) for number in found if number is not None), None)

    @property
    def status(self) -> Status:
        """How its runs stand, taken together: finished only where all are."""
        statuses = {one.run.status for one in self.reports}
        return next(status for status in _TELLING if status in statuses)

    @property
    def is_done(self) -> bool:
        """Whether all its runs were finished, so that they can be judged."""
        return self.status == "finished" and self.accuracy is not None

    def to_dict(self) -> dict[str, Any]:
        """Returns the point as plain data."""
        return {
            "depth": self.depth,
            "stage": self.stage,
            "status": self.status,
            "accuracy": self.accuracy,
            "accuracies": list(self.accuracies),
            "seconds": self.seconds,
            "peak_memory_mib": self.peak_memory_mib,
            "trained_parameters": self.trained_parameters,
            "runs": [one.run.id for one in self.reports],
        }


@dataclass(frozen=True)
class Frontier:
    """Runs that were launched together and differ only in how many stages learn.

    Attributes:
        group_id: of the runs.
        num_stages: that the backbone has.
        points: by depth, from 0.
    """

    group_id: str
    num_stages: int
    points: tuple[DepthPoint, ...]

    @property
    def runs(self) -> list[Run]:
        """All its runs, by depth."""
        return [one.run for point in self.points for one in point.reports]

    @property
    def is_active(self) -> bool:
        """Whether any of its runs waits or goes on."""
        return any(run.is_active for run in self.runs)

    @property
    def num_val(self) -> int | None:
        """Pictures that its accuracies were measured on."""
        found = [n for run in self.runs if (n := run.summary.get("val_images"))]
        return min(found, default=None)

    @property
    def best(self) -> DepthPoint | None:
        """The finished depth with the highest accuracy, of equals the shallowest."""
        done = [point for point in self.points if point.is_done]
        return max(done, key=lambda point: point.accuracy or 0.0, default=None)

    @property
    def quickest_as_good(self) -> DepthPoint | None:
        """The finished depth that took least time of those within chance of the best."""
        best, num_val = self.best, self.num_val
        if best is None or num_val is None:
            return None
        as_good = [p for p in self.points if p.is_done and within_chance(best, p, num_val)]
        return min(as_good, key=lambda point: point.seconds or math.inf)

    @property
    def warnings(self) -> list[str]:
        """A sentence for each reason why its runs cannot be compared."""
        reports = [one for point in self.points for one in point.reports]
        steered = [
            f"{one.run.name} ({one.run.id}) was steered while it went on, so that its depth is not "
            "what its settings say."
            for one in reports
            if one.acts
        ]
        return fairness_warnings(reports) + steered

    @property
    def sentence(self) -> str:
        """Which depth is best, by how much, and whether that can be chance."""
        best, num_val = self.best, self.num_val
        if best is None or best.accuracy is None:
            return "No depth is finished yet."
        so_far = " so far" if self.is_active else ""
        said = f"Best{so_far}: {self.words(best.depth)}, {100 * best.accuracy:.1f} % right."
        ends = (p for p in (self.points[0], self.points[-1]) if p.is_done and p is not best)
        other = next(ends, None)
        if other is None or num_val is None:
            return said
        lead, chance = _lead(best, other, num_val), _chance(best, other, num_val)
        than = f"than {self.words(other.depth)}"
        if lead == 0:
            return f"{said} That is as many of the {num_val} validation pictures as {than[5:]}."
        verdict = (
            "so these runs cannot tell the two apart"
            if lead <= chance
            else "so this is more than chance explains"
        )
        return (
            f"{said} That is {lead} more of the {num_val} validation pictures {than}; up to "
            f"{math.floor(chance)} would be within chance (two standard errors), {verdict}."
        )

    def words(self, depth: int) -> str:
        """Returns what a person calls a depth."""
        if depth == 0:
            return "the head alone (k = 0)"
        if depth == self.num_stages:
            return f"all {depth} stages (k = {depth})"
        return f"the last {f'{depth} stages' if depth > 1 else 'stage'} (k = {depth})"

    def to_dict(self) -> dict[str, Any]:
        """Returns the frontier as plain data, as `thaw frontier --json` prints it."""
        best, quickest = self.best, self.quickest_as_good
        return {
            "group_id": self.group_id,
            "points": [point.to_dict() for point in self.points],
            "best_depth": best.depth if best else None,
            "quickest_as_good_depth": quickest.depth if quickest else None,
            "val_images": self.num_val,
            "sentence": self.sentence,
            "warnings": self.warnings,
        }


def within_chance(best: DepthPoint, other: DepthPoint, num_val: int) -> bool:
    """Returns whether a depth may be as good as the best one, for all that the pictures tell.

    Args:
        best: with an accuracy.
        other: with an accuracy.
        num_val: pictures that both were measured on.
    """
    return _lead(best, other, num_val) <= _chance(best, other, num_val)


def _lead(best: DepthPoint, other: DepthPoint, num_val: int) -> int:
    return round(((best.accuracy or 0.0) - (other.accuracy or 0.0)) * num_val)


def _chance(best: DepthPoint, other: DepthPoint, num_val: int) -> float:
    return chance_images(best.accuracy or 0.0, other.accuracy or 0.0, num_val)


def frontier_specs(spec: RunSpec, seeds: int = 1) -> list[tuple[str, RunSpec]]:
    """Returns a named spec for each depth, from the head alone to all stages; all else is shared.

    The learning rate is the spec's, the same for all: what a depth reaches with a rate of its own
    is another question. With several seeds, which count up from the spec's, there is one whole
    frontier after the other.
    """
    num_stages = len(backbone_record(spec.model.backbone).stages)
    folder = Path(spec.data.folder)
    data = folder.parent.name if folder.name == "base" else folder.name
    found = []
    for seed in range(spec.seed, spec.seed + seeds):
        for depth in range(num_stages + 1):
            values = spec.model_dump() | {"seed": seed, "steering": ()}
            values["strategy"] |= {"name": "partial", "last_stages": depth}
            name = f"Depth {depth} of {num_stages} · {data}" + (f" · seed {seed}" * (seeds > 1))
            found.append((name, RunSpec.parse(values)))
    return found


def frontier_groups(runs: Iterable[Run]) -> list[list[Run]]:
    """Returns those of the runs that make up frontiers, group by group, in the order given."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group_id, []).append(run)
    return [group for group in groups.values() if is_frontier(group)]


def is_frontier(runs: Sequence[Run]) -> bool:
    """Returns whether runs of one group differ in depth, and in their seed at most."""
    if len(runs) < 2 or runs[0].spec.strategy.name != "partial":
        return False
    depths = {run.spec.strategy.last_stages for run in runs}
    return len(depths) > 1 and len({_shared(run.spec) for run in runs}) == 1


def _shared(spec: RunSpec) -> str:
    strategy = spec.strategy.model_copy(update={"last_stages": 0})
    return spec.model_copy(update={"strategy": strategy, "seed": 0}).model_dump_json()


def frontier(store: Store, group_id: str) -> Frontier:
    """Returns the frontier that a group of runs makes up.

    Raises:
        RunNotFoundError: no group has that id, or its runs are no frontier.
    """
    runs = [run for run in store.all_runs() if run.group_id == group_id]
    if not is_frontier(runs):
        raise RunNotFoundError(
            f"There is no depth frontier {group_id!r}; start one with `thaw frontier --data DIR`."
        )
    return frontier_of(store, runs)


def frontier_of(store: Store, runs: Sequence[Run]) -> Frontier:
    """Returns the frontier of runs for which `is_frontier` holds."""
    stages = backbone_record(runs[0].spec.model.backbone).stages
    by_depth: dict[int, list[Run]] = {}
    for run in runs:
        by_depth.setdefault(run.spec.strategy.last_stages, []).append(run)
    points = (
        DepthPoint(
            depth=depth,
            stage=stages[-depth].label if depth else "",
            reports=tuple(report(store, run) for run in sorted(group, key=lambda r: r.spec.seed)),
        )
        for depth, group in sorted(by_depth.items())
    )
    return Frontier(runs[0].group_id, len(stages), tuple(points))
