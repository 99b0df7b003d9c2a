"""Data sets by name: torchvision's own code on its own layout, all or nothing."""

import errno
import hashlib
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torchvision import datasets

from engine.data import class_folders
from engine.data.fetchable import FETCHABLE
from engine.data.fetching import Fetched, fetch, fetched_before
from engine.data.folders import find_images
from engine.data.report import inspect_folder
from tests.engine.downloaded import ENCODED, LAYOUTS, Expected, Maker
from tests.engine.fetched import archive, in_order, nothing_new, pixels_in, refusal, site

__all__ = ["archive", "site"]

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def lay(thaw_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Expected]:
    """Lays a data set down as if it had been downloaded; returns what is to come of it."""

    def lay(name: str) -> Expected:
        make = Maker(monkeypatch)
        LAYOUTS[name](thaw_home / "downloads" / name, make)
        return make.expected

    return lay


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
