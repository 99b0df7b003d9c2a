"""Files that a browser sends: an archive, a folder with all that is in it, or loose pictures."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Protocol

from engine.data.archives import Unpacked, unpack_file
from engine.data.entries import Entry, archive_entries, is_archive, sentences
from engine.data.entry_names import folder_name, safe_path, shown_name
from engine.data.folders import find_images
from engine.data.found import ImageFolder
from engine.data.staging import staged
from engine.data.taking import MOST_ENTRIES, Progress, Taken, take_entries, why_not
from engine.errors import DataError


class Upload(Protocol):
    """A file that was sent: its name, with the folders it lay in, and its content."""

    @property
    def name(self) -> str:
        """With `/` between folders."""

    @property
    def size(self) -> int:
        """Bytes."""

    def getbuffer(self) -> memoryview:
        """Returns the content."""


@dataclass(frozen=True)
class Sketch:
    """What some files would be as a data set, by their names alone.

    Attributes:
        classes: name, pictures to train on and to validate on.
        notes: how the folders would be read.
        num_pictures: among the files.
        num_left_out: other files.
        fault: why it would not do as a data set, in a sentence; empty where it would.
        needs_class: whether it is loose pictures, which have no class yet.
    """

    classes: tuple[tuple[str, int, int], ...]
    notes: tuple[str, ...]
    num_pictures: int
    num_left_out: int
    fault: str = ""
    needs_class: bool = False


def sketch_files(files: Sequence[Upload]) -> Sketch:
    """Returns what some files would be as a data set; nothing of them is written or decoded.

    Raises:
        DataError: they are archives, of which only one can be taken at once, or it is damaged.
    """
    archive = _only_archive(files)
    if archive is None:
        entries = (Entry(file.name, "file", _nothing) for file in files)
        return _sketch(entries, Taken("the files", sum(file.size for file in files)))
    name = shown_name(archive.name)
    with sentences(name):
        return _sketch(archive_entries(_packed(archive), name), Taken(name, archive.size))


def add_files(
    files: Sequence[Upload],
    name: str,
    class_name: str = "",
    progress: Progress = lambda done: None,
) -> Unpacked:
    """Takes files in as a data set of its own: all of them, or nothing.

    Args:
        files: one archive, or files whose names tell their folders, or loose ones.
        name: of the data set.
        class_name: of loose pictures.
        progress: called with the number of pictures written so far.

    Raises:
        DataError: there is no picture among them, or the disk is full.
    """
    archive = _only_archive(files)
    if archive is not None:
        return unpack_file(_packed(archive), archive.name, name, progress)
    wanted = folder_name(name or "images")
    with sentences(wanted), staged(wanted) as staging:
        taken = _take(files, class_name, staging.part, wanted, progress)
    return Unpacked(staging.folder, taken.num_pictures, taken.told, taken.num_left_out)


def add_to_class(
    folder: Path,
    class_name: str,
    files: Sequence[Upload],
    progress: Progress = lambda done: None,
) -> Unpacked:
    """Adds loose pictures to a class of a data set that was taken in: all of them, or nothing.

    Args:
        folder: of the data set, with one folder a class.
        class_name: may be a new one.
        files: pictures.
        progress: called with the number of pictures written so far.

    Raises:
        DataError: there is no picture among them, or the disk is full.
    """
    target = folder / folder_name(class_name)
    with sentences(folder.name), staged(f"{folder.name} more", settle=False) as staging:
        taken = _take(files, class_name, staging.part, folder.name, progress)
        [made] = staging.part.iterdir()
        _move(made, target)
    return Unpacked(folder, taken.num_pictures, taken.told, taken.num_left_out)


def _move(made: Path, target: Path) -> None:
    """Gives what was written its place with one renaming: in a class that is there, as a folder."""
    places = (target, *(target / f"added {number}" for number in range(1, 10_000)))
    for place in places:
        if place.exists():
            continue
        try:
            made.rename(place)
        except OSError:
            # Somebody else took the place meanwhile.
            if not place.exists():
                raise
        else:
            return
    raise DataError(f"{target} has had too many additions; begin another data set.")


def _take(
    files: Sequence[Upload], class_name: str, part: Path, name: str, progress: Progress
) -> Taken:
    taken = Taken(name, sum(file.size for file in files))
    above = f"{folder_name(class_name)}/" if class_name else ""
    entries = (
        Entry(f"{above}{file.name}", "file", lambda file=file: BytesIO(file.getbuffer()))  # type: ignore[misc]
        for file in files
    )
    take_entries(entries, taken, part, progress)
    if not taken.num_pictures:
        raise DataError("There is no picture among the files; send JPEG, PNG, WebP, GIF or TIFF.")
    return taken


def _only_archive(files: Sequence[Upload]) -> Upload | None:
    archives = [file for file in files if is_archive(file.name)]
    if not archives:
        return None
    if len(files) > 1:
        raise DataError(
            f"{shown_name(archives[0].name)} is an archive and came with other files; send one "
            "archive at a time, or pictures only."
        )
    return archives[0]


def _packed(archive: Upload) -> IO[bytes]:
    """Returns an archive to be read, without a copy of what may be large where that can be."""
    return archive if isinstance(archive, BytesIO) else BytesIO(archive.getbuffer())


def _nothing() -> None:
    return None


def _sketch(entries: Iterable[Entry], taken: Taken) -> Sketch:
    """Lays empty files out as the entries would lie, and looks at those as at any folder."""
    with tempfile.TemporaryDirectory(prefix="thaw-sketch-") as scratch:
        root = Path(scratch)
        _lay_out(entries, root, taken)
        empty = Sketch((), (), taken.num_pictures, taken.num_left_out)
        if not taken.num_pictures:
            return replace(empty, fault="There are no pictures in it.")
        if not any(child.is_dir() for child in root.iterdir()):
            return replace(empty, needs_class=True)
        try:
            found = find_images(root)
        except DataError as error:
            return replace(
                empty, fault=str(error).replace(f"{root}{os.sep}", "").replace(str(root), "It")
            )
        return replace(
            empty,
            classes=tuple(_counts(found)),
            notes=found.notes,
            num_left_out=taken.num_left_out + len(found.left_out),
        )


def _lay_out(entries: Iterable[Entry], root: Path, taken: Taken) -> None:
    for number, entry in enumerate(entries):
        if number >= MOST_ENTRIES:
            raise DataError(f"There are more than {MOST_ENTRIES:,} files; take them apart.")
        if entry.kind == "folder":
            continue
        # To get past what is in a stream, it is unpacked.
        taken.count(entry.streamed)
        path = safe_path(entry.name)
        if path is None or why_not(entry, path):
            taken.leave_out(entry.name, "")
            continue
        target = root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(exist_ok=False)
        except (FileExistsError, NotADirectoryError):
            taken.leave_out(entry.name, "")
            continue
        taken.num_pictures += 1


def _counts(found: ImageFolder) -> Iterator[tuple[str, int, int]]:
    for place, name in enumerate(found.classes):
        yield name, len(found.train[place]), len(found.val[place]) if found.val else 0
