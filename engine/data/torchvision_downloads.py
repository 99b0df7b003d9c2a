"""What torchvision downloads and unpacks: watched, and whole or not there.

torchvision takes a folder that exists for a data set that is complete, and some archives, too. So
an archive gets its name once all of it has come, and what was unpacked goes again when that was
interrupted, even by the end of the process: a file beside the folder tells then.
"""

import contextlib
import json
import socket
import sys
import tarfile
import threading
import urllib.error
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine.data.fetchable import Progress

SILENCE_SECONDS = 60.0
_ONE_AT_A_TIME = threading.Lock()


class Downloads:
    """What torchvision has downloaded to a folder, and what went wrong.

    Attributes:
        root: the folder.
        url: where the file that was asked for last comes from.
        file: that it was to become.
        is_other: whether a file was there that is not the one that is expected.
        error: why it could not be downloaded; None where it could.
    """

    def __init__(self, root: Path, progress: Progress, download_url: Callable[..., Any]):
        self.root = root
        self.url = ""
        self.file = root
        self.is_other = False
        self.error: Exception | None = None
        self._progress = progress
        self._download_url = download_url
        self._marker = root.with_name(f"{root.name}.unfinished.json")

    def download_url(
        self,
        url: str,
        root: str | Path,
        filename: str | Path | None = None,
        md5: str | None = None,
        max_redirect_hops: int = 3,
    ) -> None:
        """Downloads a file as torchvision's function of this name does, but all or nothing."""
        from torchvision.datasets.utils import check_integrity

        name = str(filename or url.rpartition("/")[2])
        file = Path(root) / name
        # Of several places that have the same file, the first is told.
        self.url, self.file = (self.url if file == self.file else url), file
        self.is_other, self.error = False, None
        self._note([])
        if not check_integrity(self.file, md5):
            self.is_other = self.file.is_file()
            self._progress("downloading", 0, 0)
            part = self.file.with_name(f"{name}.part")
            part.unlink(missing_ok=True)
            try:
                self._download_url(url, root, part.name, md5, max_redirect_hops)
                part.replace(self.file)
            except Exception as error:
                self.error = error
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                raise
            finally:
                part.unlink(missing_ok=True)
        self._note([self.file])
        self._progress("unpacking", 0, 0)

    def remove_unfinished(self) -> None:
        """Removes what was unpacked if that did not come to its end; keeps whole archives."""
        kept = self._kept()
        if kept is None:
            return
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif path not in kept:
                path.unlink(missing_ok=True)
        self.finish()

    def finish(self) -> None:
        """Notes that all that lies there is whole."""
        self._marker.unlink(missing_ok=True)

    def _kept(self) -> set[Path] | None:
        try:
            return {self.root / name for name in json.loads(self._marker.read_text("utf-8"))}
        except FileNotFoundError:
            return None
        except ValueError:
            return set()

    def _note(self, files: list[Path]) -> None:
        """Writes down what is whole: what was there at first, and what was downloaded since."""
        kept = self._kept()
        if kept is None:
            kept = {path for path in self.root.rglob("*") if path.is_file()}
        names = sorted(str(path.relative_to(self.root)) for path in kept.union(files))
        self._marker.write_text(json.dumps(names), "utf-8")


class _Bar:
    """Stands for torchvision's progress bar: tells our progress, and notices a torn download."""

    def __init__(self, progress: Progress, total: int | None = None, **looks: object):
        self._progress = progress
        self._total = total or 0
        self._done = 0

    def __enter__(self) -> "_Bar":
        return self

    def update(self, num_bytes: int) -> None:
        """Counts bytes that have come."""
        self._done += num_bytes
        self._progress("downloading", self._done, self._total)

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None and self._done < self._total:
            raise ConnectionError(f"it broke off after {self._done:,} of {self._total:,} bytes")


@contextlib.contextmanager
def watched_downloads(class_: type, root: Path, progress: Progress) -> Iterator[Downloads]:
    """Watches what a data set of torchvision downloads to a folder while the block goes on.

    Args:
        class_: of the data set.
        root: the folder that is given to it.
        progress: is told of bytes as they come.
    """
    from torchvision.datasets import utils

    downloads = Downloads(root, progress, utils.download_url)
    downloads.remove_unfinished()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        for module in (utils, sys.modules[class_.__module__]):
            if hasattr(module, "download_url"):
                stack.enter_context(_replaced(module, "download_url", downloads.download_url))
        stack.enter_context(_replaced(utils, "tqdm", partial(_Bar, progress)))
        stack.enter_context(_careful())
        try:
            yield downloads
        except BaseException:
            downloads.remove_unfinished()
            if downloads.error is not None:
                # A person is asked to put the file there.
                with contextlib.suppress(OSError):
                    downloads.file.parent.mkdir(parents=True, exist_ok=True)
            raise
        downloads.finish()


@contextlib.contextmanager
def _careful() -> Iterator[None]:
    """Waits for no silent server, and unpacks nothing to other places."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        # Pythons before 3.11.4 have no filters.
        if not hasattr(tarfile, "data_filter"):
            yield
            return
        with _replaced(tarfile.TarFile, "extraction_filter", staticmethod(tarfile.data_filter)):
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _replaced(place: Any, name: str, value: Any) -> Iterator[None]:
    own = place.__dict__[name]
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, own)
