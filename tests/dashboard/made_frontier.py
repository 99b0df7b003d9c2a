"""Depth frontiers as real ones leave them behind, made without training."""

from collections.abc import Sequence

from engine.insight.frontier import Frontier, frontier, frontier_specs
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from tests.dashboard.made import finish, spec_of

BACKBONE = "torchvision/resnet18"
NUM_STAGES = 5
RISING = (0.5, 0.6, 0.7, 0.8, 0.9, 0.85)


def base_spec(**settings: object) -> RunSpec:
    """Returns what the runs share; `settings` are parts of a RunSpec."""
    return spec_of("partial", {"model": {"backbone": BACKBONE}, **settings})


def launch_frontier(store: Store, seeds: int = 1) -> list[Run]:
    """Returns the queued runs of a frontier over five stages."""
    return store.add_runs(frontier_specs(base_spec(), seeds))


def finished_frontier(store: Store, accuracies: Sequence[float] = RISING) -> Frontier:
    """Returns a frontier whose depth k reached accuracies[k] in its second epoch."""
    runs = launch_frontier(store)
    for run, accuracy in zip(runs, accuracies, strict=True):
        finish(store, run, (accuracy / 2, accuracy))
    return frontier(store, runs[0].group_id)


def frontier_that_goes_on(store: Store) -> Frontier:
    """Returns a frontier of which three depths are finished and three wait."""
    runs = launch_frontier(store)
    for run, accuracy in zip(runs[:3], RISING[:3], strict=True):
        finish(store, run, (accuracy / 2, accuracy))
    return frontier(store, runs[0].group_id)
