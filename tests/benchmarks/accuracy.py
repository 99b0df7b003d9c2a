"""Validation accuracy of a frozen run and of the plain loop doing the same, over several seeds.

EfficientNet-Lite0 with its ImageNet weights, no augmentation. The two draw the batches of an epoch
in different orders, so single seeds differ by chance; the means should not.
"""

import math
import statistics

from tests.benchmarks.contenders import Task, measure

SEEDS = range(5)
EPOCHS = 20


def main() -> None:
    """Prints the best and the last epoch's accuracy of each, mean and deviation over seeds."""
    found: dict[str, list[list[float]]] = {"thaw": [], "tuned": []}
    for seed in SEEDS:
        task = Task(
            epochs=EPOCHS,
            size=160,
            backbone="efficientnet_lite0",
            weights="pretrained",
            seed=seed,
        )
        for name, accuracies in found.items():
            accuracies.append(measure(name, task).accuracies)
    for which, pick in (("best epoch", max), ("last epoch", lambda one: one[-1])):
        ours, theirs = ([pick(one) for one in accuracies] for accuracies in found.values())
        gap = [one - other for one, other in zip(ours, theirs, strict=True)]
        error = statistics.stdev(gap) / math.sqrt(len(gap))
        print(
            f"  {which}: Thaw {_spread(ours)}, plain loop {_spread(theirs)}; difference "
            f"{100 * statistics.fmean(gap):+.1f} ± {100 * error:.1f} points (standard error, "
            f"{len(gap)} seeds)",
            flush=True,
        )


def _spread(values: list[float]) -> str:
    return f"{100 * statistics.fmean(values):.1f} ± {100 * statistics.stdev(values):.1f} %"
