"""An archive of images as a folder of THAW_HOME/datasets: all of it, or nothing.

Archives come from strangers. Nothing is written outside a folder of their own, links and devices
are not followed, and what unpacks to more than a bound is given up before it fills the disk.
"""

import contextlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from engine.data.decode import SUFFIXES
from engine.data.entry_names import folder_name, safe_path
from engine.data.found import LeftOut
from engine.data.staging import staged
from engine.errors import DataError

SUFFIXES_OF_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MOST_ENTRIES = 200_000
MOST_BYTES = 64 * 2**30
# Pictures are compressed already; a few bitmaps shrink to a twentieth.
MOST_RATIO = 100
RATIO_COUNTS_FROM = 64 * 2**20
KEEP_FREE = 2**30
LOOK_EVERY = 64 * 2**20
CHUNK = 2**20
LEFT_OUT_TOLD = 1000
ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06")

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Unpacked:
    """An archive that was taken in.

    Attributes:
        folder: where its pictures lie.
        num_pictures: that were written.
        left_out: entries that were not, with the reason; the first thousand.
        num_left_out: how many there are.
    """

    folder: Path
    num_pictures: int
    left_out: tuple[LeftOut, ...]
    num_left_out: int


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: str
    open: Callable[[], IO[bytes] | None]
    streamed: int = 0


def unpack(archive: Path, name: str = "", progress: Progress = lambda done: None) -> Unpacked:
    """Takes the pictures of an archive in, under a name that is free.

    Args:
        archive: a zip or tar file.
        name: of the new folder; the archive's own where empty. A number is added where it is taken.
        progress: called with the number of pictures written so far.

    Raises:
        DataError: it is no archive, is damaged, encrypted or too large, holds no picture, or the
            disk is full. Nothing of it is left behind then.
    """
    wanted = folder_name(name or _stem(archive))
    with _sentences(archive), staged(wanted) as staging:
        taken = _take(archive, staging.part, progress)
        if not taken.num_pictures:
            raise DataError(
                f"{archive.name} holds no pictures; put one folder of pictures a class into it."
            )
    return Unpacked(staging.folder, taken.num_pictures, taken.told, taken.num_left_out)


def _stem(archive: Path) -> str:
    lower = archive.name.lower()
    suffix = next((one for one in SUFFIXES_OF_ARCHIVES if lower.endswith(one)), "")
    return archive.name[: len(archive.name) - len(suffix)] or "images"


class _Taken:
    """What was taken out of an archive so far."""

    def __init__(self, archive: Path):
        self.num_pictures = 0
        self.num_left_out = 0
        self._told: list[LeftOut] = []
        self._packed = max(archive.stat().st_size, 1)
        self._written = 0
        self._look_at = 0
        self._name = archive.name

    @property
    def told(self) -> tuple[LeftOut, ...]:
        return tuple(self._told)

    def leave_out(self, name: str, reason: str) -> None:
        self.num_left_out += 1
        if self.num_left_out <= LEFT_OUT_TOLD:
            self._told.append(LeftOut(name, reason))

    def count(self, num_bytes: int, folder: Path) -> None:
        """Counts bytes before they are written.

        Raises:
            DataError: there are too many.
        """
        self._written += num_bytes
        if self._written > MOST_BYTES:
            raise DataError(
                f"{self._name} unpacks to more than {MOST_BYTES // 2**30} GiB; take it apart, or "
                "unpack it yourself and name the folder."
            )
        if self._written > max(RATIO_COUNTS_FROM, MOST_RATIO * self._packed):
            raise DataError(
                f"{self._name} unpacks to more than {MOST_RATIO} times its size, as pictures never "
                "do; it is not unpacked any further."
            )
        if self._written < self._look_at:
            return
        self._look_at = self._written + LOOK_EVERY
        if shutil.disk_usage(folder).free < KEEP_FREE:
            raise DataError(
                f"{self._name} would fill the disk of {folder.parent}; free some room first."
            )


def _take(archive: Path, part: Path, progress: Progress) -> _Taken:
    taken = _Taken(archive)
    for number, entry in enumerate(_entries(archive)):
        if number >= MOST_ENTRIES:
            raise DataError(
                f"{archive.name} has more than {MOST_ENTRIES:,} entries; take it apart, or unpack "
                "it yourself and name the folder."
            )
        if entry.kind == "folder":
            continue
        if entry.streamed:
            # What is left out of a stream has to be unpacked all the same to get past it.
            taken.count(entry.streamed, part)
        path = safe_path(entry.name)
        reason = _why_not(entry, path)
        target = part / path if path is not None else part
        if not reason and _is_taken(target, part):
            reason = "there are two entries of this name"
        if reason:
            taken.leave_out(entry.name, reason)
            continue
        _write(entry, target, taken, part)
        taken.num_pictures += 1
        progress(taken.num_pictures)
    return taken


def _why_not(entry: _Entry, path: PurePosixPath | None) -> str:
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


def _write(entry: _Entry, target: Path, taken: _Taken, part: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = entry.open()
    if source is None:
        raise DataError("an entry has no content")
    with source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            if not entry.streamed:
                taken.count(len(chunk), part)
            file.write(chunk)


def _entries(archive: Path) -> Iterator[_Entry]:
    # By its head: a tar whose last file is a zip ends like one.
    with archive.open("rb") as file:
        is_zip = file.read(4) in ZIP_HEADS
    if is_zip:
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if info.flag_bits & 1:
                    raise DataError(f"{archive.name} is encrypted; unpack it yourself.")
                mode = info.external_attr >> 16
                odd = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
                kind = "folder" if info.is_dir() else "other" if odd else "file"
                yield _Entry(info.filename, kind, lambda info=info: packed.open(info))  # type: ignore[misc]
        return
    # A stream: what comes is looked at in order, and never all at once.
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            kind = "folder" if member.isdir() else "file" if member.isreg() else "other"
            yield _Entry(
                member.name,
                kind,
                lambda member=member: tar.extractfile(member),  # type: ignore[misc]
                streamed=member.size,
            )
            # Or it keeps all that it has seen.
            tar.members = []  # type: ignore[attr-defined]


@contextlib.contextmanager
def _sentences(archive: Path) -> Iterator[None]:
    """Turns what unpacking stumbles over into a sentence."""
    try:
        yield
    except DataError:
        raise
    except (tarfile.ReadError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(
            f"{archive.name} is no archive that can be read, or is damaged ({_reason(error)}); "
            f"Thaw takes {', '.join(SUFFIXES_OF_ARCHIVES)}."
        ) from error
    except OSError as error:
        raise DataError(
            f"{archive.name} cannot be unpacked ({error.strerror or error}); check the file and "
            "the room on the disk."
        ) from error
    except (
        EOFError,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        ValueError,
        KeyError,
        OverflowError,
        MemoryError,
    ) as error:
        raise DataError(f"{archive.name} is damaged ({_reason(error)}); fetch it again.") from error


def _reason(error: Exception) -> str:
    """Returns the first line of what a library says; tarfile tells of each format that it tried."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(": ")
