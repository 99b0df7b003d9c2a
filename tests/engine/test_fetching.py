"""Data sets by name: torchvision's own code on its own layout, and what is said when it fails."""

import contextlib
import errno
import functools
import hashlib
import http.server
import io
import json
import os
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torchvision import datasets
from torchvision.datasets import utils

from engine.data import class_folders, torchvision_downloads
from engine.data.decode import decode_image
from engine.data.fetchable import FETCHABLE
from engine.data.fetching import Fetched, fetch, fetched_before
from engine.data.folders import find_images
from engine.data.report import inspect_folder
from engine.errors import DataError
from tests.engine.downloaded import ENCODED, LAYOUTS, Expected, Maker, md5

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def lay(thaw_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Expected]:
    """Lays a data set down as if it had been downloaded; returns what is to come of it."""

    def lay(name: str) -> Expected:
        make = Maker(monkeypatch)
        LAYOUTS[name](thaw_home / "downloads" / name, make)
        return make.expected

    return lay


def pixels_in(folder: Path) -> Expected:
    found: Expected = {}
    for file in sorted(folder.rglob("*.*")):
        if file.is_file() and not file.name.startswith("."):
            pixels = decode_image(file).tobytes()
            found.setdefault(str(file.parent.relative_to(folder)), []).append(pixels)
    return found


def in_order(expected: Expected) -> Expected:
    return {folder: sorted(pixels) for folder, pixels in sorted(expected.items())}


def refusal(name: str) -> str:
    with pytest.raises(DataError) as caught:
        fetch(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def nothing_new(thaw_home: Path) -> bool:
    datasets_folder = thaw_home / "datasets"
    return not datasets_folder.exists() or not list(datasets_folder.iterdir())


# ---- the table


def test_every_data_set_is_described_and_has_a_layout_here() -> None:
    assert set(LAYOUTS) == set(FETCHABLE)
    assert list(FETCHABLE) == sorted(FETCHABLE)
    assert len({one.label for one in FETCHABLE.values()}) == len(FETCHABLE)
    for name, one in FETCHABLE.items():
        assert name == one.class_name.lower() or name == "clevr"
        assert one.sentence.endswith(".")
        assert any(mark.isdigit() for mark in one.sentence)
        assert one.download_mib > 0
        assert hasattr(datasets, one.class_name)


# ---- every data set, as torchvision has it


@pytest.mark.parametrize("name", FETCHABLE)
def test_every_picture_comes_into_its_class_as_it_was(
    name: str, lay: Callable[[str], Expected], thaw_home: Path
) -> None:
    expected = lay(name)
    fetched = fetch(name)
    assert fetched.folder == thaw_home / "datasets" / name
    assert fetched.num_pictures == sum(map(len, expected.values()))
    assert fetched.notes == (FETCHABLE[name].note,)
    assert in_order(pixels_in(fetched.folder)) == in_order(expected)
    found = find_images(fetched.folder)
    assert (found.val is not None) == (FETCHABLE[name].val is not None)
    assert found.left_out == ()
    assert found.notes == ()
    assert not list((thaw_home / "downloads").glob("*.json"))


@pytest.mark.parametrize("name", sorted(set(FETCHABLE) - ENCODED))
def test_files_are_not_encoded_again_and_take_no_room(
    name: str, lay: Callable[[str], Expected], thaw_home: Path
) -> None:
    lay(name)
    there = {
        hashlib.sha256(file.read_bytes()).digest()
        for file in (thaw_home / "downloads").rglob("*.*")
        if file.is_file()
    }
    for files in find_images(fetch(name).folder).train:
        for file in files:
            assert hashlib.sha256(file.read_bytes()).digest() in there
            assert file.stat().st_nlink == 2


def test_where_there_are_no_links_files_are_copied(
    lay: Callable[[str], Expected], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    expected = lay("eurosat")
    monkeypatch.setattr(os, "link", refuse)
    fetched = fetch("EuroSAT")
    assert in_order(pixels_in(fetched.folder)) == in_order(expected)
    assert {f.stat().st_nlink for fs in find_images(fetched.folder).train for f in fs} == {1}


def test_what_is_there_already_is_not_fetched_again(
    lay: Callable[[str], Expected], thaw_home: Path
) -> None:
    lay("dtd")
    first = fetch("dtd")
    for path in sorted((thaw_home / "downloads" / "dtd").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert fetch("DTD") == Fetched(first.folder, 4, first.notes, is_new=False)
    assert fetched_before("dtd") == Fetched(first.folder, 4, first.notes, is_new=False)
    assert fetched_before("eurosat") is None


def test_a_folder_of_that_name_that_was_not_fetched_stays(
    lay: Callable[[str], Expected], thaw_home: Path
) -> None:
    lay("eurosat")
    own = thaw_home / "datasets" / "eurosat" / "mine"
    own.mkdir(parents=True)
    assert fetch("eurosat").folder.name == "eurosat 2"
    assert list(own.parent.iterdir()) == [own]


def test_it_can_be_inspected(lay: Callable[[str], Expected]) -> None:
    lay("flowers102")
    report = inspect_folder(fetch("flowers102").folder)
    assert report.classes == (("hard-leaved pocket orchid", 1, 1), ("pink primrose", 1, 1))


# ---- downloads, from a server on this machine


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves files; breaks off, or refuses, where it is told to."""

    torn: bool = False
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if not self.torn:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path, type[Server]]]:
    """A server: its address, its folder, and its handler."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = type("Handler", (Server,), {"asked": [], "torn": False})
    make = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder, handler
        server.shutdown()
        thread.join()


@pytest.fixture
def archive(
    site: tuple[str, Path, type[Server]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Path, Expected]:
    """DTD's archive on the server, and what is to come of it."""
    make = Maker(monkeypatch)
    LAYOUTS["dtd"](tmp_path / "made", make)
    address, folder, _ = site
    file = folder / "dtd-r1.0.1.tar.gz"
    with tarfile.open(file, "w:gz") as packed:
        packed.add(tmp_path / "made" / "dtd" / "dtd", "dtd")
    monkeypatch.setattr(datasets.DTD, "_URL", f"{address}/{file.name}")
    monkeypatch.setattr(datasets.DTD, "_MD5", md5(file))
    return file, make.expected


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


# ---- all or nothing


def test_a_full_disk_leaves_nothing_behind(
    lay: Callable[[str], Expected], thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = lay("cifar10")
    real = class_folders._save_png
    written: list[Path] = []

    def full(picture: Any, target: Path) -> None:
        if len(written) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        written.append(target)
        real(picture, target)

    with monkeypatch.context() as patch:
        patch.setattr(class_folders, "_save_png", full)
        said = refusal("cifar10")
    assert said.startswith("CIFAR-10 cannot be written to ")
    assert "No space left on device" in said
    assert nothing_new(thaw_home)
    assert in_order(pixels_in(fetch("cifar10").folder)) == in_order(expected)


def test_a_missing_picture_is_told_and_nothing_is_taken_in(
    lay: Callable[[str], Expected], thaw_home: Path
) -> None:
    lay("food101")
    missing = thaw_home / "downloads/food101/food-101/images/waffles/test1.jpg"
    missing.unlink()
    said = refusal("food101")
    assert f"'{missing}'" in said
    assert f"remove {thaw_home / 'downloads' / 'food101'} and what lies in it" in said
    assert nothing_new(thaw_home)


def test_only_one_class_is_no_data_set(thaw_home: Path) -> None:
    for number in (1, 2):
        file = thaw_home / "downloads/eurosat/eurosat/2750/River" / f"River_{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    assert refusal("eurosat").startswith("eurosat has only the class 'River'")
    assert nothing_new(thaw_home)


def test_two_at_once_are_one(archive: tuple[Path, Expected], site: Any, thaw_home: Path) -> None:
    found: list[Fetched] = []
    tasks: list[str] = []

    def go() -> None:
        found.append(fetch("dtd", lambda task, done, total: tasks.append(task)))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.is_new for one in found) == [False, False, False, True]
    assert len({one.folder for one in found}) == 1
    assert [one.name for one in (thaw_home / "datasets").iterdir()] == ["dtd"]
    # Once to be told where it is, once to have it.
    assert len(site[2].asked) == 2


# ---- names


def test_an_unknown_name_is_told_its_neighbour() -> None:
    said = refusal("flower102")
    assert "There is no data set 'flower102' to fetch; did you mean 'flowers102'?" in said


def test_classes_whose_names_differ_in_capitals_stay_apart(tmp_path: Path) -> None:
    names = class_folders._ClassNames()
    wanted = ["cat", "Cat", "a/b", "a_b", ".cat", "con"]
    folders = [names.folder_of(name) for name in wanted]
    assert len({folder.casefold() for folder in folders}) == len(wanted)
    assert [names.folder_of(name) for name in wanted] == folders
    assert not any(folder.startswith(".") or "/" in folder for folder in folders)


def test_a_damaged_origin_is_no_origin(lay: Callable[[str], Expected], thaw_home: Path) -> None:
    lay("dtd")
    folder = fetch("dtd").folder
    for broken in ("", "[]", "null", json.dumps({"name": "dtd"})):
        (folder / ".thaw-origin.json").write_text(broken)
        assert fetched_before("dtd") is None


def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path) -> None:
    for kind, is_taken in (("EPS", False), ("PPM", True), ("PNG", True)):
        content = io.BytesIO()
        Image.new("RGB", (9, 9), "red").save(content, kind)
        assert class_folders._write_bytes(content.getvalue(), tmp_path, 1) is is_taken
    assert [one.suffix for one in tmp_path.iterdir()] == [".png", ".png"]
