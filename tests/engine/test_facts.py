"""What is known of a data set before any picture is decoded."""

from pathlib import Path

import pytest
from PIL import Image

from engine.data.facts import SAMPLE_SIZE, DataFacts, data_facts, typical_side
from engine.data.manifest import build_manifest
from engine.errors import DataError
from engine.spec import DataSpec


def picture(file: Path, width: int, height: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "teal").save(file)
    return file


def pictures(folder: Path, sizes: list[tuple[int, int]]) -> list[Path]:
    return [picture(folder / f"{i:04d}.png", *size) for i, size in enumerate(sizes)]


def test_the_number_to_train_on_is_that_of_the_split(tiny_folder: Path) -> None:
    spec = DataSpec(folder=str(tiny_folder), val_fraction=0.3)
    assert data_facts(spec).num_train == len(build_manifest(spec).train)


def test_a_folder_with_its_own_split_is_counted_as_it_is(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        pictures(tmp_path / "train" / name, [(40, 40)] * 3)
        pictures(tmp_path / "val" / name, [(90, 90)] * 2)
    assert data_facts(DataSpec(folder=str(tmp_path))) == DataFacts(6, 40)


def test_the_typical_side_is_that_of_a_square_as_large_as_the_median(tmp_path: Path) -> None:
    files = pictures(tmp_path, [(10, 10), (20, 80), (500, 500)])
    assert typical_side(files) == 40


def test_files_that_cannot_be_read_do_not_count(tmp_path: Path) -> None:
    files = pictures(tmp_path, [(30, 30)] * 2)
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(files[0].read_bytes()[:20])
    assert typical_side([damaged, *files, tmp_path / "gone.png"]) == 30


def test_pictures_are_not_decoded(tmp_path: Path) -> None:
    [file] = pictures(tmp_path, [(64, 64)])
    file.write_bytes(file.read_bytes()[:60])  # the header and no pixels
    assert typical_side([file]) == 64


def test_of_many_pictures_a_sample_over_the_whole_list_is_looked_at(tmp_path: Path) -> None:
    small, large = pictures(tmp_path, [(16, 16), (64, 64)])
    opened = [small] * (3 * SAMPLE_SIZE) + [large] * (4 * SAMPLE_SIZE)
    assert typical_side(opened) == 64
    assert typical_side(opened[::-1]) == 64


def test_the_sample_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [file] = pictures(tmp_path, [(16, 16)])
    looked_at: list[Path] = []

    def look(path: Path) -> int:
        looked_at.append(path)
        return 16 * 16

    monkeypatch.setattr("engine.data.facts._num_pixels", look)
    assert typical_side([file] * 5000) == 16
    assert len(looked_at) == SAMPLE_SIZE


def test_without_a_readable_picture_it_says_so(tmp_path: Path) -> None:
    file = tmp_path / "empty.png"
    file.touch()
    with pytest.raises(DataError, match=r"None of the 1 pictures .*empty\.png"):
        typical_side([file])
