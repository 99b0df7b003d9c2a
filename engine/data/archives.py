"""An archive of images as a folder of THAW_HOME/datasets: all of it, or nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.data.entries import archive_entries, archive_stem, sentences
from engine.data.entry_names import folder_name, shown_name
from engine.data.found import LeftOut
from engine.data.staging import staged
from engine.data.taking import Progress, Taken, take_entries
from engine.errors import DataError


@dataclass(frozen=True)
class Unpacked:
    """What was taken in.

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
    with sentences(shown_name(archive.name)), archive.open("rb") as file:
        return unpack_file(file, archive.name, name, progress)


def unpack_file(
    file: IO[bytes], archive: str, name: str = "", progress: Progress = lambda done: None
) -> Unpacked:
    """Takes the pictures of an open archive in; see unpack.

    Args:
        file: can be sought in.
        archive: its name.
        name: of the new folder, as there.
        progress: as there.

    Raises:
        DataError: as there.
    """
    wanted = folder_name(name or archive_stem(archive))
    archive = shown_name(archive)
    with sentences(archive), staged(wanted) as staging:
        taken = Taken(archive, file.seek(0, os.SEEK_END))
        take_entries(archive_entries(file, archive), taken, staging.part, progress)
        if not taken.num_pictures:
            raise DataError(
                f"{archive} holds no pictures; put one folder of pictures a class into it."
            )
    return Unpacked(staging.folder, taken.num_pictures, taken.told, taken.num_left_out)
