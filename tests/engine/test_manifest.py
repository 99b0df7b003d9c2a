"""The manifest: which image is in which split, and a fingerprint of exactly that."""

import json
import shutil
from pathlib import Path

import pytest

from engine.data.manifest import Manifest, build_manifest
from engine.errors import DataError
from engine.spec import DataSpec
from tests.conftest import TINY_CLASSES
from tests.engine.pictures import distinct_pictures


def manifest_of(folder: Path, split_seed: int = 0, val_fraction: float = 0.25) -> Manifest:
    return build_manifest(
        DataSpec(folder=str(folder), split_seed=split_seed, val_fraction=val_fraction)
    )


def names(manifest: Manifest) -> tuple[list[str], list[str]]:
    return (
        [Path(item.path).name for item in manifest.train],
        [Path(item.path).name for item in manifest.val],
    )


def test_every_image_is_in_one_split_under_its_class(tiny_folder: Path) -> None:
    manifest = manifest_of(tiny_folder)
    assert manifest.classes == TINY_CLASSES
    assert len(manifest.train) == 18
    assert len(manifest.val) == 6
    both = {item.path for item in manifest.train} & {item.path for item in manifest.val}
    assert not both
    for item in (*manifest.train, *manifest.val):
        assert Path(item.path).parent.name == manifest.classes[item.label]
    for label in range(3):
        assert sum(item.label == label for item in manifest.val) == 2


def test_a_given_split_is_kept_and_the_seed_has_no_say(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 5, "dogs": 1})
    distinct_pictures(tmp_path / "val", {"cats": 2, "dogs": 3})
    manifest = manifest_of(tmp_path)
    assert len(manifest.train) == 6
    assert len(manifest.val) == 5
    assert manifest_of(tmp_path, split_seed=5) == manifest


def test_same_seed_same_manifest(tiny_folder: Path) -> None:
    assert manifest_of(tiny_folder, 3) == manifest_of(tiny_folder, 3)


def test_another_seed_another_split_and_fingerprint(tiny_folder: Path) -> None:
    one, other = manifest_of(tiny_folder, 0), manifest_of(tiny_folder, 1)
    assert names(one) != names(other)
    assert one.fingerprint != other.fingerprint


def test_another_share_has_another_fingerprint(tiny_folder: Path) -> None:
    one, other = manifest_of(tiny_folder), manifest_of(tiny_folder, val_fraction=0.5)
    assert one.fingerprint != other.fingerprint


def test_a_copy_elsewhere_has_the_same_split_and_fingerprint(
    tiny_folder: Path, own_folder: Path
) -> None:
    original, copy = manifest_of(tiny_folder), manifest_of(own_folder)
    assert copy.fingerprint == original.fingerprint
    assert names(copy) == names(original)


def test_a_changed_picture_changes_the_fingerprint(own_folder: Path) -> None:
    before = manifest_of(own_folder)
    donor, receiver = sorted((own_folder / "birds").iterdir())[:2]
    shutil.copy(donor, receiver)
    assert manifest_of(own_folder).fingerprint != before.fingerprint


def test_a_picture_in_another_class_changes_the_fingerprint(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 3, "dogs": 3})
    distinct_pictures(tmp_path / "val", {"cats": 1, "dogs": 1})
    before = manifest_of(tmp_path)
    cat, dog = tmp_path / "train/cats/000.png", tmp_path / "train/dogs/000.png"
    cat_bytes, dog_bytes = cat.read_bytes(), dog.read_bytes()
    cat.write_bytes(dog_bytes)
    dog.write_bytes(cat_bytes)
    assert manifest_of(tmp_path).fingerprint != before.fingerprint


def test_a_picture_on_the_other_side_of_the_split_changes_the_fingerprint(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 1, "dogs": 2})
    distinct_pictures(tmp_path / "val", {"dogs": 1})
    same = (tmp_path / "train/dogs/000.png").read_bytes()
    for file in (tmp_path / "train/dogs/001.png", tmp_path / "val/dogs/000.png"):
        file.write_bytes(same)
    before = manifest_of(tmp_path)
    (tmp_path / "train/dogs/001.png").rename(tmp_path / "val/dogs/001.png")
    assert manifest_of(tmp_path).fingerprint != before.fingerprint


def test_a_renamed_class_changes_the_fingerprint(own_folder: Path) -> None:
    before = manifest_of(own_folder)
    (own_folder / "birds").rename(own_folder / "beaks")
    assert manifest_of(own_folder).fingerprint != before.fingerprint


def test_bad_files_are_left_out_with_their_reason(own_folder: Path) -> None:
    first, second, *_ = sorted((own_folder / "birds").iterdir())
    first.write_bytes(first.read_bytes()[:1500])
    second.write_bytes(b"no picture at all")
    (own_folder / "fruit" / "notes.txt").touch()
    manifest = manifest_of(own_folder)
    reasons = {Path(file.path).name: file.reason for file in manifest.left_out}
    assert reasons == {
        first.name: "truncated",
        second.name: "not a picture in a known format",
        "notes.txt": "not a picture, by its name",
    }
    used = {item.path for item in (*manifest.train, *manifest.val)}
    assert len(used) == 22
    assert not used & {str(first), str(second)}


def test_a_class_of_unreadable_pictures_says_so(own_folder: Path) -> None:
    for file in sorted((own_folder / "birds").iterdir())[1:]:
        file.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"'birds' .* has 1 usable picture \(7 cannot be read\)"):
        manifest_of(own_folder)


def test_validation_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    distinct_pictures(tmp_path / "train", {"cats": 3, "dogs": 3})
    distinct_pictures(tmp_path / "val", {"cats": 1})
    (tmp_path / "val/cats/000.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="No validation picture"):
        manifest_of(tmp_path)


def test_a_stored_manifest_reads_back_the_same(own_folder: Path, tmp_path: Path) -> None:
    (own_folder / "fruit" / "notes.txt").touch()
    manifest = manifest_of(own_folder)
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(manifest.to_dict()), encoding="utf-8")
    assert Manifest.from_file(file) == manifest
