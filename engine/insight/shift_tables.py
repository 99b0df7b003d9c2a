"""What runs get right under shift, image by image. No torch here.

Shapes: N images, M of them, V versions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.insight.compare import RunReport
from engine.insight.experiment import ways_of
from engine.insight.shift_judged import JudgedRun
from engine.insight.shift_tests import Version, manifest_of, name_of


@dataclass(frozen=True)
class ShiftTable:
    """What a run, or all folds of a seed, gets right, by what stands for each image.

    Attributes:
        judged: the run; of several folds the first.
        clean: name of the class, and whether it is right, of images as they are.
        shifted: name of the class, and in which versions (V,) it is right.
    """

    judged: JudgedRun
    clean: Mapping[str, tuple[str, bool]]
    shifted: Mapping[str, tuple[str, NDArray[np.bool_]]]

    @classmethod
    def of(cls, one: JudgedRun) -> "ShiftTable":
        """Returns the table of a run that was judged."""
        assert one.test is not None
        assert one.answers is not None
        told = list(zip(one.answers.names, one.answers.labels, strict=True))
        columns_NV = one.right_VN.T
        if one.test.folder:
            clean = _recorded(one.report, set(one.answers.labels))
        else:
            rights = columns_NV[:, 0].tolist()
            clean = {name: (label, r) for (name, label), r in zip(told, rights, strict=True)}
            columns_NV = columns_NV[:, 1:]
        shifted = {name: (label, r_V) for (name, label), r_V in zip(told, columns_NV, strict=True)}
        return cls(one, clean, shifted)

    @property
    def versions(self) -> tuple[Version, ...]:
        """Of shifted images."""
        assert self.judged.test is not None
        versions = self.judged.test.versions
        return versions if self.judged.test.folder else versions[1:]

    def labels(self, side: str) -> dict[str, str]:
        """Returns the class of each image of a side, `clean` or `shifted`."""
        found = self.clean if side == "clean" else self.shifted
        return {name: entry[0] for name, entry in found.items()}

    def clean_of(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Returns which of some images as they are, all among its own, are right."""
        return np.array([self.clean[name][1] for name in names], dtype=bool)

    def shifted_of(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Returns which versions (V, M) of some images, all among its own, are right."""
        return np.array([self.shifted[name][1] for name in names], dtype=bool).T


def _recorded(one: RunReport, classes: set[str]) -> dict[str, tuple[str, bool]]:
    """Returns what a run recorded of its validation images of some classes, by image."""
    found = one.predictions()
    if found is None:
        return {}
    manifest = manifest_of(one.run)
    right_N = (found.predicted_N == found.labels_N).tolist()
    return {
        name_of(item): (manifest.classes[item.label], right)
        for item, right in zip(manifest.val, right_N, strict=True)
        if manifest.classes[item.label] in classes
    }


def tables_of_seeds(tables: Sequence[ShiftTable]) -> dict[tuple[str, int], ShiftTable]:
    """Returns a table for each seed of each way, all folds of it together."""
    by_run = {table.judged.report.run.id: table for table in tables}
    found: dict[tuple[str, int], ShiftTable] = {}
    for way in ways_of([table.judged.report for table in tables]):
        for one in way.reports:
            table, place = by_run[one.run.id], (way.label, one.run.spec.seed)
            before = found.get(place)
            found[place] = table if before is None else _joined(before, table)
    return found


def _joined(one: ShiftTable, other: ShiftTable) -> ShiftTable:
    return ShiftTable(one.judged, {**other.clean, **one.clean}, {**other.shifted, **one.shifted})


def common_images(sides: Sequence[Mapping[str, str]]) -> list[str]:
    """Returns the images that are on all sides with the same class, in the order of the first."""
    return [
        name
        for name, label in sides[0].items()
        if all(side.get(name) == label for side in sides[1:])
    ]
