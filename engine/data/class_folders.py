"""Pictures from anywhere as files of one folder a class."""

import io
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from engine.data.decode import FORMATS, SUFFIXES
from engine.data.entry_names import folder_name
from engine.data.fetchable import Progress

# A JPEG with a second picture behind the first, as some cameras write them, is an MPO.
SUFFIX_OF = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "GIF": ".gif",
    "TIFF": ".tif",
}
# Not all that Pillow knows: EPS is a program, which it would have Ghostscript run.
TAKEN_FORMATS = (*FORMATS, "PPM", "JPEG2000")
PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "P", "I;16")


class Labelled(NamedTuple):
    """One picture of a data set.

    Attributes:
        content: a file, the bytes of one, or a picture that has none; None where it is missing.
        class_name: what it shows; empty where that is not told.
    """

    content: Path | bytes | Image.Image | None
    class_name: str


@dataclass(frozen=True)
class Split:
    """Pictures that belong into one folder.

    Attributes:
        folder: such as `train`; empty where the classes lie at the top.
        size: how many there are.
        pictures: all of them.
    """

    folder: str
    size: int
    pictures: Iterable[Labelled]


@dataclass
class Written:
    """What was written of a data set.

    Attributes:
        by_class: numbers of pictures, by folder and class.
        num_left_out: entries without a class or a picture, or of a class that only a later split
            has, for which there is nothing to train on.
    """

    by_class: dict[str, dict[str, int]] = field(default_factory=dict)
    num_left_out: int = 0

    @property
    def num_pictures(self) -> int:
        """How many pictures there are."""
        return sum(sum(counts.values()) for counts in self.by_class.values())


def write_folders(
    splits: Iterable[Split], root: Path, progress: Progress, may_link: bool = False
) -> Written:
    """Writes pictures as <split>/<class>/<number or name>.<suffix>, and returns their numbers.

    Files in a format that Thaw reads stay as they are; all else becomes PNG.

    Args:
        splits: what to write, that to train on first.
        root: the folder to write to.
        progress: is told of every picture.
        may_link: whether a file may be the same as the one that it comes from.

    Raises:
        OSError: a file is missing, or cannot be written.
    """
    splits = list(splits)
    written, names = Written(), _ClassNames()
    done, total = 0, sum(split.size for split in splits)
    for split in splits:
        known = next(iter(written.by_class.values()), None)
        counts = written.by_class.setdefault(split.folder, {})
        for number, (content, class_name) in enumerate(split.pictures):
            progress("writing", done, total)
            done += 1
            is_known = bool(class_name) and (known is None or class_name in known)
            folder = root / split.folder / names.folder_of(class_name)
            if not is_known or not _write(content, folder, number, may_link):
                written.num_left_out += 1
                continue
            counts[class_name] = counts.get(class_name, 0) + 1
    progress("writing", total, total)
    return written


class _ClassNames:
    """Folders of classes: no two are the same, not even where capitals do not count."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}
        self._taken: set[str] = set()

    def folder_of(self, class_name: str) -> str:
        if class_name not in self._folders:
            wanted = folder = folder_name(class_name)
            number = 1
            while folder.casefold() in self._taken:
                number += 1
                folder = f"{wanted} {number}"
            self._taken.add(folder.casefold())
            self._folders[class_name] = folder
        return self._folders[class_name]


def _write(
    content: Path | bytes | Image.Image | None, folder: Path, number: int, may_link: bool
) -> bool:
    """Writes one picture, and returns whether it is one."""
    if isinstance(content, Path) and content.suffix.lower() in SUFFIXES:
        _copy(content, _free(folder, content.stem, content.suffix, number), may_link)
        return True
    if isinstance(content, Path):
        content = content.read_bytes()
    if isinstance(content, Image.Image):
        _save_png(content, _free(folder, f"{number:06d}", ".png", number))
        return True
    return content is not None and _write_bytes(content, folder, number)


def _write_bytes(content: bytes, folder: Path, number: int) -> bool:
    try:
        with Image.open(io.BytesIO(content), formats=TAKEN_FORMATS) as picture:
            suffix = SUFFIX_OF.get(str(picture.format), "")
            if not suffix:
                picture.load()
    except Exception:
        # Pillow's decoders raise whatever a damaged picture makes them stumble over.
        return False
    target = _free(folder, f"{number:06d}", suffix or ".png", number)
    if suffix:
        target.write_bytes(content)
    else:
        _save_png(picture, target)
    return True


def _free(folder: Path, stem: str, suffix: str, number: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stem}{suffix}"
    return folder / f"{stem} {number:06d}{suffix}" if file.exists() else file


def _copy(file: Path, target: Path, may_link: bool) -> None:
    if may_link:
        try:
            os.link(file, target)
        except OSError:
            # Another disk, or a file system without links.
            pass
        else:
            return
    shutil.copyfile(file, target)


def _save_png(picture: Image.Image, target: Path) -> None:
    if picture.mode not in PLAIN_MODES:
        picture = picture.convert("RGB")
    picture.save(target, "PNG")
