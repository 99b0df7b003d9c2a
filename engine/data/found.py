"""What was found of a data set before any of its files was opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# That an image can be told from another.
LEAST_CLASSES = 2
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation")
TEST_NAMES = ("test", "testing")


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImageFolder:
    """The files of a folder by class, before any of them was opened.

    Attributes:
        classes: names in alphabetical order; a class's index is its place here.
        train: per class, the files to train on; also those to split when `val` is None.
        val: per class, the files to validate on; None where the folder does not say.
        left_out: files that are no pictures by their name.
        notes: how the folder was read, a sentence each, where that is not plain to see.
    """

    classes: tuple[str, ...]
    train: tuple[tuple[Path, ...], ...]
    val: tuple[tuple[Path, ...], ...] | None
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()


def listed_classes(names: Sequence[str]) -> str:
    """Returns some class names as a sentence names them."""
    shown = ", ".join(repr(name) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"the class{'es' if len(names) > 1 else ''} {shown}{more}"


def as_text(name: str) -> str:
    """Returns the name of a file as text: bytes of it that are none are written out."""
    return name.encode("utf-8", "backslashreplace").decode()
