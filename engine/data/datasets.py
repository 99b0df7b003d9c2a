"""Data sets that were taken in: the folders of THAW_HOME/datasets."""

from pathlib import Path

from engine.data.samples import SAMPLES
from engine.home import thaw_home


def data_sets() -> list[Path]:
    """Returns the folders of data sets that a person added, the newest first; samples apart."""
    folder = thaw_home() / "datasets"
    if not folder.exists():
        return []
    found = [
        (child.stat().st_mtime, child)
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith(".") and child.name not in SAMPLES
    ]
    return [child for _, child in sorted(found, key=lambda one: (-one[0], one[1].name))]
