"""Which images are held back for validation."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Files = list[list[Path]]
# Tells this drawing from that of the split, which begins with the same numbers.
_SHARE = 1


@dataclass(frozen=True)
class Split:
    """Files to train on and files to validate on, per class.

    Attributes:
        train: to learn from.
        val: held back.
        parted: classes in which look-alikes are on both sides, because there is little else.
        spare: files to train on that are left aside; empty where all are used.
    """

    train: Files
    val: Files
    parted: tuple[int, ...] = ()
    spare: tuple[tuple[Path, ...], ...] = ()


def stratified_split(
    files_by_class: Sequence[Sequence[Path]],
    val_fraction: float,
    seed: int,
    groups: Iterable[Sequence[Path]] = (),
) -> Split:
    """Returns a split in which each class gives the same share, and groups stay whole.

    Each class gives at least one image and never all of them; scikit-learn's
    StratifiedShuffleSplit can leave a small class without a validation image. Which images are
    drawn from a class depends on that class and the seed alone, but for groups across classes.

    Args:
        files_by_class: per class, at least two files.
        val_fraction: share to hold back.
        seed: decides which.
        groups: files that belong on one side.
    """
    group_of = _group_of(groups)
    side: dict[int, bool] = {}
    train: Files = []
    val: Files = []
    parted: list[int] = []
    for index, files in enumerate(files_by_class):
        units = _units(files, group_of)
        if len(units) < 2:
            units = [[file] for file in files]
            parted.append(index)
        order = np.random.default_rng([seed, index]).permutation(len(units))
        wanted = min(max(round(val_fraction * len(files)), 1), len(files) - 1)
        held_back = _held_back([units[i] for i in order], wanted, group_of, side)
        train.append([file for file in files if file not in held_back])
        val.append([file for file in files if file in held_back])
        if not train[-1] or not val[-1]:
            # Other classes have bound all of this one to one side.
            drawn = np.random.default_rng([seed, index]).permutation(len(files))[:wanted]
            held_back = {files[place] for place in drawn}
            train[-1] = [file for file in files if file not in held_back]
            val[-1] = [file for file in files if file in held_back]
            parted.append(index)
    return Split(train, val, tuple(sorted(set(parted))))


def fold_split(
    files_by_class: Sequence[Sequence[Path]],
    num_folds: int,
    fold: int,
    seed: int,
    groups: Iterable[Sequence[Path]] = (),
) -> Split:
    """Returns a split that holds back one of several parts, of about equal size in each class.

    Every image is held back in exactly one fold, and groups stay whole.

    Args:
        files_by_class: per class, at least two files.
        num_folds: parts.
        fold: which is held back, counted from 1.
        seed: decides what is in which.
        groups: files that belong on one side.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    group_of = _group_of(groups)
    files = [file for group in files_by_class for file in group]
    labels = [label for label, group in enumerate(files_by_class) for _ in group]
    # What is in no group is one of its own.
    numbers = [group_of.get(file, -1 - place) for place, file in enumerate(files)]
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It warns where a class has fewer files than there are folds, which is no fault here.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(folds.split(files, labels, numbers))
    held_back = {files[place] for place in parts[fold - 1][1]}
    return Split(
        [[file for file in group if file not in held_back] for group in files_by_class],
        [[file for file in group if file in held_back] for group in files_by_class],
    )


def nested_share(
    files_by_class: Sequence[Sequence[Path]],
    fraction: float,
    seed: int,
    content_of: Callable[[Path], str] = str,
) -> Files:
    """Returns a share of each class's files, in their order; a smaller one is part of a larger one.

    Each class gives at least one file, if it has any. Which are drawn depends on what is in them,
    that class and the seed alone, so that a copy of the images under other names gives the same.

    Args:
        files_by_class: per class.
        fraction: share to keep, above 0 and up to 1.
        seed: decides which.
        content_of: gives what stands for a file's content.
    """
    found: Files = []
    for index, files in enumerate(files_by_class):
        in_order = sorted(files, key=content_of)
        drawn = np.random.default_rng([seed, index, _SHARE]).permutation(len(files))
        kept = {in_order[place] for place in drawn[: share_size(len(files), fraction)]}
        found.append([file for file in files if file in kept])
    return found


def share_size(num_files: int, fraction: float) -> int:
    """Returns how many of a class's files a share of it is: at least one, if there is one."""
    return min(num_files, max(1, round(fraction * num_files)))


def _group_of(groups: Iterable[Sequence[Path]]) -> dict[Path, int]:
    return {file: number for number, group in enumerate(groups) for file in group}


def _units(files: Sequence[Path], group_of: Mapping[Path, int]) -> list[list[Path]]:
    """Returns what is drawn as one: a group of files, or a file by itself; in the files' order."""
    by_unit: dict[int, list[Path]] = {}
    for place, file in enumerate(files):
        by_unit.setdefault(group_of.get(file, -1 - place), []).append(file)
    return list(by_unit.values())


def _held_back(
    units: Sequence[Sequence[Path]],
    wanted: int,
    group_of: Mapping[Path, int],
    side: dict[int, bool],
) -> set[Path]:
    """Returns the files of the first units that fit into what is wanted, and of those bound."""
    held_back: list[Sequence[Path]] = []
    free: list[Sequence[Path]] = []
    for unit in units:
        bound = side.get(group_of.get(unit[0], -1))
        if bound is None:
            free.append(unit)
        elif bound:
            held_back.append(unit)
    count = sum(map(len, held_back))
    for unit in free:
        if count + len(unit) <= wanted:
            held_back.append(unit)
            count += len(unit)
    if not held_back and free:
        held_back.append(min(free, key=len))
    found = {file for unit in held_back for file in unit}
    for unit in free:
        if unit[0] in group_of:
            side[group_of[unit[0]]] = unit[0] in found
    return found
