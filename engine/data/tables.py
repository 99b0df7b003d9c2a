"""A data set as a table: a CSV or Parquet file with path, label and, where given, split."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.found import (
    LEAST_CLASSES,
    TEST_NAMES,
    TRAIN_NAMES,
    VAL_NAMES,
    ImageFolder,
    LeftOut,
)
from engine.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
NAMES = {
    "path": ("path", "file", "filename", "filepath", "image"),
    "label": ("label", "class"),
    "split": ("split", "set", "subset"),
}
SPLITS = {
    **dict.fromkeys(TRAIN_NAMES, "train"),
    **dict.fromkeys(VAL_NAMES, "val"),
    **dict.fromkeys(TEST_NAMES, "test"),
}
DELIMITERS = ",;\t"
MOST_ROWS = 20_000_000
LONGEST_REASON = 200


def is_table(path: Path) -> bool:
    """Returns whether a path names a table, by its suffix."""
    return path.suffix.lower() in TABLE_SUFFIXES and not path.is_dir()


def read_table(file: Path, least_classes: int = LEAST_CLASSES) -> ImageFolder:
    """Returns the files that a table lists, by class, in the order of their paths.

    Args:
        file: its columns are `path`, relative to the table's folder or absolute, `label` and, where
            it has one, `split` with train, val or test.
        least_classes: that there have to be.

    Raises:
        DataError: the file cannot be read, a column is missing, a split has another name, or there
            are too few classes.
    """
    if file.exists() and not file.is_file():
        # Opening a pipe would wait for its other end.
        raise DataError(f"{file} is a device or a pipe; name a file.")
    columns = _columns(file)
    splits = columns.get("split")
    left_out: list[LeftOut] = []
    by_split: dict[str, dict[str, dict[Path, None]]] = {}
    num_repeated = 0
    rows = zip(
        columns["path"], columns["label"], splits or [""] * len(columns["path"]), strict=True
    )
    for number, (text, label, split_text) in enumerate(rows, 2):
        reason = _why_not(text, label, split_text, splits is not None)
        if reason:
            left_out.append(LeftOut(text or f"row {number}", reason))
            continue
        files = by_split.setdefault(_split(file, number, split_text), {}).setdefault(label, {})
        path = file.parent / text
        num_repeated += path in files
        files[path] = None
    notes = [f"{num_repeated:,} rows are there twice; each counts once."] if num_repeated else []
    train, val = _parts(by_split, notes)
    classes = tuple(sorted(train))
    _require_classes(file, classes, val, least_classes)
    return ImageFolder(
        classes=classes,
        train=tuple(_ordered(train[name], file) for name in classes),
        val=None if not val else tuple(_ordered(val.get(name, ()), file) for name in classes),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _require_classes(
    file: Path, classes: Sequence[str], val: Iterable[str], least_classes: int
) -> None:
    if len(classes) < least_classes:
        found = f"only the label {classes[0]!r}" if classes else "no label"
        least = "a label" if least_classes == 1 else "at least two labels"
        raise DataError(f"{file} has {found} in rows to train on; it takes {least}.")
    if unknown := sorted(set(val) - set(classes)):
        raise DataError(
            f"{file} has the label {unknown[0]!r} in validation only; add training rows of it, or "
            "remove those rows."
        )


def _columns(file: Path) -> dict[str, list[str]]:
    try:
        table = _read(file)
        by_name = {str(name).strip().lower(): name for name in table.columns}
        found = {}
        for column, names in NAMES.items():
            name = next((by_name[one] for one in names if one in by_name), None)
            if name is not None:
                found[column] = [_text(value) for value in table[name].tolist()]
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(file, error) from error
    for column in ("path", "label"):
        if column not in found:
            there = ", ".join(map(repr, by_name)) or "no names"
            raise DataError(
                f"The table {file} has no column {column!r} but {there}; its first line must name "
                "path and label, and may name split."
            )
    return found


def _read(file: Path) -> "pd.DataFrame":
    import pandas as pd

    if file.suffix.lower() != ".parquet":
        return pd.read_csv(
            file, sep=_delimiter(file), dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    from pyarrow.parquet import read_metadata

    # A few bytes may say that a value is there a billion times.
    num_rows = read_metadata(file).num_rows
    if num_rows > MOST_ROWS:
        raise DataError(
            f"The table {file} has {num_rows:,} rows, more than the {MOST_ROWS:,} that are read; "
            "divide it."
        )
    return pd.read_parquet(file)


def _unreadable(file: Path, error: Exception) -> DataError:
    """Returns what to say; what pandas and pyarrow raise on a damaged file has no common kind."""
    if isinstance(error, OSError) and error.errno:
        return DataError(f"The table {file} cannot be read ({error.strerror}); check the path.")
    text = (str(error).splitlines() or [type(error).__name__])[0]
    reason = "".join(c if c.isprintable() else "?" for c in text)[:LONGEST_REASON]
    return DataError(
        f"{file} is no table that can be read ({reason}); write it as a CSV with a line of "
        "names, path,label, and a line a picture."
    )


def _text(value: object) -> str:
    # What is missing differs from itself, or is pandas' own.
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return ""
    # Parquet keeps whole numbers with gaps as 1.0.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _delimiter(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        head = text.readline(10_000)
    try:
        return csv.Sniffer().sniff(head, DELIMITERS).delimiter
    except csv.Error:
        return ","


def _why_not(text: str, label: str, split: str, has_splits: bool) -> str:
    if not text:
        return "no path in the table"
    if "\0" in text:
        return "its path has a character that no path may have"
    if not label:
        return "no label in the table"
    return "no split in the table" if has_splits and not split else ""


def _split(file: Path, number: int, text: str) -> str:
    if text and text.lower() not in SPLITS:
        raise DataError(
            f"Line {number} of {file} has the split {text!r}; write train, val or test."
        )
    return SPLITS[text.lower()] if text else "train"


def _parts(
    by_split: dict[str, dict[str, dict[Path, None]]], notes: list[str]
) -> tuple[dict[str, dict[Path, None]], dict[str, dict[Path, None]]]:
    val, test = by_split.get("val", {}), by_split.get("test", {})
    count = sum(map(len, test.values()))
    if test and not val:
        notes.append("Runs are judged on the rows of test, since there are none of val.")
        return by_split.get("train", {}), test
    if test:
        notes.append(f"{count:,} rows of test will not be used: runs are judged on those of val.")
    return by_split.get("train", {}), val


def _ordered(files: Iterable[Path], table: Path) -> tuple[Path, ...]:
    """Returns files as a walk through their folder would, so that the same split is drawn."""
    return tuple(sorted(files, key=lambda path: _place(path, table.parent)))


def _place(path: Path, root: Path) -> tuple[tuple[bool, str], ...]:
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    if not parts:
        # The table's own folder, which is no picture, as will be found.
        return ()
    *folders, name = parts
    # Of a folder, its files come before the folders in it.
    return (*((True, folder) for folder in folders), (False, name))
