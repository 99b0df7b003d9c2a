"""Accuracy between the weights before and after fine-tuning, as a run keeps it. No torch here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.files import write_text

CURVE_FILE = "interpolation.json"
START_FILE = "start.safetensors"
END_FILE = "end.safetensors"

# (alpha, accuracy), both fractions.
Point = tuple[float, float]


@dataclass(frozen=True)
class InterpolationCurve:
    """Validation accuracy at blends of a run's weights before and after fine-tuning.

    Attributes:
        points: (alpha, accuracy) by rising alpha, both fractions; alpha 0 is before, 1 after.
        alpha: of the blend that the run itself kept.
        old: of an update, the same on old images alone; empty of other runs.
        new: likewise on the new images.
    """

    points: tuple[Point, ...]
    alpha: float
    old: tuple[Point, ...] = ()
    new: tuple[Point, ...] = ()

    def nearest(self, alpha: float) -> Point:
        """Returns the measured point whose alpha is nearest, the lower of equals."""
        return min(self.points, key=lambda point: abs(point[0] - alpha))

    def old_and_new(self, alpha: float) -> tuple[float | None, float | None]:
        """Returns accuracy on old and on new images at a measured alpha, None where not known."""
        return dict(self.old).get(alpha), dict(self.new).get(alpha)


def save_curve(
    folder: Path,
    curve: Sequence[Point],
    alpha: float,
    parts: Mapping[str, Sequence[Point]] | None = None,
) -> None:
    """Writes a curve into a run's folder, whole or not at all.

    Args:
        folder: the run's own.
        curve: (alpha, accuracy) pairs, both fractions.
        alpha: of the blend that the run itself kept.
        parts: of an update, the same on its `old` and its `new` images; what is empty is left out.
    """
    values: dict[str, Any] = {"curve": _plain(curve), "alpha": alpha}
    values |= {name: _plain(points) for name, points in (parts or {}).items() if points}
    write_text(folder / CURVE_FILE, json.dumps(values))


def read_curve(folder: Path) -> InterpolationCurve | None:
    """Returns the curve in a run's folder, None where it has none that is whole."""
    try:
        values = json.loads((folder / CURVE_FILE).read_text(encoding="utf-8"))
        # Before there were updates it held no `old` and no `new`.
        points, old, new = (
            tuple(sorted((float(at), float(accuracy)) for at, accuracy in part))
            for part in (values["curve"], values.get("old", ()), values.get("new", ()))
        )
        return InterpolationCurve(points, float(values["alpha"]), old, new)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _plain(curve: Sequence[Point]) -> list[list[float]]:
    return [[float(at), float(accuracy)] for at, accuracy in curve]
