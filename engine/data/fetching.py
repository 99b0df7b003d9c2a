"""Data sets by name, as folders of THAW_HOME/datasets: all of it, or nothing. No torch here.

What was fetched has a file that tells where it came from, so that it is not fetched again.
"""

import contextlib
import difflib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from engine.data.class_folders import Written
from engine.data.entry_names import folder_name
from engine.data.fetchable import FETCHABLE, Fetchable, Progress
from engine.data.hub import HUB, HubName, take_from_hub
from engine.data.staging import staged
from engine.data.torchvision_sets import take_from_torchvision
from engine.errors import DataError
from engine.home import thaw_home

__all__ = ["FETCHABLE", "Fetchable", "Fetched", "fetch", "fetched_before"]

ORIGIN_FILE = ".thaw-origin.json"
TELL_SECONDS = 0.2


@dataclass(frozen=True)
class Fetched:
    """A data set that was fetched.

    Attributes:
        folder: where its pictures lie.
        num_pictures: that were written.
        notes: what is to be known of it, a sentence each.
        is_new: whether it was fetched now; False where it was there already.
    """

    folder: Path
    num_pictures: int
    notes: tuple[str, ...]
    is_new: bool = True


def fetch(
    name: str,
    progress: Progress = lambda task, done, total: None,
    image_column: str = "",
    label_column: str = "",
) -> Fetched:
    """Takes a data set in by its name, unless it is there already.

    Args:
        name: of `FETCHABLE`; or `hf:owner/name`, `hf:owner/name:config` of the Hugging Face Hub, or
            `hf:/path` of a folder or Parquet file on this machine.
        progress: is told what is done, a few times a second.
        image_column: that holds the pictures, of a data set from the hub; found if empty.
        label_column: that holds the classes, likewise.

    Raises:
        DataError: there is no such data set, or it cannot be had. Nothing of it is left behind in
            THAW_HOME/datasets then; what was downloaded in full is kept.
    """
    progress = _sparing(progress)
    if name.startswith(HUB):
        wanted = HubName.parse(name, image_column, label_column)
        return _fetch(
            wanted.origin,
            wanted.folder,
            progress,
            lambda downloads, part: take_from_hub(wanted, downloads, part, progress),
        )
    record = _known(name)
    return _fetch(
        record.name,
        record.name,
        progress,
        lambda downloads, part: (
            take_from_torchvision(record, downloads / record.name, part, progress),
            (record.note,),
        ),
    )


def fetched_before(name: str) -> Fetched | None:
    """Returns a data set of this name that is there already; None where there is none."""
    for file in sorted((thaw_home() / "datasets").glob(f"[!.]*/{ORIGIN_FILE}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            origin = json.loads(file.read_text("utf-8"))
            if origin["name"] == name:
                notes = tuple(map(str, origin["notes"]))
                return Fetched(file.parent, int(origin["num_pictures"]), notes, is_new=False)
    return None


_Take = Callable[[Path, Path], tuple[Written, tuple[str, ...]]]


def _fetch(origin: str, folder: str, progress: Progress, take: _Take) -> Fetched:
    """Returns the data set of this origin, taken in by `take` unless it is there."""
    downloads = thaw_home() / "downloads"
    with _disk(folder), _alone(downloads, folder, progress):
        if origin and (before := fetched_before(origin)) is not None:
            return before
        with staged(folder) as staging:
            written, notes = take(downloads, staging.part)
            _require_classes(written, folder)
            notes += _left_out(written)
            said = {"name": origin, "num_pictures": written.num_pictures, "notes": notes}
            (staging.part / ORIGIN_FILE).write_text(json.dumps(said), "utf-8")
        return Fetched(staging.folder, written.num_pictures, notes)


def _known(name: str) -> Fetchable:
    record = FETCHABLE.get(name.casefold())
    if record is None:
        near = difflib.get_close_matches(name.casefold(), FETCHABLE, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(
            f"There is no data set {name!r} to fetch; {meant}`thaw fetch` lists all, and "
            "hf:owner/name is one of the Hugging Face Hub."
        )
    return record


@contextlib.contextmanager
def _alone(downloads: Path, name: str, progress: Progress) -> Iterator[None]:
    """Lets one process after the other fetch a data set: the second finds it there."""
    downloads.mkdir(exist_ok=True)
    lock = FileLock(downloads / f"{folder_name(name)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("waiting for another who fetches it", 0, 0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _disk(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{name} cannot be written to {error.filename or thaw_home()} "
            f"({error.strerror or error}); see to the room and the permissions there."
        ) from error


def _require_classes(written: Written, name: str) -> None:
    train = next(iter(written.by_class.values()), {})
    if len(train) < 2:
        found = f"only the class {next(iter(train))!r}" if train else "no pictures with a class"
        raise DataError(f"{name} has {found}; a data set needs at least two classes.")


def _left_out(written: Written) -> tuple[str, ...]:
    if not written.num_left_out:
        return ()
    return (
        f"{written.num_left_out:,} entries were left out: they have no picture or no class, or one "
        "that there is nothing to train on of.",
    )


def _sparing(progress: Progress) -> Progress:
    """Returns a progress that passes on each new task, and else a few calls a second."""
    told_at, told = 0.0, ""

    def tell(task: str, done: int, total: int) -> None:
        nonlocal told_at, told
        now = time.monotonic()
        if task != told or now - told_at >= TELL_SECONDS or (total and done >= total):
            told_at, told = now, task
            progress(task, done, total)

    return tell
