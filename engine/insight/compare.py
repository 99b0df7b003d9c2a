"""Runs side by side: what differs in their settings and what each reached. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import DataError
from engine.events import MetricEvent
from engine.home import run_folder
from engine.runs.store import Run, Store
from engine.training.predictions import Predictions


@dataclass(frozen=True)
class RunReport:
    """What is known of one run.

    Attributes:
        run: its row in the store.
        epochs: its epoch events, in order.
        best: the epoch with the highest validation accuracy, the first of equals; None before the
            first epoch is completed.
        acts: its act events, in order: what was steered while it went on.
    """

    run: Run
    epochs: tuple[MetricEvent, ...]
    best: MetricEvent | None
    acts: tuple[MetricEvent, ...] = ()

    @property
    def blend(self) -> dict[str, float] | None:
        """Metrics of the kept model and its `alpha`, where it is a blend of two."""
        kept: dict[str, float] | None = self.run.summary.get("blend")
        return kept

    @property
    def acts_too_late(self) -> tuple[str, ...]:
        """Sentences of what was asked when no step was left for it."""
        return tuple(self.run.summary.get("acts_too_late") or ())

    @property
    def memory_notes(self) -> tuple[str, ...]:
        """Sentences of what was done where memory ran out."""
        return tuple(self.run.summary.get("memory_notes") or ())

    @property
    def best_val_accuracy(self) -> float | None:
        """Fraction of validation images that the kept model gets right."""
        if self.blend is not None:
            return float(self.blend["val/accuracy"])
        return None if self.best is None else float(self.best.values["val/accuracy"] or 0.0)

    @property
    def best_epoch(self) -> int | None:
        """The best epoch, counted from 1."""
        return None if self.best is None else self.best.epoch

    @property
    def seconds_to_best(self) -> float | None:
        """Seconds from the run's first image to the end of its best epoch."""
        return None if self.best is None else float(self.best.values["elapsed_seconds"] or 0.0)

    @property
    def seconds(self) -> float | None:
        """Seconds that the run took, or has taken up to its last completed epoch."""
        if "seconds" in self.run.summary:
            return float(self.run.summary["seconds"])
        return float(self.epochs[-1].values["elapsed_seconds"] or 0.0) if self.epochs else None

    def predictions(self) -> Predictions | None:
        """Returns what the best epoch says of each validation image, if there is one yet."""
        return Predictions.load(run_folder(self.run.id))

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data, as `thaw train --json` prints it."""
        run, spec = self.run, self.run.spec
        return {
            "run_id": run.id,
            "name": run.name,
            "status": run.status,
            "reason": run.reason,
            "strategy": spec.strategy.name,
            "backbone": spec.model.backbone,
            "weights": run.summary.get("weights"),
            "classes": run.summary.get("classes"),
            "train_images": run.summary.get("train_images"),
            "val_images": run.summary.get("val_images"),
            "left_out": run.summary.get("left_out"),
            "fingerprint": run.summary.get("fingerprint"),
            "trainable_parameters": run.summary.get("trainable_parameters"),
            "total_parameters": run.summary.get("total_parameters"),
            "best_val_accuracy": self.best_val_accuracy,
            "blend": self.blend,
            "best_epoch": self.best_epoch,
            "seconds_to_best": self.seconds_to_best,
            "seconds": self.seconds,
            "checkpoint": run.summary.get("checkpoint"),
            "spec": spec.model_dump(),
            "acts": [_act_dict(event) for event in self.acts],
            "acts_too_late": list(self.acts_too_late),
            "memory_notes": list(self.memory_notes),
            "epochs": [_epoch_dict(event) for event in self.epochs],
        }


def _epoch_dict(event: MetricEvent) -> dict[str, Any]:
    values = event.values
    return {
        "epoch": event.epoch,
        "train_loss": values["train/loss"],
        "train_accuracy": values["train/accuracy"],
        "val_loss": values["val/loss"],
        "val_accuracy": values["val/accuracy"],
        "val_f1": values["val/f1"],
        "lr": values["lr/head"],
        "seconds": values["seconds"],
        "images_per_second": values["images_per_second"],
        "peak_memory_mib": values["peak_memory_mib"],
    }


def _act_dict(event: MetricEvent) -> dict[str, Any]:
    values = event.values
    return {
        "epoch": event.epoch,
        "step": event.step,
        "kind": values["act"],
        "target": values["target"],
        "factor": values["factor"],
    }


def report(store: Store, run: Run) -> RunReport:
    """Returns what the store knows of a run, computed from its epochs, whatever its status."""
    epochs = tuple(store.epochs(run.id))
    best = max(epochs, key=lambda event: float(event.values["val/accuracy"] or 0.0), default=None)
    return RunReport(run, epochs, best, tuple(store.events_of_kind(run.id, "act")))


def _judged_on(reports: Sequence[RunReport]) -> set[tuple[tuple[str, int], ...]]:
    """Returns the validation images that runs were judged on, each list of them once."""
    found = set()
    for one in reports:
        try:
            manifest = Manifest.from_file(run_folder(one.run.id) / MANIFEST_FILE)
        except DataError:
            # What runs learned from is told elsewhere on the page.
            continue
        found.add(tuple(sorted((item.digest or item.path, item.label) for item in manifest.val)))
    return found


@dataclass(frozen=True)
class SettingRow:
    """One setting over several runs: its dotted name, each run's value, whether they differ."""

    name: str
    values: tuple[Any, ...]
    differs: bool


def compare_settings(runs: Sequence[Run]) -> list[SettingRow]:
    """Returns every setting of the runs' specs; those that differ come first."""
    flats = [run.spec.flat() for run in runs]
    rows = [
        SettingRow(name, values, differs=len(set(values)) > 1)
        for name in flats[0]
        for values in [tuple(flat[name] for flat in flats)]
    ]
    return sorted(rows, key=lambda row: not row.differs)


def fairness_warnings(reports: Sequence[RunReport]) -> list[str]:
    """Returns a sentence for each reason why the runs cannot be compared as they stand.

    Runs on another share of the training images are judged on the same images as the others.
    """
    by_share: dict[float, set[str]] = {}
    for one in reports:
        if one.run.summary.get("fingerprint"):
            share = one.run.spec.data.train_fraction
            by_share.setdefault(share, set()).add(one.run.summary["fingerprint"])
    same_share = all(len(prints) == 1 for prints in by_share.values())
    if same_share and (len(by_share) < 2 or len(_judged_on(reports)) < 2):
        return []
    return [
        "These runs saw different images or a different split, so their accuracies are not "
        "measured on the same pictures; compare runs of the same data and split seed."
    ]
