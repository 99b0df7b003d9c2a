"""Accuracy between the weights before and after fine-tuning, as a run keeps it. No torch here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.files import write_text

CURVE_FILE = "interpolation.json"
START_FILE = "start.safetensors"
END_FILE = "end.safetensors"


@dataclass(frozen=True)
class InterpolationCurve:
    """Validation accuracy at blends of a run's weights before and after fine-tuning.

    Attributes:
        points: (alpha, accuracy) by rising alpha, both fractions; alpha 0 is before, 1 after.
        alpha: of the blend that the run itself kept.
    """

    points: tuple[tuple[float, float], ...]
    alpha: float

    def nearest(self, alpha: float) -> tuple[float, float]:
        """Returns the measured point whose alpha is nearest, the lower of equals."""
        return min(self.points, key=lambda point: abs(point[0] - alpha))


def save_curve(folder: Path, curve: Sequence[tuple[float, float]], alpha: float) -> None:
    """Writes a curve into a run's folder, whole or not at all.

    Args:
        folder: the run's own.
        curve: (alpha, accuracy) pairs, both fractions.
        alpha: of the blend that the run itself kept.
    """
    values = {"curve": [[float(at), float(accuracy)] for at, accuracy in curve], "alpha": alpha}
    write_text(folder / CURVE_FILE, json.dumps(values))


def read_curve(folder: Path) -> InterpolationCurve | None:
    """Returns the curve in a run's folder, None where it has none that is whole."""
    try:
        values = json.loads((folder / CURVE_FILE).read_text(encoding="utf-8"))
        points = sorted((float(at), float(accuracy)) for at, accuracy in values["curve"])
        return InterpolationCurve(tuple(points), float(values["alpha"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
