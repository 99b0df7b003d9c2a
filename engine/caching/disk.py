"""What lies in the caches, without opening any of it."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.home import cache_folder

ARRAY_FILE, ABOUT_FILE = "array.npy", "about.json"
# Younger ones may belong to a process that is at work.
ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True)
class Entry:
    """What is known of an array without opening it.

    Attributes:
        digest: of the key.
        label: what a person reads.
        num_bytes: of the array.
        fill_seconds: what computing it took.
        checksum: CRC-32 of the array's bytes.
        shape: of the array.
        dtype: of the array.
        key: everything that decides its values.
    """

    digest: str
    label: str
    num_bytes: int
    fill_seconds: float
    checksum: int
    shape: tuple[int, ...]
    dtype: str
    key: dict[str, Any]


def read_entry(folder: Path) -> Entry | None:
    """Returns what is known of the array in a folder; None where there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        values = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
        return Entry(**(values | {"shape": tuple(values["shape"])}))
    return None


def held(root: Path | None = None) -> Iterator[tuple[float, int, Path]]:
    """Yields when it was used last, size and folder of each entry, abandoned ones included.

    Args:
        root: of all the caches; that of THAW_HOME, which is made then, where None.
    """
    for folder in (root or cache_root()).glob("*/*/"):
        whole = (folder / ABOUT_FILE).is_file() and "." not in folder.name
        left_behind = folder.name.endswith((".part", ".gone"))
        if whole:
            yield used_at(folder), _size(folder), folder
        elif left_behind and time.time() - used_at(folder) > ABANDONED_SECONDS:
            yield 0.0, _size(folder), folder


def cache_bytes(root: Path | None = None) -> int:
    """Returns how much all the arrays take on disk."""
    return sum(size for _, size, _ in held(root))


def cache_root() -> Path:
    """Returns the folder that holds all the caches."""
    return cache_folder("features").parent


def used_at(folder: Path) -> float:
    """Returns when an entry was used last, in seconds since the Unix epoch; 0 where it is gone."""
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return (folder / ARRAY_FILE).stat().st_size
    return 0
