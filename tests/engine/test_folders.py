"""Folders of images: both layouts, and a clear sentence for each that cannot be used."""

import os
from pathlib import Path
from typing import Any

import pytest

from engine.data.folders import find_images
from engine.errors import DataError
from tests.engine.pictures import distinct_pictures


def refusal(folder: Path, val_folder: Path | None = None) -> str:
    with pytest.raises(DataError) as caught:
        find_images(folder, val_folder)
    message = str(caught.value)
    assert message.endswith(".")
    return message


def test_one_folder_a_class(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"dogs": 3, "cats": 2})
    found = find_images(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert [[file.name for file in files] for files in found.train] == [
        ["000.png", "001.png"],
        ["000.png", "001.png", "002.png"],
    ]
    assert found.val is None
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("train", "val"), [("train", "val"), ("Train", "Validation"), ("training", "valid")]
)
def test_train_and_val_folders(tmp_path: Path, train: str, val: str) -> None:
    distinct_pictures(tmp_path / train, {"cats": 3, "dogs": 2})
    distinct_pictures(tmp_path / val, {"cats": 1, "dogs": 2})
    found = find_images(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert [len(files) for files in found.train] == [3, 2]
    assert found.val is not None
    assert [len(files) for files in found.val] == [1, 2]
    assert all(file.is_relative_to(tmp_path / val) for files in found.val for file in files)


def test_train_folder_without_val_is_to_be_split(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 3, "dogs": 2})
    found = find_images(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert found.val is None


@pytest.mark.parametrize("inside", ["", "val"])
def test_validation_images_from_elsewhere(tmp_path: Path, inside: str) -> None:
    folder = distinct_pictures(tmp_path / "photos", {"cats": 3, "dogs": 2})
    elsewhere = tmp_path / "held back"
    distinct_pictures(elsewhere / inside, {"cats": 1, "dogs": 1})
    found = find_images(folder, elsewhere)
    assert found.val is not None
    assert [len(files) for files in found.val] == [1, 1]


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"bus": 3, "car": 3, "train": 3})
    assert find_images(tmp_path).classes == ("bus", "car", "train")


def test_a_class_may_lack_validation_images(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 2, "dogs": 2})
    distinct_pictures(tmp_path / "val", {"cats": 2})
    found = find_images(tmp_path)
    assert found.val is not None
    assert [len(files) for files in found.val] == [2, 0]


def test_pictures_in_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 1, "cats/black": 2, "dogs": 1})
    found = find_images(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert [len(files) for files in found.train] == [3, 1]


def test_names_with_spaces_and_letters_of_all_scripts(tmp_path: Path) -> None:
    names = ["äpfel und birnen", "кошки", "猫 と 犬", "c++ & #1 [x] %20"]
    folder = distinct_pictures(tmp_path / "mes données", dict.fromkeys(names, 2))
    (folder / "кошки" / "000.png").rename(folder / "кошки" / "мой кот №1.PNG")
    found = find_images(folder)
    assert found.classes == tuple(sorted(names))
    cats = found.train[found.classes.index("кошки")]
    assert [file.name for file in cats] == ["001.png", "мой кот №1.PNG"]


def test_hidden_and_system_files_are_passed_over(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 2, "dogs": 2, ".cache": 1, "__MACOSX": 1})
    distinct_pictures(tmp_path / "cats", {".thumbnails": 1})
    for name in (".DS_Store", "cats/._000.png", "cats/.hidden.png", "dogs/Thumbs.db"):
        (tmp_path / name).touch()
    found = find_images(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert [len(files) for files in found.train] == [2, 2]
    assert found.left_out == ()


def test_files_that_are_left_out_are_counted_with_a_reason(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 2, "dogs": 2})
    for name in ("labels.csv", "stray.png", "cats/notes.txt", "dogs/clip.mp4"):
        (tmp_path / name).touch()
    reasons = {Path(file.path).name: file.reason for file in find_images(tmp_path).left_out}
    assert reasons == {
        "labels.csv": "lies outside the class folders",
        "stray.png": "lies outside the class folders",
        "notes.txt": "not a picture, by its name",
        "clip.mp4": "not a picture, by its name",
    }


def test_no_such_folder(tmp_path: Path) -> None:
    missing = tmp_path / "photso"
    assert refusal(missing) == f"There is no folder {missing}; check the path for a typing error."


def test_no_such_validation_folder(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "photos", {"cats": 2, "dogs": 2})
    assert "There is no folder" in refusal(tmp_path / "photos", tmp_path / "missing")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "photos.zip"
    file.touch()
    assert f"{file} is a file" in refusal(file)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "no class folders" in refusal(tmp_path)


def test_pictures_without_class_folders(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {".": 3})
    assert "no class folders" in refusal(tmp_path)


def test_one_class(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 3})
    message = refusal(tmp_path)
    assert "only the class 'cats'" in message
    assert "at least two folders" in message


def test_an_empty_class(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 3, "dogs": 3})
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "readme.txt").touch()
    assert "no pictures in the class 'birds'" in refusal(tmp_path)


def test_many_empty_classes_are_not_all_listed(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 1})
    for number in range(9):
        (tmp_path / f"empty{number}").mkdir()
    assert "the classes 'empty0', 'empty1'" in refusal(tmp_path)
    assert "and 4 more" in refusal(tmp_path)


def test_a_validation_class_that_training_lacks(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 2, "dogs": 2})
    distinct_pictures(tmp_path / "val", {"cats": 1, "dgos": 1})
    message = refusal(tmp_path)
    assert "the class 'dgos'" in message
    assert "nothing to train on" in message


def test_a_validation_folder_without_pictures(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 2, "dogs": 2})
    (tmp_path / "val" / "cats").mkdir(parents=True)
    assert "has no pictures" in refusal(tmp_path)


# ---- folders that are not quite as they should be


def test_one_folder_too_many_is_seen_through(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "my zip" / "photos", {"cats": 3, "dogs": 2})
    (tmp_path / "__MACOSX" / "cats").mkdir(parents=True)
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    found = find_images(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert found.notes == ("The classes are those in my zip/photos/, the only folder.",)
    assert find_images(tmp_path / "my zip" / "photos").notes == ()


def test_a_split_below_one_folder_too_many_is_found(tmp_path: Path) -> None:
    for split in ("train", "val"):
        distinct_pictures(tmp_path / "photos" / split, {"cats": 2, "dogs": 2})
    found = find_images(tmp_path)
    assert found.val is not None
    assert found.classes == ("cats", "dogs")


def test_a_single_class_is_no_folder_too_many(tmp_path: Path) -> None:
    distinct_pictures(tmp_path, {"cats": 2})
    assert "only the class 'cats'" in refusal(tmp_path)
    distinct_pictures(tmp_path, {"cats/black": 2, "cats/white": 2})
    assert "only the class 'cats'" in refusal(tmp_path), "cats/ has pictures of its own"


def test_train_alone_is_no_folder_too_many(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 2, "dogs": 2})
    assert find_images(tmp_path).notes == ()


def test_a_train_folder_below_one_folder_too_many_is_found(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "photos" / "train", {"cats": 2, "dogs": 2})
    assert find_images(tmp_path).classes == ("cats", "dogs")


def test_a_test_folder_is_validated_on_where_there_is_no_other(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 3, "dogs": 2})
    distinct_pictures(tmp_path / "Test", {"cats": 1, "dogs": 1})
    found = find_images(tmp_path)
    assert found.val is not None
    assert [len(files) for files in found.val] == [1, 1]
    assert found.notes == ("Runs are judged on Test/, since there is no val/.",)


def test_what_is_not_used_beside_the_split_is_told(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        distinct_pictures(tmp_path / split, {"cats": 2, "dogs": 2})
    distinct_pictures(tmp_path, {"extra": 1})
    (tmp_path / "empty").mkdir()
    assert find_images(tmp_path).notes == (
        "1 picture in extra/ will not be used: it is neither train/ nor val/.",
        "4 pictures in test/ will not be used: it is neither train/ nor val/.",
    )


def test_a_folder_below_a_class_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distinct_pictures(tmp_path, {"cats": 2, "dogs": 2, "dogs/inner": 1})
    real = os.scandir

    def scan(path: Any) -> Any:
        # The superuser, as whom tests may run, is refused nothing.
        if Path(path).name == "inner":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    [left_out] = find_images(tmp_path).left_out
    assert left_out.path.endswith("inner")
    assert left_out.reason == "cannot be read (Permission denied)"


def test_what_the_system_refuses_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distinct_pictures(tmp_path, {"cats": 2, "dogs": 2})

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "cats"))

    monkeypatch.setattr("engine.data.folders._folders", refuse)
    assert "cats cannot be looked at (Permission denied)" in refusal(tmp_path)
