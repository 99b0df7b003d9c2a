"""Data sets that are downloaded, from a server on this machine."""

import contextlib
import errno
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest
from torchvision import datasets
from torchvision.datasets import utils

from engine.data import torchvision_downloads
from engine.data.fetchable import FETCHABLE
from engine.data.fetching import fetch
from tests.engine.downloaded import Expected, md5
from tests.engine.fetched import Server, archive, in_order, nothing_new, pixels_in, refusal, site

__all__ = ["archive", "site"]

pytestmark = pytest.mark.usefixtures("no_network")


def test_an_archive_is_downloaded_unpacked_and_told_of(archive: tuple[Path, Expected]) -> None:
    file, expected = archive
    told: list[tuple[str, int, int]] = []
    fetched = fetch("dtd", lambda *step: told.append(step))
    assert in_order(pixels_in(fetched.folder)) == in_order(expected)
    size = file.stat().st_size
    assert ("downloading", size, size) in told
    assert told[-1] == ("writing", 4, 4)
    tasks = list(dict.fromkeys(task for task, _, _ in told))
    assert tasks == ["looking at what is there", "downloading", "unpacking", "writing"]


def test_a_file_that_was_put_there_by_hand_is_taken(
    archive: tuple[Path, Expected], site: tuple[str, Path, type[Server]], thaw_home: Path
) -> None:
    file, expected = archive
    content = file.read_bytes()
    file.unlink()
    said = refusal("dtd")
    assert said.startswith("Describable textures cannot be downloaded (the server answers 404")
    where = thaw_home / "downloads" / "dtd" / "dtd"
    assert f"put dtd-r1.0.1.tar.gz, which comes from {site[0]}" in said
    assert f"into {where} yourself." in said
    (where / file.name).write_bytes(content)
    site[2].asked.clear()
    assert in_order(pixels_in(fetch("dtd").folder)) == in_order(expected)
    assert site[2].asked == []


def test_a_wrong_file_that_was_put_there_is_told_of(
    archive: tuple[Path, Expected], thaw_home: Path
) -> None:
    archive[0].unlink()
    where = thaw_home / "downloads" / "dtd" / "dtd"
    where.mkdir(parents=True)
    (where / archive[0].name).write_bytes(b"another")
    assert refusal("dtd").endswith(
        " The dtd-r1.0.1.tar.gz that is there is damaged or another one."
    )
    assert (where / archive[0].name).read_bytes() == b"another"


def test_without_a_network_that_is_said(thaw_home: Path) -> None:
    for name in sorted(FETCHABLE):
        said = refusal(name)
        assert said.startswith(f"{FETCHABLE[name].label} cannot be downloaded (Name or service")
        assert f"into {thaw_home / 'downloads' / name}" in said
        assert Path(said.rpartition(" into ")[2].removesuffix(" yourself.")).is_dir()
    assert nothing_new(thaw_home)
    assert not [one for one in (thaw_home / "downloads").rglob("*") if one.suffix == ".part"]


@pytest.mark.parametrize("is_torn", [True, False])
def test_what_did_not_come_whole_is_refused_and_comes_the_next_time(
    archive: tuple[Path, Expected],
    site: tuple[str, Path, type[Server]],
    thaw_home: Path,
    is_torn: bool,
) -> None:
    file, expected = archive
    content = file.read_bytes()
    if is_torn:
        site[2].torn = True
    else:
        file.write_bytes(content + b"x")
    said = refusal("dtd")
    reason = "it broke off after" if is_torn else "what came has not the checksum that is expected"
    assert reason in said
    assert nothing_new(thaw_home)
    assert not [one for one in (thaw_home / "downloads" / "dtd").rglob("*") if one.is_file()]
    site[2].torn = False
    file.write_bytes(content)
    assert in_order(pixels_in(fetch("dtd").folder)) == in_order(expected)


def test_a_silent_server_is_given_up(
    monkeypatch: pytest.MonkeyPatch, archive: tuple[Path, Expected]
) -> None:
    monkeypatch.setattr(torchvision_downloads, "SILENCE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/dtd-r1.0.1.tar.gz"
        monkeypatch.setattr(datasets.DTD, "_URL", url)
        assert "nothing came for " in refusal("dtd")
    assert socket.getdefaulttimeout() is None


def test_what_was_half_unpacked_is_unpacked_anew(
    archive: tuple[Path, Expected],
    site: tuple[str, Path, type[Server]],
    thaw_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For torchvision a folder that is there is a data set that is complete."""
    expected = archive[1]
    real = utils._extract_tar

    def stop(from_path: Any, to_path: Any, compression: Any) -> None:
        real(from_path, to_path, compression)
        (thaw_home / "downloads/dtd/dtd/dtd/labels/val1.txt").unlink()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    with monkeypatch.context() as patch:
        patch.setitem(utils._ARCHIVE_EXTRACTORS, ".tar", stop)
        assert "cannot be written to somewhere (No space left on device)" in refusal("dtd")
    assert nothing_new(thaw_home)
    site[2].asked.clear()
    assert in_order(pixels_in(fetch("dtd").folder)) == in_order(expected)
    assert site[2].asked == []


def test_after_a_kill_what_was_half_unpacked_goes_and_archives_stay(
    archive: tuple[Path, Expected], thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed tidies up nothing: the next one does."""
    expected = archive[1]

    class KilledError(BaseException):
        pass

    def stop(from_path: Any, to_path: Any, compression: Any) -> None:
        half = Path(to_path) / "dtd" / "images"
        half.mkdir(parents=True)
        (half / "half.jpg").write_bytes(b"x")
        raise KilledError

    with monkeypatch.context() as patch, contextlib.suppress(KilledError):
        patch.setitem(utils._ARCHIVE_EXTRACTORS, ".tar", stop)
        patch.setattr(torchvision_downloads.Downloads, "remove_unfinished", lambda self: None)
        fetch("dtd")
    assert (thaw_home / "downloads/dtd/dtd/dtd/images/half.jpg").exists()
    archive[0].unlink()
    assert in_order(pixels_in(fetch("dtd").folder)) == in_order(expected)


def test_torchvision_is_as_it_was_afterwards(archive: tuple[Path, Expected]) -> None:
    before = utils.download_url, utils.tqdm, tarfile.TarFile.__dict__["extraction_filter"]
    fetch("dtd")
    refusal("eurosat")
    after = utils.download_url, utils.tqdm, tarfile.TarFile.__dict__["extraction_filter"]
    assert after == before


def test_an_archive_that_unpacks_elsewhere_is_refused(
    archive: tuple[Path, Expected], thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive[0]
    with tarfile.open(file, "w:gz") as packed:
        packed.add(__file__, "../../../escaped.py")
    monkeypatch.setattr(datasets.DTD, "_MD5", md5(file))
    assert "is not whole, or damaged" in refusal("dtd")
    assert not list(thaw_home.rglob("escaped.py"))
