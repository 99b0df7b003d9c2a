"""A data set as a table: the same classes, split and fingerprint as the folder it lists."""

from pathlib import Path

import pandas as pd
import pytest

from engine.data.folders import find_images
from engine.data.manifest import build_manifest
from engine.errors import DataError
from engine.spec import DataSpec
from tests.engine.pictures import distinct_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return distinct_pictures(tmp_path / "pets", {"cats": 6, "dogs": 5})


def listed(folder: Path) -> pd.DataFrame:
    """Returns a table of the pictures, in an order that no folder has."""
    files = sorted(folder.rglob("*.png"), key=lambda file: file.name, reverse=True)
    rows = [(file.relative_to(folder.parent).as_posix(), file.parent.name) for file in files]
    return pd.DataFrame(rows, columns=["path", "label"])


def fingerprint(folder: Path) -> str:
    return build_manifest(DataSpec(folder=str(folder))).fingerprint


def write(table: pd.DataFrame, file: Path, **how: str) -> Path:
    table.to_parquet(file) if file.suffix == ".parquet" else table.to_csv(file, index=False, **how)  # type: ignore[call-overload]
    return file


@pytest.mark.parametrize("name", ["pets.csv", "pets.parquet", "pets.tsv", "semicolons.csv"])
def test_a_table_is_the_folder_that_it_lists(photos: Path, tmp_path: Path, name: str) -> None:
    how = {"pets.tsv": {"sep": "\t"}, "semicolons.csv": {"sep": ";"}}.get(name, {})
    file = write(listed(photos), tmp_path / name, **how)
    manifest = build_manifest(DataSpec(folder=str(file)))
    assert manifest.classes == ("cats", "dogs")
    assert manifest.fingerprint == fingerprint(photos)


def test_splits_of_a_table_are_kept(photos: Path, tmp_path: Path) -> None:
    table = listed(photos)
    table["split"] = ["Train", "validation", "test", "training", *["train"] * 7]
    found = find_images(write(table, tmp_path / "pets.csv"))
    assert found.val is not None
    assert sum(map(len, found.train)) == 9
    assert sum(map(len, found.val)) == 1
    assert found.notes == ("1 rows of test will not be used: runs are judged on those of val.",)


def test_test_rows_judge_where_there_is_no_validation(photos: Path, tmp_path: Path) -> None:
    table = listed(photos)
    table["split"] = ["test", "test", *["train"] * 9]
    found = find_images(write(table, tmp_path / "pets.csv"))
    assert found.val is not None
    assert sum(map(len, found.val)) == 2
    assert "judged on the rows of test" in found.notes[0]


def test_absolute_paths_and_other_names_of_columns(photos: Path, tmp_path: Path) -> None:
    table = listed(photos)
    table["path"] = [str(photos.parent / path) for path in table["path"]]
    table = table.rename(columns={"path": " File", "label": "Class"})
    (tmp_path / "elsewhere").mkdir()
    file = write(table, tmp_path / "elsewhere" / "pets.csv")
    assert build_manifest(DataSpec(folder=str(file))).fingerprint == fingerprint(photos)


def test_rows_that_say_too_little_are_left_out_and_told(photos: Path, tmp_path: Path) -> None:
    table = listed(photos)
    table["split"] = "train"
    table.loc[0, "label"] = ""
    table.loc[1, "path"] = ""
    table.loc[2, "split"] = ""
    table.loc[3, "path"] = "nowhere/gone.png"
    table = pd.concat([table, table.iloc[[5]]])
    manifest = build_manifest(DataSpec(folder=str(write(table, tmp_path / "pets.csv"))))
    assert {one.reason for one in manifest.left_out} == {
        "no label in the table",
        "no path in the table",
        "no split in the table",
        "not there",
    }
    assert len(manifest.train) + len(manifest.val) == 7
    assert "1 rows are there twice; each counts once." in manifest.notes


def test_labels_that_are_numbers_stay_what_they_are(photos: Path, tmp_path: Path) -> None:
    table = listed(photos)
    table["label"] = [1 if label == "cats" else 10 for label in table["label"]]
    for name in ("pets.csv", "pets.parquet"):
        assert find_images(write(table, tmp_path / name)).classes == ("1", "10")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,kind\na.png,cat\n", "no column 'path' but 'name', 'kind'"),
        ("path,kind\na.png,cat\n", "no column 'label'"),
        ("", "is no table that can be read"),
        ("path,label\na.png,cat\n", "only the label 'cat'"),
        ("path,label,split\na.png,cat,train\nb.png,dog,later\n", "Line 3 of .* split 'later'"),
        ("path,label,split\na.png,cat,val\nb.png,dog,train\nc.png,eel,train\n", "'cat' in valid"),
        ('path,label\n"a.png,cat\n', "is no table that can be read"),
    ],
)
def test_what_is_wrong_with_a_table_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "pets.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=sentence):
        find_images(file)


def test_a_damaged_parquet_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "pets.parquet"
    file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="is no table that can be read"):
        find_images(file)
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        find_images(tmp_path / "nowhere.csv")


def test_what_is_damaged_is_not_called_a_wrong_path(photos: Path, tmp_path: Path) -> None:
    file = write(listed(photos), tmp_path / "pets.parquet")
    content = file.read_bytes()
    for torn in (content[:-20] + b"\xff" * 12 + content[-8:], content[4:], content[:-1]):
        file.write_bytes(torn)
        with pytest.raises(DataError, match="is no table that can be read") as caught:
            find_images(file)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["category", "object"])
def test_labels_of_any_kind_of_column(photos: Path, tmp_path: Path, kind: str) -> None:
    table = listed(photos)
    table["label"] = table["label"].astype(kind)
    table.loc[3, "label"] = None
    manifest = build_manifest(DataSpec(folder=str(write(table, tmp_path / "pets.parquet"))))
    assert manifest.classes == ("cats", "dogs")
    assert [one.reason for one in manifest.left_out] == ["no label in the table"]


def test_a_column_of_nothing_is_left_out(photos: Path, tmp_path: Path) -> None:
    table = listed(photos)
    table["split"] = [float("nan")] * 11
    with pytest.raises(DataError, match="has no label in rows to train on"):
        find_images(write(table, tmp_path / "pets.parquet"))


def test_the_folder_itself_is_no_picture(photos: Path, tmp_path: Path) -> None:
    file = write(listed(photos), tmp_path / "pets.csv")
    file.write_text(f"{file.read_text()}.,cats\n./,dogs\npets,cats\n")
    manifest = build_manifest(DataSpec(folder=str(file)))
    assert {one.reason for one in manifest.left_out} == {"not a file"}
    assert manifest.fingerprint == fingerprint(photos)


def test_more_rows_than_are_read_are_not_unpacked(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(listed(photos), tmp_path / "pets.parquet")
    monkeypatch.setattr("engine.data.tables.MOST_ROWS", 10)
    with pytest.raises(DataError, match="has 11 rows, more than the 10 that are read"):
        find_images(file)


def test_a_path_of_odd_characters_is_left_out(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "pets.csv"
    text = write(listed(photos), file).read_text()
    file.write_bytes(text.encode() + b"a\x00b.png,cats\n" + b"x" * 5000 + b".png,dogs\n")
    manifest = build_manifest(DataSpec(folder=str(file)))
    assert len(manifest.left_out) == 2
    assert manifest.fingerprint == fingerprint(photos)
