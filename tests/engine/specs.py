"""Specs small enough to train on in a second."""

from pathlib import Path
from typing import Any

from engine.spec import RunSpec


def tiny_spec(folder: Path | str, settings: dict[str, Any] | None = None) -> RunSpec:
    """A frozen run of two epochs at 64 px on the CPU, changed by dotted settings."""
    values: dict[str, Any] = {
        "data": {"folder": str(folder)},
        "images": {"size": 64, "fit": "squash"},
        "optimiser": {"lr": 3e-3},
        "training": {"epochs": 2, "batch_size": 8},
        "device": "cpu",
    }
    for path, value in (settings or {}).items():
        *parents, last = path.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return RunSpec.parse(values)
