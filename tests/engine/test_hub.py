"""Data sets of the Hugging Face Hub: the real library, on folders and Parquet files."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.data import class_folders, hub
from engine.data.decode import decode_image
from engine.data.fetching import fetch
from engine.data.folders import find_images
from engine.data.hub import HubName
from engine.errors import DataError
from tests.engine.pictures import distinct_pictures

datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")
pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person's own account or cache is read or written."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))


def encoded(shade: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (8, 8), None if mode == "1" else (shade, 90, 20)).save(buffer, kind)
    return buffer.getvalue()


def parquet(
    file: Path,
    pictures: Sequence[bytes | None],
    labels: Sequence[Any],
    names: list[str] | None = None,
    **columns: Sequence[Any],
) -> Path:
    """Writes a Parquet file as the hub has them; `names` makes the labels numbers of classes."""
    kinds = {name: datasets.Value("string") for name in columns}
    kinds["image"] = datasets.Image()
    kinds["label"] = datasets.ClassLabel(names=names) if names else datasets.Value("string")
    content = [None if one is None else {"bytes": one, "path": None} for one in pictures]
    rows = {**columns, "image": content, "label": list(labels)}
    file.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, datasets.Features(kinds)).to_parquet(str(file))
    return file


def refusal(name: str, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        fetch(name, **columns)
    message = str(caught.value)
    assert "\n" not in message
    return message


def numbers(folder: Path) -> dict[str, list[int]]:
    found = find_images(folder)
    val = found.val or ((),) * len(found.classes)
    return {
        name: [len(train), len(judged)]
        for name, train, judged in zip(found.classes, found.train, val, strict=True)
    }


# ---- folders


def test_a_folder_of_classes_comes_as_it_is(tmp_path: Path, thaw_home: Path) -> None:
    folder = distinct_pictures(tmp_path / "pets", {"cats": 3, "dogs": 2})
    fetched = fetch(f"hf:{folder}")
    assert fetched.folder == thaw_home / "datasets" / "pets"
    assert fetched.num_pictures == 5
    assert fetched.notes == ("Thaw holds a share of each class back to judge by.",)
    for file in folder.rglob("*.png"):
        copy = fetched.folder / file.relative_to(folder)
        assert copy.read_bytes() == file.read_bytes()
        # A change of one must not change the other.
        assert copy.stat().st_nlink == 1


@pytest.mark.parametrize(
    ("splits", "judged", "unused"),
    [
        (("train", "validation", "test"), "validation", ["test"]),
        (("train", "val"), "validation", []),
        (("train", "test"), "test", []),
    ],
)
def test_splits_are_used_as_they_are_meant(
    tmp_path: Path, splits: tuple[str, ...], judged: str, unused: list[str]
) -> None:
    for number, split in enumerate(splits):
        distinct_pictures(tmp_path / "pets" / split, {"cats": 3 - number, "dogs": 2})
    fetched = fetch(f"hf:{tmp_path / 'pets'}")
    assert numbers(fetched.folder) == {"cats": [3, 2], "dogs": [2, 2]}
    told = [f"Its split {name} is not used." for name in unused]
    assert fetched.notes == (f"Runs are judged on its split {judged}.", *told)


def test_what_lies_here_is_taken_anew_each_time(tmp_path: Path) -> None:
    folder = distinct_pictures(tmp_path / "pets", {"cats": 3, "dogs": 2})
    assert fetch(f"hf:{folder}").folder.name == "pets"
    (folder / "cats" / "000.png").unlink()
    again = fetch(f"hf:{folder}")
    assert (again.folder.name, again.num_pictures, again.is_new) == ("pets 2", 4, True)


def test_nothing_but_the_data_set_is_left(tmp_path: Path, thaw_home: Path) -> None:
    fetch(f"hf:{distinct_pictures(tmp_path / 'pets', {'cats': 1, 'dogs': 1})}")
    assert [one.name for one in (thaw_home / "downloads").iterdir()] == ["pets.lock"]


# ---- Parquet


def test_bytes_are_written_as_they_are_with_the_suffix_of_their_format(tmp_path: Path) -> None:
    kinds = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]
    pictures = [encoded(shade, kind) for shade, kind in enumerate(kinds)]
    file = parquet(tmp_path / "mixed.parquet", pictures, [0, 1] * 3, names=["a/b", "a_b"])
    fetched = fetch(f"hf:{file}")
    assert fetched.folder.name == "mixed"
    found = {one.suffix: one for one in fetched.folder.rglob("*") if one.is_file()}
    suffixes = [".png", ".jpg", ".webp", ".bmp", ".gif", ".tif"]
    for suffix, picture, number in zip(suffixes, pictures, range(6), strict=True):
        assert found[suffix].read_bytes() == picture
        assert found[suffix].stem == f"{number:06d}"
    assert sorted(numbers(fetched.folder)) == ["a_b", "a_b 2"]


def test_a_format_that_thaw_does_not_read_becomes_png(tmp_path: Path) -> None:
    pictures = [encoded(5, "PPM"), encoded(6, "JPEG2000")]
    fetched = fetch(f"hf:{parquet(tmp_path / 'x.parquet', pictures, ['a', 'b'], ['a', 'b'])}")
    for name, shade in (("a", 5), ("b", 6)):
        [file] = (fetched.folder / name).iterdir()
        assert file.suffix == ".png"
        assert decode_image(file).getpixel((0, 0)) == (shade, 90, 20)


def test_a_folder_of_parquet_files_has_splits(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("validation", 1)):
        pictures = [encoded(number) for number in range(2 * count)]
        parquet(tmp_path / "set" / f"{split}.parquet", pictures, [0, 1] * count, ["ant", "bee"])
    fetched = fetch(f"hf:{tmp_path / 'set'}")
    assert numbers(fetched.folder) == {"ant": [3, 1], "bee": [3, 1]}


def test_entries_without_a_picture_or_a_class_are_left_out(tmp_path: Path) -> None:
    pictures = [encoded(0), encoded(1), None, b"no picture", encoded(4)]
    file = parquet(tmp_path / "x.parquet", pictures, [0, 1, 0, 1, -1], ["ant", "bee"])
    fetched = fetch(f"hf:{file}")
    assert fetched.num_pictures == 2
    assert fetched.notes[-1].startswith("3 entries were left out")


def test_a_split_that_keeps_its_classes_secret_is_no_split(tmp_path: Path) -> None:
    pictures = [encoded(number) for number in range(4)]
    parquet(tmp_path / "set" / "train.parquet", pictures, [0, 1, 0, 1], ["ant", "bee"])
    parquet(tmp_path / "set" / "test.parquet", pictures, [-1] * 4, ["ant", "bee"])
    fetched = fetch(f"hf:{tmp_path / 'set'}")
    assert "Its split test tells no classes." in fetched.notes
    assert numbers(fetched.folder) == {"ant": [2, 0], "bee": [2, 0]}
    assert find_images(fetched.folder).val is None


def test_a_class_that_is_not_trained_on_is_left_out_of_the_rest(tmp_path: Path) -> None:
    pictures = [encoded(number) for number in range(4)]
    parquet(tmp_path / "set" / "train.parquet", pictures, ["ant", "bee"] * 2)
    parquet(tmp_path / "set" / "test.parquet", pictures, ["ant", "bee", "wasp", "ant"])
    fetched = fetch(f"hf:{tmp_path / 'set'}")
    assert numbers(fetched.folder) == {"ant": [2, 2], "bee": [2, 1]}
    assert fetched.notes[-1].startswith("1 entries were left out")


# ---- columns


def test_the_only_column_of_strings_is_the_class(tmp_path: Path) -> None:
    pictures = [encoded(number) for number in range(4)]
    fetched = fetch(f"hf:{parquet(tmp_path / 'x.parquet', pictures, ['ant', 'bee'] * 2)}")
    assert numbers(fetched.folder) == {"ant": [2, 0], "bee": [2, 0]}


def test_where_there_is_a_choice_it_is_asked_for(tmp_path: Path) -> None:
    pictures = [encoded(number) for number in range(4)]
    file = parquet(tmp_path / "x.parquet", pictures, ["ant", "bee"] * 2, place=["a", "b", "a", "c"])
    said = refusal(f"hf:{file}")
    assert "has several columns that may hold its classes (place, label)" in said
    assert "choose one with --label-column" in said
    fetched = fetch(f"hf:{file}", label_column="place")
    assert numbers(fetched.folder) == {"a": [2, 0], "b": [1, 0], "c": [1, 0]}
    assert "has no column 'plaice'; it has" in refusal(f"hf:{file}", label_column="plaice")
    assert "has no column 'x'" in refusal(f"hf:{file}", label_column="place", image_column="x")


def test_captions_are_not_taken_for_classes(tmp_path: Path, thaw_home: Path) -> None:
    pictures = [encoded(number) for number in range(4)]
    file = parquet(tmp_path / "x.parquet", pictures, ["one", "two", "three", "four"])
    assert "has 4 values for 4 pictures, so it seems to hold no classes" in refusal(f"hf:{file}")
    assert list((thaw_home / "datasets").iterdir()) == []
    assert fetch(f"hf:{file}", label_column="label").num_pictures == 4


def test_numbers_are_classes_only_when_that_is_said(tmp_path: Path) -> None:
    rows = {
        "picture": [{"bytes": encoded(number), "path": None} for number in range(4)],
        "age": [3, 4, 3, 4],
        "weight": [0.5, 0.6, 0.7, 0.8],
    }
    file = tmp_path / "x.parquet"
    # Without the types of the library, as other programs write them.
    datasets.Dataset.from_dict(rows).to_pandas().to_parquet(file)
    assert "has no column of classes; it has picture, age, weight" in refusal(f"hf:{file}")
    assert "not classes" in refusal(f"hf:{file}", label_column="weight")
    assert numbers(fetch(f"hf:{file}", label_column="age").folder) == {"3": [2, 0], "4": [2, 0]}


def test_without_pictures_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    datasets.Dataset.from_dict({"text": ["a", "b"]}).to_parquet(str(file))
    assert "has no column of pictures; it has text" in refusal(f"hf:{file}")


# ---- names, and what goes wrong


@pytest.mark.parametrize(
    ("text", "name", "config", "folder"),
    [
        ("hf:owner/name", "owner/name", "", "owner_name"),
        ("hf:owner/name:small", "owner/name", "small", "owner_name_small"),
        ("hf:beans", "beans", "", "beans"),
    ],
)
def test_names_of_the_hub_are_taken_apart(text: str, name: str, config: str, folder: str) -> None:
    wanted = HubName.parse(text)
    assert (wanted.name, wanted.config, wanted.is_local) == (name, config, False)
    assert wanted.folder == folder


def test_the_origin_tells_names_configurations_and_columns_apart() -> None:
    told = [
        HubName.parse("hf:owner/name"),
        HubName.parse("hf:owner/name:small"),
        HubName.parse("hf:owner/small"),
        HubName.parse("hf:owner/name", label_column="a"),
        HubName.parse("hf:owner/name", image_column="a"),
    ]
    assert len({one.origin for one in told}) == len(told)


def test_without_the_library_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refusal("hf:owner/name").endswith("pip install 'thaw-lab[hub]'")


def test_without_a_network_that_is_said_at_once(thaw_home: Path) -> None:
    said = refusal("hf:owner/name")
    assert said.startswith("owner/name cannot be taken in (Name or service not known)")
    assert list((thaw_home / "datasets").iterdir()) == []


def test_several_configurations_have_to_be_chosen_from(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    pictures = [encoded(number) for number in range(4)]
    for config in ("large", "small"):
        parquet(folder / config / "train.parquet", pictures, [0, 1] * 2, ["ant", "bee"])
    configs = "".join(
        f"- config_name: {config}\n  data_files: {config}/*.parquet\n"
        for config in ("large", "small")
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    said = refusal(f"hf:{folder}")
    assert "Config name is missing" in said
    assert "'large', 'small'" in said


def test_what_is_no_data_set_is_a_sentence(tmp_path: Path, thaw_home: Path) -> None:
    assert refusal("hf:").startswith("Name a data set after hf:")
    assert refusal(f"hf:{tmp_path / 'nowhere'}").startswith("There is no ")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    assert "x.parquet cannot be taken in (" in refusal(f"hf:{tmp_path / 'x.parquet'}")
    (tmp_path / "empty").mkdir()
    assert "empty cannot be taken in (" in refusal(f"hf:{tmp_path / 'empty'}")
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "script.py").write_text("raise SystemExit('code of a stranger')")
    assert "script cannot be taken in (" in refusal(f"hf:{tmp_path / 'script'}")
    assert list((thaw_home / "datasets").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    folder = distinct_pictures(tmp_path / "pets", {"cats": 3, "dogs": 2})
    monkeypatch.setattr(class_folders, "_write", full)
    said = refusal(f"hf:{folder}")
    assert said.startswith("pets cannot be written to somewhere (No space left on device)")
    assert list((thaw_home / "datasets").iterdir()) == []


def test_the_library_is_as_loud_as_before(tmp_path: Path) -> None:
    before = datasets.logging.get_verbosity(), datasets.utils.are_progress_bars_disabled()
    with hub._library():
        assert datasets.utils.are_progress_bars_disabled()
    after = datasets.logging.get_verbosity(), datasets.utils.are_progress_bars_disabled()
    assert after == before
