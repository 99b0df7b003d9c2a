"""A new folder of THAW_HOME/datasets: all of it, or nothing."""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.data.samples import SAMPLES
from engine.errors import DataError
from engine.home import thaw_home

ABANDONED_SECONDS = 86_400
DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass
class Staging:
    """A data set that is being written.

    Attributes:
        part: the folder to write to.
        folder: where it lies once it is whole; before, the same as `part`.
    """

    part: Path
    folder: Path


@contextlib.contextmanager
def staged(wanted: str, settle: bool = True) -> Iterator[Staging]:
    """Gives an empty folder, which becomes a data set when the block ends well, and else goes.

    Args:
        wanted: name of the data set, safe for a folder; a number is added where it is taken.
        settle: make a data set of it; else what was not moved away meanwhile goes in any case.

    Raises:
        OSError: the folder cannot be made or named.
        DataError: there are too many of this name.
    """
    datasets = thaw_home() / "datasets"
    datasets.mkdir(exist_ok=True)
    _sweep(datasets)
    part = datasets / f".{secrets.token_hex(8)}.part"
    staging = Staging(part, part)
    try:
        part.mkdir()
        yield staging
        if hasattr(os, "sync"):
            # Once for all of them: what has its name is whole, whenever the power goes.
            os.sync()
        if settle:
            staging.folder = _settle(part, datasets, wanted)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sweep(datasets: Path) -> None:
    """Removes what processes that were killed left behind."""
    for part in datasets.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


def _settle(part: Path, datasets: Path, wanted: str) -> Path:
    """Gives the folder its name, one that nobody else has taken meanwhile."""
    for number in range(1, 10_000):
        target = datasets / (wanted if number == 1 else f"{wanted} {number}")
        # Renaming onto an empty folder works on some systems, so it is not made first.
        if target.exists() or target.name.casefold() in SAMPLES:
            continue
        try:
            part.rename(target)
        except OSError:
            if not target.exists():
                raise
        else:
            return target
    raise DataError(f"There are too many data sets called {wanted!r}; give another name.")
