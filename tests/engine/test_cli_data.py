"""`thaw add` and `thaw inspect`, as a person or a script runs them."""

import json
import os
import shutil
from pathlib import Path

import pytest

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.data.report import inspect_folder
from engine.home import run_folder
from tests.conftest import CLIPART
from tests.engine.commands import TINY, document, refusal, thaw
from tests.engine.pictures import distinct_pictures

SMALL = ["--image-size", "64", "--fit", "squash", "--set", "training.batch_size=8"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return distinct_pictures(tmp_path / "pets", {"cats": 3, "dogs": 2})


def test_an_archive_is_taken_in_and_looked_at(photos: Path, tmp_path: Path) -> None:
    (photos / "notes.txt").write_text("a note")
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", photos.parent, "pets")
    added = document(thaw("add", archive, "--json"))
    assert (added["pictures"], added["num_left_out"]) == (5, 1)
    assert added["left_out"] == [["pets/notes.txt", "not a picture, by its name"]]
    report = document(thaw("inspect", added["folder"], "--json"))
    assert report["fingerprint"] == inspect_folder(photos).fingerprint
    assert report["classes"] == [["cats", 3, 0], ["dogs", 2, 0]]
    again = thaw("add", archive, "--name", "pets & co").stdout
    assert "5 pictures in " in again
    assert "'pets/notes.txt': not a picture, by its name" in again
    assert "pets & co" in again


def test_what_is_wrong_is_printed_with_its_files(photos: Path) -> None:
    shutil.copy(photos / "cats" / "000.png", photos / "dogs" / "cat.png")
    printed = thaw("inspect", str(photos)).stdout
    assert "6 pictures (6 PNG)" in printed
    assert "✗ Once the same picture is in two classes: one of the labels is wrong." in printed
    assert f"{photos}/cats/000.png  =  {photos}/dogs/cat.png" in printed


def test_names_that_are_no_text_are_printed(photos: Path) -> None:
    for name in (b"caf\xe9.png", b"\x1b[31mred.png"):
        (photos / "dogs" / os.fsdecode(name)).write_bytes(b"nothing")
    done = thaw("inspect", str(photos), PYTHONIOENCODING="utf-8:strict")
    assert f"{photos}/dogs/caf?.png" in done.stdout
    assert f"{photos}/dogs/?[31mred.png" in done.stdout
    thaw("inspect", str(photos), PYTHONIOENCODING="ascii:strict")


def test_what_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("nothing")
    assert "is no archive that can be read" in refusal(thaw("add", str(tmp_path / "x.zip")))
    assert "There is no folder" in refusal(thaw("inspect", str(tmp_path / "nowhere")))


def test_corrections_are_recorded_listed_and_taken_back(photos: Path) -> None:
    shutil.copy(photos / "cats" / "000.png", photos / "cats" / "copy.png")
    shutil.copy(photos / "cats" / "001.png", photos / "dogs" / "a cat.png")
    before = sorted(photos.rglob("*"))
    assert "No corrections apply" in thaw("correct", str(photos)).stdout
    listed = document(
        thaw(
            *("correct", str(photos), "--finding", "twice-same"),
            *("--relabel", "dogs/a cat.png=cats", "--exclude", str(photos / "dogs" / "000.png")),
            "--json",
        )
    )
    assert [(one["path"], one["action"], one["detail"]) for one in listed["remedies"]] == [
        ("cats/copy.png", "exclude", ""),
        ("dogs/000.png", "exclude", ""),
        ("dogs/a cat.png", "relabel", "cats"),
    ]
    report = document(thaw("inspect", str(photos), "--json"))
    assert report["classes"] == [["cats", 4, 0], ["dogs", 1, 0]]
    assert report["remedies"] == listed["name"]
    assert "Your corrections are applied" in thaw("inspect", str(photos)).stdout
    thaw("correct", str(photos), "--undo")
    assert document(thaw("inspect", str(photos), "--json"))["remedies"] == ""
    assert "has no corrections to take back" in refusal(thaw("correct", str(photos), "--undo"))
    assert sorted(photos.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--exclude", "cats/none.png"], "has no picture cats/none.png"),
        (["--relabel", "cats/000.png"], "--relabel cats/000.png names no target"),
        (
            ["--relabel", "cats/000.png=birds"],
            "There is no class 'birds'; choose one of cats, dogs",
        ),
        (["--move", "cats/000.png=away"], "a picture can be moved to train or to val"),
        (["--move", "cats/000.png=val"], "has no split of its own"),
        (["--finding", "leaks"], "Nothing of the kind 'leaks' was found"),
        (["--undo", "--clear"], "--undo and --clear stand alone"),
        (["--undo"], "has no corrections to take back"),
    ],
)
def test_what_cannot_be_corrected_is_a_sentence(
    photos: Path, arguments: list[str], sentence: str
) -> None:
    assert sentence in refusal(thaw("correct", str(photos), *arguments))


@pytest.mark.slow
def test_a_run_applies_the_corrections_of_now_and_remembers_them(photos: Path) -> None:
    distinct = distinct_pictures(photos.parent / "many", {"cats": 8, "dogs": 8})
    name = document(thaw("correct", str(distinct), "--exclude", "cats/000.png", "--json"))["name"]
    ended = thaw("train", "--data", str(distinct), "--epochs", "1", *TINY, "--json")
    assert "1 corrections of the images apply" in ended.stderr
    run = document(ended)
    assert run["spec"]["data"]["remedies"] == name
    assert run["train_images"] + run["val_images"] == 15
    thaw("correct", str(distinct), "--undo")
    # The same spec still means the same.
    spec = photos.parent / "spec.json"
    spec.write_text(json.dumps(run["spec"]))
    again = document(thaw("train", "--spec", str(spec), "--json"))
    assert again["fingerprint"] == run["fingerprint"]
    plain = ("--set", "data.remedies=")
    without = document(
        thaw("train", "--data", str(distinct), *plain, "--epochs", "1", *TINY, "--json")
    )
    assert without["train_images"] + without["val_images"] == 16


@pytest.mark.slow
def test_cross_validation_holds_back_every_picture_once(photos: Path) -> None:
    folder = distinct_pictures(photos.parent / "many", {"cats": 7, "dogs": 8})
    options = ("--strategies", "frozen", "--seeds", "1", "--folds", "3", "--epochs", "1")
    ended = thaw("survey", "--data", str(folder), *options, *SMALL, "--json", timeout=300)
    found = document(ended)
    assert len(found["runs"]) == 3
    [row] = found["rows"]
    assert len(row["accuracies"]) == 3
    manifests = [Manifest.from_file(run_folder(run) / MANIFEST_FILE) for run in found["runs"]]
    held_back = [Path(item.path) for manifest in manifests for item in manifest.val]
    assert sorted(held_back) == sorted(folder.rglob("*.png"))


def test_folds_and_a_split_of_its_own_do_not_go_together() -> None:
    refused = thaw("train", "--data", str(CLIPART), "--set", "data.folds=5")
    assert "has validation pictures of its own" in refusal(refused)
    for wrong, sentence in (
        ("data.folds=1", "holds back everything"),
        ("data.fold=2", "fold is 2"),
    ):
        assert sentence in refusal(thaw("train", "--data", str(CLIPART), "--set", wrong))
