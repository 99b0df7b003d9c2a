"""Takes an archive or files in, and sees to it that nothing else happens."""

import contextlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.data.archives import Unpacked
from engine.data.entry_names import MOST_BYTES, safe_name, shown_name
from engine.data.report import inspect_folder
from engine.errors import DataError


class Sent(io.BytesIO):
    """A file as Streamlit hands it over."""

    def __init__(self, name: str, content: bytes):
        super().__init__(content)
        self.name = name
        self.size = len(content)


@contextlib.contextmanager
def nothing_else(root: Path, home: Path) -> Iterator[None]:
    """Asserts that within the block nothing changes below a folder but the data sets of a home."""
    before = _everything(root, home)
    yield
    assert _everything(root, home) == before


def _everything(root: Path, home: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for parent, folders, names in os.walk(root):
        if Path(parent) == home:
            # What Thaw keeps of what it looked at is its own affair.
            folders[:] = [name for name in folders if name not in ("datasets", "cache")]
        for name in (*folders, *names):
            status = (Path(parent) / name).lstat()
            is_folder = stat.S_ISDIR(status.st_mode)
            found[f"{parent}/{name}"] = (
                (0, 0) if is_folder else (status.st_size, status.st_mtime_ns)
            )
    return found


def taken(take: Callable[[], Unpacked], home: Path) -> Unpacked | str:
    """Returns what was taken in, after a look at all of it; or the sentence of why it was not.

    Args:
        take: takes it in.
        home: the THAW_HOME where it goes.
    """
    before = _data_sets(home)
    try:
        found = take()
    except DataError as error:
        assert _data_sets(home) == before
        assert_one_sentence(str(error))
        return str(error)
    assert _data_sets(home) == before | {found.folder.name}
    assert found.folder.parent == home / "datasets"
    # A number may have been added to it.
    assert len(found.folder.name.encode()) <= MOST_BYTES + len(" 9999")
    files = list(_files(found.folder))
    assert len(files) == found.num_pictures > 0
    assert found.num_left_out >= len(found.left_out)
    for file in files:
        assert stat.S_ISREG(file.lstat().st_mode)
        for part in file.relative_to(found.folder).parts:
            assert part not in ("", ".", "..")
            assert safe_name(part) == part
            assert len(part.encode()) <= MOST_BYTES
    with contextlib.suppress(DataError):
        inspect_folder(found.folder)
    return found


def _data_sets(home: Path) -> set[str]:
    folder = home / "datasets"
    found = {one.name for one in folder.iterdir()} if folder.exists() else set()
    assert not {name for name in found if name.startswith(".")}
    return found


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        assert folders or names
        for name in folders:
            assert not (Path(parent) / name).is_symlink()
        yield from (Path(parent) / name for name in names)


def assert_one_sentence(text: str) -> None:
    """Fails where a message is more than one line, or shows what a terminal would act on."""
    assert text
    assert shown_name(text) == text


def num_files(content: bytes) -> int:
    """Returns how many entries of an archive are no folders, as Python's own modules see it."""
    with contextlib.suppress(zipfile.BadZipFile):
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                return sum(not one.filename.endswith("/") for one in packed.infolist())
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return sum(not one.isdir() for one in tar)
