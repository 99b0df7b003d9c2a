"""`thaw add` and `thaw inspect`, as a person or a script runs them."""

import shutil
from pathlib import Path

import pytest

from engine.data.report import inspect_folder
from tests.engine.pictures import distinct_pictures
from tests.engine.test_cli import document, refusal, thaw


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


def test_what_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("nothing")
    assert "is no archive that can be read" in refusal(thaw("add", str(tmp_path / "x.zip")))
    assert "There is no folder" in refusal(thaw("inspect", str(tmp_path / "nowhere")))
