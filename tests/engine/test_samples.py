"""The data sets that need no download."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data.folders import find_images
from engine.data.samples import SAMPLES, sample_folder, write_sample
from engine.errors import DataError


def test_clipart_has_its_classes_and_counts(tmp_path: Path) -> None:
    folder = write_sample("clipart", tmp_path)
    assert folder == tmp_path / "clipart"
    base = find_images(folder / "base")
    assert len(base.classes) == 8
    assert base.val is not None
    assert sum(map(len, base.train)) == 289
    assert sum(map(len, base.val)) == 97
    assert base.left_out == ()
    new = find_images(folder / "new")
    assert len(set(new.classes) - set(base.classes)) == 2
    assert new.val is not None
    assert sum(map(len, (*new.train, *new.val))) == 162
    for number in ("8 classes", "386", "162", "two new classes"):
        assert number in SAMPLES["clipart"]


def test_digits_are_the_handwritten_ones(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    folder = write_sample("digits", tmp_path)
    found = find_images(folder)
    assert found.classes == tuple("0123456789")
    digits = load_digits()
    counts = np.bincount(digits.target).tolist()
    assert [len(files) for files in found.train] == counts
    assert sum(counts) == 1797
    last = Image.open(folder / str(digits.target[-1]) / "1796.png")
    np.testing.assert_array_equal(np.asarray(last), np.rint(digits.images[-1] / 16 * 255))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_there_already_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="already exists"):
        write_sample(name, tmp_path)
    assert [file.name for file in (tmp_path / name).iterdir()] == ["mine.txt"]


def test_a_target_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_sample("digits", tmp_path / "file")


def test_an_unknown_sample_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sample 'imagenet'; choose one of clipart, digits"):
        write_sample("imagenet", tmp_path)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_for_training_is_written_once_into_home(thaw_home: Path, name: str) -> None:
    folder = sample_folder(name)
    assert folder.is_relative_to(thaw_home.resolve() / "datasets")
    assert len(find_images(folder).classes) in (8, 10)
    marker = folder / "marker"
    marker.touch()
    assert sample_folder(name) == folder
    assert marker.exists()
