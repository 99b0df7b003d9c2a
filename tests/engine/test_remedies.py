"""Corrections: applied to what a run sees, kept by name, and never to the person's files."""

import os
import shutil
from pathlib import Path

import pytest

from engine.data.findings import Finding, proposals
from engine.data.intake import take_in
from engine.data.manifest import build_manifest
from engine.data.remedies import (
    EXCLUDED,
    Remedy,
    current_remedies,
    load_remedies,
    record_remedies,
    take_back_remedies,
)
from engine.data.report import DataReport, inspect_folder
from engine.errors import DataError
from engine.spec import DataSpec
from tests.engine.pictures import distinct_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes with a split of their own, every picture another."""
    folder = tmp_path / "photos"
    for place, file in enumerate(
        sorted(distinct_pictures(tmp_path / "all", {"cats": 6, "dogs": 6}).rglob("*.png"))
    ):
        target = folder / ("train" if place % 6 < 4 else "val") / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target)
    return folder


def digest(folder: Path, name: str) -> str:
    return take_in(DataSpec(folder=str(folder))).verdicts[folder / name].digest


def corrected(folder: Path) -> DataReport:
    return inspect_folder(folder, remedies=current_remedies(folder))


def remedy(folder: Path, name: str, action: str, detail: str = "") -> Remedy:
    return Remedy(name, digest(folder, name), action, detail)  # type: ignore[arg-type]


def finding(report: DataReport, kind: str) -> Finding:
    [one] = [one for one in report.findings if one.kind == kind]
    return one


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
    }


def test_each_action_does_what_it_says(photos: Path) -> None:
    before = state(photos)
    name = record_remedies(
        photos,
        [
            remedy(photos, "train/cats/000.png", "exclude"),
            remedy(photos, "train/cats/001.png", "relabel", "dogs"),
            remedy(photos, "train/dogs/002.png", "val"),
            remedy(photos, "val/cats/004.png", "train"),
        ],
    )
    manifest = build_manifest(DataSpec(folder=str(photos), remedies=name))
    assert manifest.classes == ("cats", "dogs")
    sides = {
        f"{split}/{manifest.classes[item.label]}/{Path(item.path).name}"
        for split in ("train", "val")
        for item in getattr(manifest, split)
    }
    assert sides == {
        *(f"train/cats/{number}.png" for number in ("002", "003", "004")),
        *(f"train/dogs/{number}.png" for number in ("000", "001", "003")),
        "train/dogs/001.png",
        "val/cats/005.png",
        *(f"val/dogs/{number}.png" for number in ("002", "004", "005")),
    }
    # cats/001 is a dog now, so that there are two pictures 001 of a dog.
    assert len(manifest.train) == 7
    assert [(Path(one.path).name, one.reason) for one in manifest.left_out] == [
        ("000.png", EXCLUDED)
    ]
    assert "4 corrections of yours are applied" in manifest.notes[0]
    assert state(photos) == before


def test_a_list_means_the_same_for_ever(photos: Path) -> None:
    first = record_remedies(photos, [remedy(photos, "train/cats/000.png", "exclude")])
    spec = DataSpec(folder=str(photos), remedies=first)
    before = build_manifest(spec)
    second = record_remedies(photos, [remedy(photos, "train/dogs/000.png", "exclude")])
    assert second != first
    assert len(load_remedies(second)) == 2
    assert build_manifest(spec) == before
    assert current_remedies(photos) == second
    assert take_back_remedies(photos) == first
    assert take_back_remedies(photos) == ""
    assert current_remedies(photos) == ""


def test_taking_all_back_can_be_taken_back(photos: Path) -> None:
    name = record_remedies(photos, [remedy(photos, "train/cats/000.png", "exclude")])
    assert take_back_remedies(photos, everything=True) == ""
    assert current_remedies(photos) == ""
    assert take_back_remedies(photos) == name


def test_the_last_word_on_a_picture_counts(photos: Path) -> None:
    record_remedies(photos, [remedy(photos, "train/cats/000.png", "exclude")])
    name = record_remedies(photos, [remedy(photos, "train/cats/000.png", "relabel", "dogs")])
    [one] = load_remedies(name)
    assert one.action == "relabel"


def test_a_file_that_was_replaced_is_another_picture(photos: Path) -> None:
    name = record_remedies(photos, [remedy(photos, "train/cats/000.png", "exclude")])
    source = distinct_pictures(photos.parent / "new", {"x": 20})
    shutil.copy(source / "x" / "019.png", photos / "train" / "cats" / "000.png")
    manifest = build_manifest(DataSpec(folder=str(photos), remedies=name))
    assert len(manifest.train) == 8
    assert any("1 of them no longer fit" in note for note in manifest.notes)
    unfit = finding(inspect_folder(photos, remedies=name), "unfit")
    assert unfit.sentence.startswith("1 of your corrections no longer fit")


def test_corrections_hold_in_a_copy_of_the_folder(photos: Path, tmp_path: Path) -> None:
    name = record_remedies(photos, [remedy(photos, "train/cats/000.png", "exclude")])
    copy = tmp_path / "copy"
    shutil.copytree(photos, copy)
    first, second = (
        build_manifest(DataSpec(folder=str(one), remedies=name)) for one in (photos, copy)
    )
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != build_manifest(DataSpec(folder=str(photos))).fingerprint
    # But which are current is a matter of the folder.
    assert current_remedies(copy) == ""


def test_a_class_that_loses_all_its_pictures_is_gone(tmp_path: Path) -> None:
    folder = distinct_pictures(tmp_path / "pets", {"Cat": 3, "cat": 4, "dog": 4})
    report = inspect_folder(folder)
    spelling = finding(report, "spelling")
    chosen = proposals(spelling, spelling.groups[0], folder)
    assert [one.text for one in chosen] == ["All are 'cat'", "All are 'Cat'"]
    record_remedies(folder, chosen[0].remedies)
    assert corrected(folder).classes == (("cat", 7, 0), ("dog", 4, 0))


def test_what_would_leave_one_class_is_refused(tmp_path: Path) -> None:
    folder = distinct_pictures(tmp_path / "pets", {"cat": 2, "dog": 2})
    record_remedies(
        folder, [remedy(folder, f"cat/00{number}.png", "relabel", "dog") for number in (0, 1)]
    )
    with pytest.raises(DataError, match="fewer than two classes"):
        corrected(folder)


def copy_of(photos: Path, source: str, target: str) -> None:
    shutil.copy(photos / source, photos / target)


def test_a_leak_goes_with_one_click(photos: Path) -> None:
    copy_of(photos, "train/cats/000.png", "val/cats/copy.png")
    leak = finding(inspect_folder(photos), "leak-same")
    in_training, in_validation = proposals(leak, leak.groups[0], photos)
    for chosen, kept in ((in_training, (4, 2)), (in_validation, (3, 3))):
        record_remedies(photos, chosen.remedies)
        report = corrected(photos)
        assert "leak-same" not in {one.kind for one in report.findings}
        assert report.classes[0] == ("cats", *kept)
        take_back_remedies(photos)


def test_two_labels_become_one_with_one_click(photos: Path) -> None:
    copy_of(photos, "train/cats/000.png", "train/dogs/copy.png")
    labels = finding(inspect_folder(photos), "labels-same")
    are_cats, are_dogs, out = proposals(labels, labels.groups[0], photos)
    assert (are_cats.text, are_dogs.text) == ("All are 'cats'", "All are 'dogs'")
    assert not are_cats.for_all
    assert out.for_all
    for chosen, counts in ((are_cats, (5, 4)), (are_dogs, (3, 6)), (out, (3, 4))):
        record_remedies(photos, chosen.remedies)
        report = corrected(photos)
        assert "labels-same" not in {one.kind for one in report.findings}
        assert tuple(train for _, train, _ in report.classes) == counts
        take_back_remedies(photos)


def test_a_double_is_dropped_or_said_to_be_right(photos: Path) -> None:
    copy_of(photos, "train/cats/000.png", "train/cats/copy.png")
    twice = finding(inspect_folder(photos), "twice-same")
    drop, keep = proposals(twice, twice.groups[0], photos)
    record_remedies(photos, drop.remedies)
    assert corrected(photos).classes[0] == ("cats", 4, 2)
    take_back_remedies(photos)
    record_remedies(photos, keep.remedies)
    report = corrected(photos)
    assert report.classes[0] == ("cats", 5, 2)
    assert "twice-same" not in {one.kind for one in report.findings}


def test_a_list_that_is_not_here_is_a_sentence(photos: Path) -> None:
    with pytest.raises(DataError, match="corrections 0123456789abcdef of the images are not in"):
        build_manifest(DataSpec(folder=str(photos), remedies="0123456789abcdef"))


def test_a_class_that_was_renamed_is_a_sentence(photos: Path) -> None:
    name = record_remedies(photos, [remedy(photos, "train/cats/000.png", "relabel", "dogs")])
    for split in ("train", "val"):
        (photos / split / "dogs").rename(photos / split / "wolves")
    with pytest.raises(DataError, match="a class that is not there any more"):
        build_manifest(DataSpec(folder=str(photos), remedies=name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_a_sentence(photos: Path) -> None:
    wanted = remedy(photos, "train/cats/000.png", "exclude")
    from engine.home import thaw_home

    folder = thaw_home() / "remedies"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o500)
    try:
        with pytest.raises(DataError, match="Corrections cannot be written"):
            record_remedies(photos, [wanted])
    finally:
        folder.chmod(0o700)
