"""What charts and tables need of ways to update, beside what they came to. No torch here.

Shapes: N validation images.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.insight.intervals import Estimate, mean_accuracy_estimate
from engine.insight.update_methods import SAMPLES, MethodResult
from engine.insight.updates import Update
from engine.runs.store import Run


def short_names(ways: Sequence[MethodResult]) -> list[str]:
    """Returns a name a way that is short enough for a chart: its method.

    Where others have the same, the beginning of a run's id tells them apart.
    """
    methods = [way.method for way in ways]
    return [
        way.method
        if methods.count(way.method) == 1
        else f"{way.method} {way.updates[0].run.id[:4]}"
        for way in ways
    ]


def is_going_on(way: MethodResult) -> bool:
    """Returns whether a run of a way has not ended, so that its numbers are those so far."""
    return any(one.run.is_active for one in way.updates)


def estimated(way: MethodResult, is_new: bool) -> Estimate | None:
    """Returns mean accuracy on new or on old images, for other images and other seeds.

    None where there are no such images, or not the same number for all seeds.
    """
    chosen = [one.right_N[one.is_new_N == is_new] for one in way.updates]
    lengths = {len(right_N) for right_N in chosen}
    if len(lengths) > 1 or lengths == {0}:
        return None
    return mean_accuracy_estimate(np.array(chosen, dtype=bool))


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


def by_model(runs: Sequence[Run], known: Mapping[str, Run]) -> list[list[Run]]:
    """Returns updates by the model that they update; models that differ in their seed are one.

    Args:
        runs: updates.
        known: the runs that are updated, as far as there are such, by what `update.start` says.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        start = run.spec.update.start
        base = known.get(start)
        key = start
        if base is not None and not base.spec.update.start:
            flat = base.spec.flat()
            key = repr(sorted((name, v) for name, v in flat.items() if name not in SAMPLES))
        groups.setdefault(key, []).append(run)
    return list(groups.values())
