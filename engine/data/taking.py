"""Takes the pictures out of what came from a stranger, and nothing else, within bounds.

Nothing is written outside a folder of their own, links and devices are not followed, and what
comes to more than a bound is given up before it fills the disk.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from engine.data.decode import SUFFIXES
from engine.data.entries import Entry
from engine.data.entry_names import safe_path
from engine.data.found import LeftOut
from engine.errors import DataError

MOST_ENTRIES = 200_000
MOST_BYTES = 64 * 2**30
# Pictures are compressed already; a few bitmaps shrink to a twentieth.
MOST_RATIO = 100
RATIO_COUNTS_FROM = 64 * 2**20
KEEP_FREE = 2**30
LOOK_EVERY = 64 * 2**20
CHUNK = 2**20
LEFT_OUT_TOLD = 1000

Progress = Callable[[int], None]


class Taken:
    """What was taken so far."""

    def __init__(self, name: str, num_bytes: int):
        """Begins with nothing.

        Args:
            name: of what it is taken from.
            num_bytes: of that, packed.
        """
        self.num_pictures = 0
        self.num_left_out = 0
        self._told: list[LeftOut] = []
        self._packed = max(num_bytes, 1)
        self._written = 0
        self._look_at = 0
        self.name = name
        self._made: set[Path] = set()

    @property
    def told(self) -> tuple[LeftOut, ...]:
        """The first that were left out."""
        return tuple(self._told)

    def leave_out(self, name: str, reason: str) -> None:
        """Counts an entry that is not taken."""
        self.num_left_out += 1
        if self.num_left_out <= LEFT_OUT_TOLD:
            self._told.append(LeftOut(name, reason))

    def count(self, num_bytes: int, folder: Path | None = None) -> None:
        """Counts bytes before they are unpacked.

        Args:
            num_bytes: of them.
            folder: where they are written, if they are.

        Raises:
            DataError: there are too many, or no room for them.
        """
        self._written += num_bytes
        if self._written > MOST_BYTES:
            raise DataError(
                f"{self.name} unpacks to more than {MOST_BYTES // 2**30} GiB; take it apart, or "
                "unpack it yourself and name the folder."
            )
        if self._written > max(RATIO_COUNTS_FROM, MOST_RATIO * self._packed):
            raise DataError(
                f"{self.name} unpacks to more than {MOST_RATIO} times its size, as pictures never "
                "do; it is not unpacked any further."
            )
        if folder is None or self._written < self._look_at:
            return
        self._look_at = self._written + LOOK_EVERY
        if shutil.disk_usage(folder).free < KEEP_FREE:
            raise DataError(
                f"{self.name} would fill the disk of {folder.parent}; free some room first."
            )

    def make_folders(self, path: Path, part: Path) -> bool:
        """Makes the folders above a path; returns False where one is another one on this disk.

        A disk that does not tell capitals from small letters would merge two classes.
        """
        for folder in reversed(path.relative_to(part).parents[:-1]):
            target = part / folder
            if target in self._made:
                continue
            try:
                target.mkdir()
            except FileExistsError:
                return False
            self._made.add(target)
        return True


def take_entries(entries: Iterable[Entry], taken: Taken, part: Path, progress: Progress) -> None:
    """Writes the pictures among some entries below a folder.

    Args:
        entries: in any order.
        taken: counts them.
        part: an empty folder.
        progress: called with the number of pictures written so far.

    Raises:
        DataError: there are too many entries or bytes, or the disk is full.
    """
    for number, entry in enumerate(entries):
        if number >= MOST_ENTRIES:
            raise DataError(
                f"{taken.name} has more than {MOST_ENTRIES:,} entries; take it apart, or unpack "
                "it yourself and name the folder."
            )
        if entry.kind == "folder":
            continue
        if entry.streamed:
            # What is left out of a stream has to be unpacked all the same to get past it.
            taken.count(entry.streamed, part)
        path = safe_path(entry.name)
        reason = why_not(entry, path)
        target = part / path if path is not None else part
        if not reason and _is_taken(target, part):
            reason = "there are two entries of this name"
        if not reason and not taken.make_folders(target, part):
            reason = "its folder differs from another in capitals only, which this disk cannot keep"
        if reason:
            taken.leave_out(entry.name, reason)
            continue
        _write(entry, target, taken, part)
        taken.num_pictures += 1
        progress(taken.num_pictures)


def why_not(entry: Entry, path: PurePosixPath | None) -> str:
    """Returns why an entry is not taken, by its name; nothing where it is.

    Args:
        entry: a file or something else.
        path: its name, made safe; None where it leads elsewhere.
    """
    if entry.kind == "other":
        return "a link or device, not a file"
    if path is None:
        return "its name leads out of the archive"
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return "hidden, or of the system"
    if path.suffix.lower() not in SUFFIXES:
        return "not a picture, by its name"
    return ""


def _is_taken(target: Path, part: Path) -> bool:
    above = target.relative_to(part).parents
    return target.exists() or any((part / one).is_file() for one in above)


def _write(entry: Entry, target: Path, taken: Taken, part: Path) -> None:
    source = entry.open()
    if source is None:
        raise DataError("an entry has no content")
    left = entry.streamed
    with source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            if not entry.streamed:
                taken.count(len(chunk), part)
            elif (left := left - len(chunk)) < 0:
                # Only so much was counted.
                raise DataError(f"{taken.name} holds more of a file than it says; fetch it again.")
            file.write(chunk)
