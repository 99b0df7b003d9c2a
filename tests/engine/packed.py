"""Archives of photos, made for a test."""

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import archives
from engine.data.archives import unpack
from engine.errors import DataError
from tests.engine.pictures import distinct_pictures

FORMATS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return distinct_pictures(tmp_path / "photos", {"cats": 3, "dogs": 2})


@pytest.fixture
def picture(photos: Path) -> bytes:
    return (photos / "cats" / "000.png").read_bytes()


@pytest.fixture
def outside(tmp_path: Path, thaw_home: Path) -> Callable[[], None]:
    """Call it at the end: nothing but the home's own folders has changed."""

    def seen() -> set[str]:
        files = {str(p) for p in tmp_path.rglob("*") if not p.is_relative_to(thaw_home)}
        return files | {str(p) for p in thaw_home.iterdir() if p.name != "datasets"}

    thaw_home.mkdir(exist_ok=True)
    before = seen()

    def check() -> None:
        assert {one for one in seen() - before if not one.endswith((".zip", ".tar"))} == set()
        datasets = thaw_home / "datasets"
        assert not [one for one in datasets.iterdir() if one.name.startswith(".")]

    return check


def packed(folder: Path, file: Path) -> Path:
    """Puts a folder with what is in it into an archive, as a person does."""
    files = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w") as archive:
            for one in files:
                archive.write(one, one.relative_to(folder.parent))
    else:
        kind = file.name.rpartition(".tar")[2].lstrip(".")
        with tarfile.open(file, f"w:{kind}") as archive:
            archive.add(folder, folder.name)
    return file


def zipped(file: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file


def reasons(unpacked: archives.Unpacked) -> dict[str, str]:
    return {one.path: one.reason for one in unpacked.left_out}


def refusal(file: Path, outside: Callable[[], None], thaw_home: Path) -> str:
    with pytest.raises(DataError) as caught:
        unpack(file)
    outside()
    assert list((thaw_home / "datasets").iterdir()) == []
    message = str(caught.value)
    assert file.name in message
    return message
