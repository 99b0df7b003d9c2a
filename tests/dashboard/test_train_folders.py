"""Train on folders of people's own, good and bad: what is found there, and what is said of it."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.runs.store import Store
from tests.dashboard.pages import (
    choose,
    controls_of,
    open_page,
    press_start,
    start_button,
    text_of,
)

pytestmark = pytest.mark.usefixtures("small_sample")


def open_folder(folder: Path | str) -> AppTest:
    """Returns the Train page after a path was typed."""
    page = choose(open_page("train"), "train.source", "folder")
    return choose(page, "train.folder", str(folder))


def sentence(page: AppTest) -> str:
    """Returns the one error on a page that offers no start, as a person reads it."""
    [error] = page.error
    assert start_button(page).disabled
    assert not page.get("progress")
    assert error.value.rstrip().endswith(".")
    return str(error.value).replace("\\", "")


def test_before_a_path_is_typed_the_forms_are_explained() -> None:
    page = choose(open_page("train"), "train.source", "folder")
    assert "photos/train/cats" in page.info[0].value
    assert start_button(page).disabled
    assert not page.error


def test_a_good_folder_can_be_trained_on(store: Store, own_folder: Path) -> None:
    shutil.move(own_folder / "birds", own_folder / "Vögel und mehr")
    page = open_folder(f"  {own_folder} ")
    assert "**3 classes**, 18 images to train on and 6 to validate on." in text_of(page)
    press_start(page)
    assert {run.spec.data.folder for run in store.all_runs()} == {str(own_folder)}


@pytest.mark.parametrize(
    ("train", "val"), [("train", "val"), ("training", "validation"), ("Train", "Val")]
)
def test_a_validation_folder_leaves_nothing_to_split(
    tiny_folder: Path, tmp_path: Path, train: str, val: str
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "split" / train)
    shutil.copytree(tiny_folder, tmp_path / "split" / val)
    page = open_folder(tmp_path / "split")
    assert "**3 classes**, 24 images to train on and 24 to validate on." in text_of(page)
    assert "train.data.val_fraction" not in {one.key for one in controls_of(page)}


def test_validation_images_that_lie_elsewhere(
    store: Store, tiny_folder: Path, own_folder: Path, tmp_path: Path
) -> None:
    held = tmp_path / "held back"
    shutil.copytree(tiny_folder, held)
    page = choose(open_folder(own_folder), f"train.data.val_folder.{own_folder}", f" {held} ")
    assert "**3 classes**, 24 images to train on and 24 to validate on." in text_of(page)
    assert "train.data.val_fraction" not in {one.key for one in controls_of(page)}
    # It goes with this folder, and with no other.
    other = tmp_path / "other"
    shutil.copytree(tiny_folder, other)
    assert "6 to validate on" in text_of(choose(page, "train.folder", str(other)))
    press_start(choose(page, "train.folder", str(own_folder)))
    assert {run.spec.data.val_folder for run in store.all_runs()} == {str(held)}


def test_validation_images_that_are_not_there(own_folder: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    page = choose(open_folder(own_folder), f"train.data.val_folder.{own_folder}", str(missing))
    assert f"There is no folder {missing}" in sentence(page)
    page = choose(page, f"train.data.val_folder.{own_folder}", "")
    assert not page.error


def test_no_such_folder(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert f"There is no folder {missing}" in sentence(open_folder(missing))


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "photos.zip"
    file.touch()
    assert f"{file} is a file" in sentence(open_folder(file))


def test_a_folder_with_one_class(own_folder: Path) -> None:
    for name in ("fruit", "vehicles"):
        shutil.rmtree(own_folder / name)
    told = sentence(open_folder(own_folder))
    assert "only the class 'birds'" in told
    assert "at least two" in told


def test_a_folder_without_classes(tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    assert "no class folders" in sentence(open_folder(folder))


def test_an_empty_class(own_folder: Path) -> None:
    (own_folder / "ghosts").mkdir()
    assert "no pictures in the class 'ghosts'" in sentence(open_folder(own_folder))


def test_a_class_of_which_nothing_can_be_read(own_folder: Path) -> None:
    (own_folder / "ghosts").mkdir()
    (own_folder / "ghosts" / "broken.jpg").write_bytes(b"not a picture")
    told = sentence(open_folder(own_folder))
    assert "'ghosts'" in told
    assert "1 cannot be read" in told


def test_corrupt_files_are_counted_and_named(own_folder: Path) -> None:
    whole = next((own_folder / "fruit").iterdir()).read_bytes()
    (own_folder / "birds" / "broken.jpg").write_bytes(b"not a picture")
    page = open_folder(own_folder)
    assert "1 file will be left out" in [one.label for one in page.expander]
    (own_folder / "copy").mkdir()
    shutil.copytree(own_folder / "birds", own_folder / "copy" / "birds")
    shutil.copytree(own_folder / "fruit", own_folder / "copy" / "fruit")
    (own_folder / "copy" / "fruit" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    page = choose(page, "train.folder", str(own_folder / "copy"))
    assert "2 files will be left out" in [one.label for one in page.expander]
    left_out = page.dataframe[0].value
    assert [Path(file).name for file in left_out["file"]] == ["broken.jpg", "half.jpg"]
    assert "truncated" in left_out["reason"][1]
    assert not page.error
    assert not start_button(page).disabled


@pytest.mark.parametrize(
    "typed",
    ["~nobody-of-that-name/photos", "x" * 300, "C:\\Photos", "photos\0", "🐦"],
    ids=["user", "long", "windows", "null", "picture"],
)
def test_whatever_is_typed_gets_a_sentence(typed: str) -> None:
    assert sentence(open_folder(typed))
