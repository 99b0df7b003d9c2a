"""Data sets that need no download: clip art that ships with Thaw, and scikit-learn's digits."""

import os
import shutil
import tempfile
from pathlib import Path

from engine.errors import DataError
from engine.home import thaw_home

SAMPLES = {
    "clipart": "Clip art: 8 classes, 386 drawings, and a later batch of 162 with two new classes",
    "digits": "Handwritten digits: 10 classes, 1,797 tiny pictures, far from ImageNet",
}


def write_sample(name: str, target: Path) -> Path:
    """Writes a sample data set below `target` and returns its folder.

    Raises:
        DataError: there is no such sample, or the target cannot be written or already holds it.
    """
    if name not in SAMPLES:
        raise DataError(f"There is no sample {name!r}; choose one of {', '.join(SAMPLES)}.")
    folder = target / name
    if folder.exists():
        raise DataError(f"{folder} already exists; give another folder, or remove it first.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".thaw-") as scratch:
            part = Path(scratch) / name
            _write_clipart(part) if name == "clipart" else _write_digits(part)
            part.rename(folder)
    except OSError as error:
        raise DataError(
            f"The sample {name} cannot be written to {target} ({error.strerror or error}); "
            "give a folder that you may write to."
        ) from error
    return folder


def sample_folder(name: str) -> Path:
    """Returns the folder of a sample in THAW_HOME/datasets, ready to train on; writes it once."""
    target = thaw_home() / "datasets"
    if not (target / name).exists():
        try:
            write_sample(name, target)
        except DataError:
            # Another session may have written it in the meantime.
            if not (target / name).exists():
                raise
    return target / name / "base" if name == "clipart" else target / name


def _write_clipart(folder: Path) -> None:
    import sample_data

    shutil.copytree(Path(sample_data.__file__).parent / "clipart", folder)
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)


def _write_digits(folder: Path) -> None:
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (values, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        file = folder / str(label) / f"{index:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(values / 16 * 255).astype(np.uint8)).save(file)
