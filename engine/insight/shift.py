"""How runs do on images unlike those of their training, side by side. No torch here.

Two runs are held against each other on the same images in the same versions. What is done to one
image makes no new images: of 25 versions of it, the mean is one number.

Shapes: N images, M shifted ones, V versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.corruptions import CORRUPTIONS, SEVERITIES
from engine.insight.compare import RunReport
from engine.insight.experiment import Way, ways_of
from engine.insight.intervals import (
    Estimate,
    accuracy_estimate,
    mean_accuracy_estimate,
    score_estimate,
)
from engine.insight.shift_judged import JudgedRun, changed_note, gone_note, judged_runs
from engine.insight.shift_pairs import ShiftPair, Sides, pairs_under_shift
from engine.insight.shift_tables import ShiftTable, common_images, tables_of_seeds
from engine.insight.shift_tests import CLEAN, Version, maker_of_tests


@dataclass(frozen=True)
class RunUnderShift:
    """A run's results on the images that all runs were judged on.

    Attributes:
        report: of the run.
        clean_N: which images it gets right as they are: validation images, of the classes that
            the shifted ones show.
        shifted_VM: which shifted images it gets right.
        versions: of the shifted ones.
    """

    report: RunReport
    clean_N: NDArray[np.bool_]
    shifted_VM: NDArray[np.bool_]
    versions: tuple[Version, ...]

    @property
    def clean(self) -> Estimate:
        """Accuracy on images like those of its training, a fraction."""
        return accuracy_estimate(self.clean_N)

    @property
    def shifted(self) -> Estimate:
        """Accuracy under shift, a fraction: the mean over the versions."""
        if len(self.shifted_VM) == 1:
            return accuracy_estimate(self.shifted_VM[0])
        return score_estimate(self.shifted_VM.mean(axis=0))

    @property
    def drop(self) -> float:
        """What the shift costs, a fraction."""
        return self.clean.value - self.shifted.value

    def by_kind(self) -> dict[str, list[tuple[int, Estimate]]]:
        """Returns the accuracy at each severity by corruption; severity 0 is as they are."""
        if self.versions == (CLEAN,):
            return {}
        return {
            kind: [
                (0, self.clean),
                *(
                    (version.severity, accuracy_estimate(right_M))
                    for version, right_M in zip(self.versions, self.shifted_VM, strict=True)
                    if version.kind == kind
                ),
            ]
            for kind in CORRUPTIONS
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "run_id": self.report.run.id,
            "name": self.report.run.name,
            "clean_images": len(self.clean_N),
            "shifted_images": self.shifted_VM.shape[1],
            "clean": self.clean.to_dict(),
            "shifted": self.shifted.to_dict(),
            "drop": self.drop,
            "by_corruption": {
                kind: [{"severity": severity, **one.to_dict()} for severity, one in points]
                for kind, points in self.by_kind().items()
            },
        }


@dataclass(frozen=True)
class WayUnderShift:
    """A way of training under shift, over its seeds.

    Attributes:
        way: with its runs.
        sides: what each seed gets right on both sides.
    """

    way: Way
    sides: Sides

    @property
    def clean(self) -> Estimate:
        """Mean accuracy over seeds on images like those of the training."""
        return mean_accuracy_estimate(self.sides.clean_SN)

    @property
    def shifted(self) -> Estimate:
        """Mean accuracy over seeds and versions under shift."""
        return mean_accuracy_estimate(self.sides.scores_SM)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "label": self.way.label,
            "runs": [one.run.id for one in self.way.reports],
            "seeds": list(self.sides.seeds),
            "clean": self.clean.to_dict(),
            "shifted": self.shifted.to_dict(),
        }


@dataclass(frozen=True)
class Shift:
    """Runs under shift, side by side.

    Attributes:
        folder: of the other images; empty where the validation images were made worse.
        runs: those that were judged.
        ways: of training that they are samples of.
        pairs: of ways; none where they were judged on different images.
        num_clean: images as they are that all were judged on; 0 where there are none.
        num_shifted: shifted images that all were judged on, each counted once.
        notes: what a person is to know of it, a sentence each.
    """

    folder: str
    runs: tuple[RunUnderShift, ...]
    ways: tuple[WayUnderShift, ...]
    pairs: tuple[ShiftPair, ...]
    num_clean: int
    num_shifted: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "folder": self.folder or None,
            "severities": [] if self.folder else list(SEVERITIES),
            "clean_images": self.num_clean,
            "shifted_images": self.num_shifted,
            "runs": [one.to_dict() for one in self.runs],
            "ways": [one.to_dict() for one in self.ways],
            "pairs": [one.to_dict() for one in self.pairs],
            "notes": list(self.notes),
        }


def shift_of(reports: Sequence[RunReport], folder: str = "") -> Shift | None:
    """Returns runs under shift, as far as they are judged; None where none is.

    Args:
        reports: of the runs.
        folder: of other images; empty for their validation images made worse.

    Raises:
        DataError: the folder cannot be used.
    """
    return shift_of_judged(judged_runs(reports, maker_of_tests(folder)), folder)


def shift_of_judged(judged: Sequence[JudgedRun], folder: str = "") -> Shift | None:
    """Returns the same of runs whose answers were looked up before."""
    tables = [table for one in judged if one.is_judged if (table := ShiftTable.of(one)).clean]
    if not tables:
        return None
    clean, shifted = (
        common_images([table.labels(side) for table in tables_of_seeds(tables).values()])
        for side in ("clean", "shifted")
    )
    runs = tuple(_under_shift(table, clean, shifted) for table in tables)
    alike = bool(clean and shifted)
    ways = _ways(tables, clean, shifted) if alike else ()
    return Shift(
        folder=folder,
        runs=runs,
        ways=ways,
        pairs=tuple(pairs_under_shift([(one.way.label, one.sides) for one in ways])),
        num_clean=len(clean),
        num_shifted=len(shifted),
        notes=tuple(_notes(judged, tables, alike, len(shifted))),
    )


def _under_shift(table: ShiftTable, clean: Sequence[str], shifted: Sequence[str]) -> RunUnderShift:
    """Returns a run's results on those of some images that it was judged on, or else on all."""
    own_clean = [name for name in clean if name in table.clean] or list(table.clean)
    own_shifted = [name for name in shifted if name in table.shifted] or list(table.shifted)
    return RunUnderShift(
        table.judged.report,
        table.clean_of(own_clean),
        table.shifted_of(own_shifted),
        table.versions,
    )


def _ways(
    tables: Sequence[ShiftTable], clean: Sequence[str], shifted: Sequence[str]
) -> tuple[WayUnderShift, ...]:
    by_seed = tables_of_seeds(tables)
    return tuple(
        WayUnderShift(
            way,
            Sides(
                clean_SN=np.array([table.clean_of(clean) for table in of_way.values()]),
                shifted_SVM=np.array([table.shifted_of(shifted) for table in of_way.values()]),
                versions=next(iter(of_way.values())).versions,
                seeds=tuple(of_way),
                same_images=list(clean) == list(shifted),
            ),
        )
        for way in ways_of([table.judged.report for table in tables])
        for of_way in [
            {seed: table for (label, seed), table in by_seed.items() if label == way.label}
        ]
    )


def _notes(
    judged: Sequence[JudgedRun], tables: Sequence[ShiftTable], alike: bool, num_shifted: int
) -> list[str]:
    notes = _notes_of_runs(judged, {table.judged.report.run.id for table in tables})
    most = max(len(one.test.items) for one in judged if one.test)
    if alike and any(table.judged.num_left for table in tables):
        notes.append(
            f"{num_shifted:,} of {most:,} images are judged so far, a sample drawn at random."
        )
    if not alike:
        notes.append(
            "These runs were not judged on the same images, so nothing is held against anything: "
            "compare runs of the same data and split."
        )
    return list(dict.fromkeys(notes))


def _notes_of_runs(judged: Sequence[JudgedRun], shown: set[str]) -> list[str]:
    """Returns what is to be said of single runs.

    Args:
        judged: all of them.
        shown: ids of those whose results are shown.
    """
    notes = [note for one in judged if one.test for note in one.test.notes]
    notes += [one.failure for one in judged if one.failure]
    notes += [
        f"{run.name} ({run.id}) is left out: it has no record of validation images of these "
        "classes to hold against the others."
        for one in judged
        if one.is_judged and (run := one.report.run).id not in shown
    ]
    notes += [note for one in judged for note in (gone_note(one), changed_note(one)) if note]
    return notes
