"""Which images are held back for validation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def stratified_split(
    files_by_class: Sequence[Sequence[Path]], val_fraction: float, seed: int
) -> tuple[list[list[Path]], list[list[Path]]]:
    """Returns the files to train on and those to validate on, per class.

    Each class gives the same share, at least one image and never all of them; scikit-learn's
    StratifiedShuffleSplit can leave a small class without a validation image. Which images are
    drawn from a class depends on that class and the seed alone.

    Args:
        files_by_class: per class, at least two files.
        val_fraction: share to hold back.
        seed: decides which.
    """
    train: list[list[Path]] = []
    val: list[list[Path]] = []
    for index, files in enumerate(files_by_class):
        order = np.random.default_rng([seed, index]).permutation(len(files))
        num_val = min(max(round(val_fraction * len(files)), 1), len(files) - 1)
        held_back = set(order[:num_val].tolist())
        train.append([file for i, file in enumerate(files) if i not in held_back])
        val.append([file for i, file in enumerate(files) if i in held_back])
    return train, val
