"""An experiment: ways of training x seeds x shares of the images, on one split, as one group."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SpecError
from engine.events import ACTIVE
from engine.runs.run import Run
from engine.spec import RunSpec
from engine.spec.folds import fold_label, fold_specs
from engine.strategies import STRATEGIES
from engine.update.methods import METHODS

# Shares of the training images that a learning curve is drawn through.
FRACTIONS = (0.1, 0.25, 0.5, 1.0)


def experiment_specs(
    ways: Sequence[tuple[str, RunSpec]], seeds: int = 1, fractions: Sequence[float] = ()
) -> list[tuple[str, RunSpec]]:
    """Returns a named spec for each way, seed, share of the images and fold.

    Seeds count up from the spec's own. They decide nothing of the split, which `data.split_seed`
    does: all runs are judged on the same images. Seed by seed, so that ways can be compared early.

    Args:
        ways: a label and a spec each, alike in their data.
        seeds: runs of each way.
        fractions: shares of the training images; that of the spec where there are none.

    Raises:
        SpecError: two ways are the same, have other data, or a share is none.
    """
    _require_one_experiment(ways)
    found = []
    for number in range(seeds):
        for fraction in sorted(set(fractions)) or [ways[0][1].data.train_fraction]:
            made = [_with(spec, spec.seed + number, fraction) for _, spec in ways]
            for of_fold in zip(*map(fold_specs, made), strict=True):
                found += [
                    (run_name(label, spec, seed=seeds > 1), spec)
                    for (label, _), spec in zip(ways, of_fold, strict=True)
                ]
    return found


def _require_one_experiment(ways: Sequence[tuple[str, RunSpec]]) -> None:
    if not ways:
        raise SpecError("An experiment wants at least one way of training; name a strategy.")
    specs = [spec.model_dump_json() for _, spec in ways]
    twice = [label for place, (label, _) in enumerate(ways) if specs[place] in specs[:place]]
    if twice:
        raise SpecError(f"{twice[0]} is named twice with the same settings; name it once.")
    if len({spec.data for _, spec in ways}) > 1:
        raise SpecError("The ways of an experiment have other data; all must share one split.")


def _with(spec: RunSpec, seed: int, fraction: float) -> RunSpec:
    values = spec.model_dump()
    values["seed"] = seed
    values["data"]["train_fraction"] = fraction
    return RunSpec.parse(values)


def run_name(label: str, spec: RunSpec, seed: bool = False) -> str:
    """Returns the name that a run gets: its way, its images, and which sample of it it is.

    Args:
        label: of the way.
        spec: of the run.
        seed: whether there are others that differ in their seed.
    """
    return (
        f"{label} · {data_name(spec)}{f' · seed {spec.seed}' if seed else ''}"
        f"{share_label(spec)}{fold_label(spec)}"
    )


def data_name(spec: RunSpec) -> str:
    """Returns what a person calls the images of a spec."""
    folder = Path(spec.data.folder)
    return folder.parent.name if folder.name == "base" else folder.name


def share_label(spec: RunSpec) -> str:
    """Returns what a run's name says of its share of the images; nothing where it has all."""
    fraction = spec.data.train_fraction
    return "" if fraction == 1.0 else f" · {100 * fraction:g} % of the images"


@dataclass(frozen=True)
class Shares:
    """What there is of some runs on other shares of the training images, and what is missing.

    Attributes:
        there: runs that differ from those in their share alone, finished, waiting or going on;
            those themselves among them.
        missing: named specs of the others.
        steered: runs that were steered by hand, which settings alone do not repeat.
    """

    there: tuple[Run, ...]
    missing: tuple[tuple[str, RunSpec], ...]
    steered: tuple[Run, ...]


def other_shares(
    runs: Sequence[Run],
    all_runs: Iterable[Run],
    by_hand: Collection[str] = (),
    fractions: Sequence[float] = FRACTIONS,
) -> Shares:
    """Returns runs on other shares of the images, as far as they exist, and specs of the others.

    Args:
        runs: whose learning curves are wanted.
        all_runs: of the store, newest first.
        by_hand: ids of those that a person steered.
        fractions: shares that each of them is to have.
    """
    plain = [run for run in runs if not run.spec.steering and run.id not in by_hand]
    steered = tuple(run for run in runs if run not in plain)
    kin = {_kin(run.spec_json) for run in plain}
    known: dict[str, Run] = {}
    for run in all_runs:
        if (run.status == "finished" or run.status in ACTIVE) and _kin(run.spec_json) in kin:
            known.setdefault(run.spec.model_dump_json(), run)
    there = {run.id: run for run in runs}
    missing: dict[str, tuple[str, RunSpec]] = {}
    for run in plain:
        own = run.spec.data.train_fraction
        for fraction in sorted({*fractions} - {own}):
            spec = _with(run.spec, run.spec.seed, fraction)
            key = spec.model_dump_json()
            if key in known:
                there[known[key].id] = known[key]
            else:
                label = _label(spec)
                missing[key] = (run_name(label, spec, seed=_has_siblings(run, plain)), spec)
    return Shares(tuple(there.values()), tuple(missing.values()), steered)


def _label(spec: RunSpec) -> str:
    if spec.update.start:
        return METHODS[spec.update.method].label
    return STRATEGIES[spec.strategy.name].label


def _has_siblings(run: Run, runs: Sequence[Run]) -> bool:
    return len({other.spec.seed for other in runs}) > 1


def _kin(spec_json: str) -> tuple[object, ...]:
    """Returns what is quickly read of a spec, and the same in all its shares.

    Reading a whole spec and checking it takes ten times as long, which counts with many runs.
    """
    spec = json.loads(spec_json)
    return (
        spec.get("seed", 0),
        spec["data"]["folder"],
        spec.get("strategy", {}).get("name"),
        spec.get("training", {}).get("epochs"),
        spec.get("optimiser", {}).get("lr"),
    )
