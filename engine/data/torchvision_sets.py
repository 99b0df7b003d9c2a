"""Data sets of torchvision as folders of pictures. Imports torchvision only when asked to."""

import contextlib
import inspect
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from engine.data.class_folders import Labelled, Split, Written, write_folders
from engine.data.fetchable import Fetchable, Progress
from engine.data.staging import DISK_ERRNOS
from engine.data.torchvision_downloads import SILENCE_SECONDS, Downloads, watched_downloads
from engine.errors import DataError


def take_from_torchvision(record: Fetchable, root: Path, part: Path, progress: Progress) -> Written:
    """Downloads a data set unless it is there, and writes its pictures as class folders.

    Args:
        record: names the data set.
        root: where torchvision keeps what it downloads; a file that lies there is taken.
        part: the folder to write to.
        progress: is told what is done.

    Raises:
        DataError: it cannot be downloaded, is damaged, or the disk is full.
    """
    from torchvision import datasets

    class_ = getattr(datasets, record.class_name)
    chosen = {"": record.train} if record.val is None else {"train": record.train}
    if record.val is not None:
        chosen["val"] = record.val
    root.mkdir(parents=True, exist_ok=True)
    with watched_downloads(class_, root, progress) as downloads, _sentences(record, downloads):
        progress("looking at what is there", 0, 0)
        splits = [
            _as_split(record, folder, _open(class_, root, {**record.arguments, **arguments}))
            for folder, arguments in chosen.items()
        ]
    with _sentences(record, downloads):
        return write_folders(splits, part, progress, may_link=True)


def _open(class_: type, root: Path, arguments: dict[str, Any]) -> Any:
    if "loader" in inspect.signature(class_).parameters:
        # So that a picture is its file, which need not be decoded and encoded again.
        arguments["loader"] = Path
    return class_(str(root), download=True, **arguments)


def _as_split(record: Fetchable, folder: str, dataset: Any) -> Split:
    return Split(folder, len(dataset), _pictures(record, dataset))


def _pictures(record: Fetchable, dataset: Any) -> Iterator[Labelled]:
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    files = getattr(dataset, record.files) if record.files else None
    labels = dataset._labels if files else ()
    for index in range(len(dataset)):
        content, label = (files[index], labels[index]) if files else dataset[index]
        name = names[label] if names else record.numbered.format(label)
        # Some give several names for the same thing.
        class_name = name if isinstance(name, str) else name[0]
        if isinstance(content, Image.Image):
            with content:
                yield Labelled(_file_of(content) or content, class_name)
        else:
            yield Labelled(Path(content), class_name)


def _file_of(picture: Image.Image) -> Path | None:
    """Returns the file that a picture was opened from and is not yet read from."""
    name = getattr(picture, "filename", "")
    return Path(name) if name else None


@contextlib.contextmanager
def _sentences(record: Fetchable, downloads: Downloads) -> Iterator[None]:
    """Turns what torchvision, the network and the disk come up with into a sentence."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        # Torchvision raises whatever a damaged file makes it stumble over.
        raise DataError(f"{record.label} {_reason(error, downloads)}") from error


def _reason(error: Exception, downloads: Downloads) -> str:
    cause = downloads.error or error
    if isinstance(cause, OSError) and cause.errno in DISK_ERRNOS:
        return (
            f"cannot be written to {cause.filename or downloads.root} ({cause.strerror}); see to "
            "the room and the permissions there, and fetch it again."
        )
    if downloads.error is not None:
        other = f" The {downloads.file.name} that is there is damaged or another one."
        return (
            f"cannot be downloaded ({_of_network(cause)}); try again later, or put "
            f"{downloads.file.name}, which comes from {downloads.url}, into "
            f"{downloads.file.parent} yourself.{other if downloads.is_other else ''}"
        )
    said = (str(cause) or type(cause).__name__).splitlines()[0].rstrip(".")
    return (
        f"is not whole, or damaged ({said}); remove {downloads.root} and what lies in it, and "
        "fetch it again."
    )


def _of_network(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"nothing came for {SILENCE_SECONDS:.0f} seconds"
    if isinstance(reason, RuntimeError):
        return "what came has not the checksum that is expected"
    return str(getattr(reason, "strerror", None) or reason)
