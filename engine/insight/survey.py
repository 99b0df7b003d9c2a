"""Strategies side by side over several seeds: what each reached and cost. No torch here."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.insight.compare import RunReport
from engine.spec import RunSpec
from engine.spec.folds import fold_label, fold_specs
from engine.strategies import STRATEGIES


@dataclass(frozen=True)
class SurveyRow:
    """One strategy over its seeds.

    Attributes:
        strategy: its name.
        label: what a person reads.
        accuracies: best validation accuracy of each finished run, fractions, by seed.
        seconds: mean time of a run on the clock; None where none finished.
        cpu_seconds: mean processor time of the training process; None where none finished.
        trained_parameters: learnable numbers that the strategy moves.
        failures: runs that did not finish, and why.
    """

    strategy: str
    label: str
    accuracies: tuple[float, ...]
    seconds: float | None
    cpu_seconds: float | None
    trained_parameters: int | None
    failures: tuple[str, ...]

    @property
    def mean(self) -> float | None:
        """Mean accuracy, a fraction."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of the accuracy over seeds; None with fewer than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "strategy": self.strategy,
            "accuracy": self.mean,
            "deviation": self.deviation,
            "accuracies": list(self.accuracies),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "trained_parameters": self.trained_parameters,
            "failures": list(self.failures),
        }


def survey_specs(spec: RunSpec, names: Sequence[str], seeds: int) -> list[tuple[str, RunSpec]]:
    """Returns a named spec for each strategy, seed and fold, all else shared.

    Each strategy starts from its own default learning rate. Seeds count up from the spec's; all
    the strategies see the same images in the same order, seed by seed.
    """
    found = []
    for seed, one in itertools.product(range(spec.seed, spec.seed + seeds), fold_specs(spec)):
        for name in names:
            strategy = STRATEGIES[name]
            values = one.model_dump()
            values["strategy"] |= {"name": name}
            values["optimiser"] |= {"lr": strategy.default_lr}
            values["seed"] = seed
            label = f"{strategy.label} · seed {seed}{fold_label(one)}"
            found.append((label, RunSpec.parse(values)))
    return found


def survey(reports: Sequence[RunReport]) -> list[SurveyRow]:
    """Returns a row a strategy, in the order in which they first come."""
    by_name: dict[str, list[RunReport]] = {}
    for one in reports:
        by_name.setdefault(one.run.spec.strategy.name, []).append(one)
    return [_row(name, group) for name, group in by_name.items()]


def _row(name: str, group: Sequence[RunReport]) -> SurveyRow:
    done = [one for one in group if one.run.status == "finished"]
    accuracies = [a for a in (one.best_val_accuracy for one in done) if a is not None]
    times = [one.seconds for one in done if one.seconds is not None]
    processor = [float(t) for one in done if (t := one.run.summary.get("cpu_seconds")) is not None]
    trained = [n for one in group if (n := one.run.summary.get("trainable_parameters"))]
    return SurveyRow(
        strategy=name,
        label=STRATEGIES[name].label,
        accuracies=tuple(accuracies),
        seconds=statistics.fmean(times) if times else None,
        cpu_seconds=statistics.fmean(processor) if processor else None,
        trained_parameters=max(trained, default=None),
        failures=tuple(
            f"{one.run.id} {one.run.status}: {one.run.reason}"
            for one in group
            if one.run.status != "finished"
        ),
    )


def markdown(rows: Sequence[SurveyRow]) -> str:
    """Returns the rows as a Markdown table, the most accurate first."""
    lines = [
        "| strategy | validation accuracy | seconds | processor seconds | parameters trained |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda one: -(one.mean or 0.0)):
        mean = "–" if row.mean is None else f"{100 * row.mean:.1f} %"
        spread = "" if row.deviation is None else f" ± {100 * row.deviation:.1f}"
        times = ["–" if t is None else f"{t:.0f}" for t in (row.seconds, row.cpu_seconds)]
        trained = "–" if row.trained_parameters is None else f"{row.trained_parameters:,}"
        lines.append(
            f"| {row.label} (`{row.strategy}`) | {mean}{spread} | {times[0]} | {times[1]} | "
            f"{trained} |"
        )
    return "\n".join(lines)
