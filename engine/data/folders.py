"""Finds the images of a folder and the classes they are sorted into."""

import os
from collections.abc import Iterable
from pathlib import Path

from engine.data.decode import SUFFIXES
from engine.data.found import (
    LEAST_CLASSES,
    TEST_NAMES,
    TRAIN_NAMES,
    VAL_NAMES,
    ImageFolder,
    LeftOut,
    as_text,
    listed_classes,
)
from engine.data.tables import is_table, read_table
from engine.errors import DataError


def find_images(
    folder: Path, val_folder: Path | None = None, least_classes: int = LEAST_CLASSES
) -> ImageFolder:
    """Returns the images of train/<class>/* and val/<class>/*, of <class>/*, or of a table.

    One folder too many around all of them is seen through, and test/ is validated on where there
    is no val/; both are told in the notes, as are pictures that are not used.

    Args:
        folder: the folder or table.
        val_folder: of validation images, where they lie elsewhere.
        least_classes: that there have to be; new images of a model may be of a single one.

    Raises:
        DataError: there is no such folder, it has too few classes, a class is empty, or
            validation has a class that training does not have.
    """
    try:
        if is_table(folder):
            if val_folder is not None:
                raise DataError(
                    f"{folder} is a table; give its validation pictures as rows with the split "
                    "val, not as a folder of their own."
                )
            return read_table(folder, least_classes)
        return _find(folder, val_folder, least_classes)
    except (OSError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        where = getattr(error, "filename", None) or folder
        raise DataError(
            f"{where} cannot be looked at ({reason}); check its permissions."
        ) from error


def _find(folder: Path, val_folder: Path | None, least_classes: int) -> ImageFolder:
    _require_folder(folder)
    notes: list[str] = []
    folder = _unwrapped(folder, notes)
    train_root = _child(folder, TRAIN_NAMES)
    val_root = _child(folder, VAL_NAMES) if train_root else None
    if val_folder is not None:
        _require_folder(val_folder)
        val_root = _child(val_folder, VAL_NAMES) or val_folder
    elif train_root and val_root is None and (test_root := _child(folder, TEST_NAMES)):
        val_root = test_root
        notes.append(f"Runs are judged on {test_root.name}/, since there is no val/.")
    if train_root:
        notes += _unused(folder, (train_root, val_root))
    left_out: list[LeftOut] = []
    by_class = _classes_of(train_root or folder, left_out)
    _require_classes(by_class, train_root or folder, least_classes)
    val_by_class = _classes_of(val_root, left_out) if val_root else None
    if val_by_class is not None:
        _require_known(val_by_class, by_class, val_root)
    classes = tuple(sorted(by_class))
    return ImageFolder(
        classes=classes,
        train=tuple(by_class[name] for name in classes),
        val=None if val_by_class is None else tuple(val_by_class.get(n, ()) for n in classes),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _unwrapped(folder: Path, notes: list[str]) -> Path:
    """Returns the folder that holds the classes: a zip often brings one more around all of it."""
    inner = folder
    while len(inside := _folders(inner)) == 1 and not _has_pictures(inner):
        if inside[0].name.lower() in TRAIN_NAMES:
            break
        inner = inside[0]
    if (len(inside) < 2 and _child(inner, TRAIN_NAMES) is None) or _has_pictures(inner):
        return folder
    if inner != folder:
        notes.append(f"The classes are those in {inner.relative_to(folder)}/, the only folder.")
    return inner


def _unused(folder: Path, used: tuple[Path | None, ...]) -> Iterable[str]:
    for other in _folders(folder):
        if other in used:
            continue
        count = sum(1 for _ in _pictures(other, []))
        if count:
            pictures = f"{count:,} picture{'' if count == 1 else 's'}"
            yield f"{pictures} in {other.name}/ will not be used: it is neither train/ nor val/."


def _require_folder(folder: Path) -> None:
    try:
        exists = folder.exists()
    except OSError as error:
        raise DataError(
            f"{folder} cannot be looked up ({error.strerror or error}); check the path."
        ) from error
    if not exists:
        raise DataError(f"There is no folder {folder}; check the path for a typing error.")
    if not folder.is_dir():
        raise DataError(
            f"{folder} is a file; give the folder that holds one folder a class, or a CSV or "
            "Parquet table."
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataError(f"The folder {folder} may not be read; change its permissions.")


def _child(folder: Path, names: Iterable[str]) -> Path | None:
    wanted = set(names)
    named = (c for c in _folders(folder) if c.name.lower() in wanted)
    return next((c for c in named if not _has_pictures(c)), None)


def _has_pictures(folder: Path) -> bool:
    """Whether pictures lie in the folder itself: then it is a class, whatever its name."""
    return any(c.suffix.lower() in SUFFIXES and not _is_hidden(c.name) for c in folder.iterdir())


def _folders(folder: Path) -> list[Path]:
    return sorted(c for c in folder.iterdir() if c.is_dir() and not _is_hidden(c.name))


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _classes_of(root: Path, left_out: list[LeftOut]) -> dict[str, tuple[Path, ...]]:
    for child in sorted(root.iterdir()):
        if child.is_file() and not _is_hidden(child.name):
            left_out.append(LeftOut(str(child), "lies outside the class folders"))
    folders = _folders(root)
    # Class names go into tables, charts and files, which take text only.
    return {as_text(folder.name): tuple(_pictures(folder, left_out)) for folder in folders}


def _pictures(folder: Path, left_out: list[LeftOut]) -> Iterable[Path]:
    def unreadable(error: OSError) -> None:
        left_out.append(LeftOut(str(error.filename), f"cannot be read ({error.strerror})"))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(parent)
        for name in sorted(names):
            if _is_hidden(name) or name in {"Thumbs.db", "desktop.ini"}:
                continue
            if os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield here / name
            else:
                left_out.append(LeftOut(str(here / name), "not a picture, by its name"))


def _require_classes(by_class: dict[str, tuple[Path, ...]], root: Path, least_classes: int) -> None:
    if len(by_class) < least_classes:
        found = f"only the class {next(iter(by_class))!r}" if by_class else "no class folders"
        least = "folders" if least_classes == 1 else "at least two folders"
        raise DataError(f"{root} has {found}; sort the images into {least}, one a class.")
    empty = sorted(name for name, files in by_class.items() if not files)
    if empty:
        raise DataError(
            f"{root} has no pictures in {listed_classes(empty)}; add some, or remove the empty "
            "folder."
        )


def _require_known(
    val_by_class: dict[str, tuple[Path, ...]],
    by_class: dict[str, tuple[Path, ...]],
    val_root: Path | None,
) -> None:
    unknown = sorted(set(val_by_class) - set(by_class))
    if unknown:
        raise DataError(
            f"{val_root} has {listed_classes(unknown)}, for which there is nothing to train on; "
            "rename or remove it, or add training images of it."
        )
    if not any(val_by_class.values()):
        raise DataError(f"{val_root} has no pictures; add some, or remove the folder.")
