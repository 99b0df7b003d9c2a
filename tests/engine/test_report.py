"""What is wrong with a data set is found, and nothing where all is well."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from engine.data.findings import Finding
from engine.data.likeness import MOST_PAIRS, find_alike, perceptual_hash
from engine.data.report import DataReport, inspect_folder
from engine.errors import DataError
from tests.conftest import CLIPART

KINDS = ("birds", "fruit", "vehicles")


def _is_usual(file: Path) -> bool:
    with Image.open(file) as picture:
        short, long = sorted(picture.size)
    return short >= 64 and long <= 3 * short


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes with a split, without a fault: 12 pictures to train on, 4 to validate on."""
    folder = tmp_path / "photos"
    for split, count in (("train", 12), ("val", 4)):
        for name in KINDS:
            source = CLIPART / split / name
            (folder / split / name).mkdir(parents=True)
            usual = [file for file in sorted(source.iterdir()) if _is_usual(file)]
            for file in usual[:count]:
                shutil.copy(file, folder / split / name)
    return folder


def found(report: DataReport) -> dict[str, Finding]:
    by_kind = {finding.kind: finding for finding in report.findings}
    assert len(by_kind) == len(report.findings)
    return by_kind


def first(folder: Path, split: str, name: str, place: int = 0) -> Path:
    return sorted((folder / split / name).iterdir())[place]


def names(finding: Finding) -> set[frozenset[str]]:
    return {frozenset(Path(one.path).name for one in group) for group in finding.groups}


def test_nothing_is_found_where_all_is_well(photos: Path) -> None:
    report = inspect_folder(photos)
    assert report.findings == ()
    assert report.classes == tuple((name, 12, 4) for name in KINDS)
    assert report.num_pictures == 48
    assert report.has_split
    assert sum(report.formats.values()) == 48
    assert 0 < report.least_side <= report.median_side <= report.largest_side
    assert report.num_fresh == 48
    again = inspect_folder(photos)
    assert again.num_fresh == 0
    assert again.fingerprint == report.fingerprint


def test_a_copy_elsewhere_has_the_same_fingerprint(photos: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(photos, copy)
    renamed = first(copy, "train", "birds")
    renamed.rename(renamed.with_name("zz other name.png"))
    assert inspect_folder(copy).fingerprint == inspect_folder(photos).fingerprint
    first(copy, "train", "birds").unlink()
    assert inspect_folder(copy).fingerprint != inspect_folder(photos).fingerprint


@pytest.mark.parametrize(
    ("to_split", "to_class", "kind", "severity"),
    [
        ("val", "birds", "leak-same", "fault"),
        ("train", "fruit", "labels-same", "fault"),
        ("train", "birds", "twice-same", "note"),
    ],
)
def test_a_picture_that_is_there_twice(
    photos: Path, to_split: str, to_class: str, kind: str, severity: str
) -> None:
    original = first(photos, "train", "birds")
    shutil.copy(original, photos / to_split / to_class / f"copy{original.suffix}")
    [finding] = inspect_folder(photos).findings
    assert (finding.kind, finding.severity) == (kind, severity)
    assert names(finding) == {frozenset({original.name, f"copy{original.suffix}"})}
    assert finding.sentence.startswith("Once the same picture is ")


def test_a_copy_in_another_class_and_another_split_is_both(photos: Path) -> None:
    original = first(photos, "train", "birds")
    shutil.copy(original, photos / "val" / "fruit" / f"copy{original.suffix}")
    assert set(found(inspect_folder(photos))) == {"leak-same", "labels-same"}


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda picture: picture.resize((3 * picture.width // 4, 3 * picture.height // 4)),
    "recompressed": lambda picture: picture,
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.08),
    "trimmed": lambda picture: picture.crop((1, 1, picture.width - 1, picture.height - 1)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", KINDS)
def test_a_changed_copy_is_recognised(photos: Path, change: str, name: str) -> None:
    original = first(photos, "train", name, 1)
    picture = Image.open(original).convert("RGB")
    CHANGES[change](picture).save(photos / "val" / name / "copy.jpg", quality=60)
    [finding] = inspect_folder(photos).findings
    assert (finding.kind, finding.severity) == ("leak-alike", "doubt")
    assert names(finding) == {frozenset({original.name, "copy.jpg"})}


def test_copies_of_copies_are_one_group(photos: Path) -> None:
    original = first(photos, "train", "birds")
    for number in range(3):
        shutil.copy(original, original.with_name(f"copy{number}{original.suffix}"))
    [finding] = inspect_folder(photos).findings
    assert [len(group) for group in finding.groups] == [4]


def test_drawings_on_the_same_ground_are_not_alike(tmp_path: Path) -> None:
    files = []
    for place in range(6):
        picture = Image.new("RGB", (96, 96), "white")
        picture.paste("black", (8 + 14 * place, 40, 14 + 14 * place, 56))
        files.append(tmp_path / f"{place}.png")
        picture.save(files[-1])
    hashes = [perceptual_hash(Image.open(file)) for file in files]
    assert find_alike(files, hashes, [str(file) for file in files]) == []
    assert find_alike([files[0]] * 2, [hashes[0]] * 2, ["a", "b"]) == [(0, 1)]


def test_a_film_does_not_take_for_ever(tmp_path: Path) -> None:
    frame = tmp_path / "frame.jpg"
    shutil.copy(first(CLIPART, "train", "birds"), frame)
    count = 600
    hashes = [perceptual_hash(Image.open(frame))] * count
    pairs = find_alike([frame] * count, hashes, [str(number) for number in range(count)])
    assert len(pairs) <= MOST_PAIRS * count
    assert {one for one, _ in pairs} == set(range(count - 1))
    assert find_alike([frame] * count, hashes, ["same"] * count) == []


def test_pages_that_are_nearly_blank_are_not_compared_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    monkeypatch.setattr(
        "engine.data.likeness._Outlines.are_alike", lambda self, one, other: bool(tried.append(one))
    )
    count = 700
    digests = [str(number) for number in range(count)]
    assert find_alike([tmp_path] * count, ["ff00ff00ff00ff00"] * count, digests) == []
    assert len(tried) <= 100 * count


def test_digits_are_too_small_to_be_called_alike() -> None:
    assert perceptual_hash(Image.new("RGB", (47, 200))) == ""
    assert perceptual_hash(Image.new("RGB", (48, 48))) != ""


def test_the_other_faults(photos: Path) -> None:
    (photos / "train" / "birds" / "broken.png").write_bytes(b"\x89PNG no more")
    (photos / "train" / "birds" / "notes.txt").write_text("a note")
    Image.new("RGB", (40, 300), "navy").save(photos / "train" / "fruit" / "strip.png")
    (photos / "train" / "Birds ").mkdir()
    shutil.move(first(photos, "train", "birds", 3), photos / "train" / "Birds ")
    kinds = found(inspect_folder(photos))
    assert set(kinds) == {
        "unreadable",
        "other-files",
        "small",
        "long",
        "spelling",
        "few",
        "imbalance",
    }
    assert names(kinds["unreadable"]) == {frozenset({"broken.png"})}
    assert names(kinds["other-files"]) == {frozenset({"notes.txt"})}
    assert names(kinds["long"]) == names(kinds["small"]) == {frozenset({"strip.png"})}
    assert "'Birds ' and 'birds' differ in spelling only" in kinds["spelling"].sentence
    assert "'Birds ' (1)" in kinds["few"].sentence
    assert "'fruit' has 13 times as many pictures as 'Birds '" in kinds["imbalance"].sentence
    order = [finding.severity for finding in inspect_folder(photos).findings]
    assert order == sorted(order, key=("fault", "doubt", "note").index)


def test_how_the_folder_was_read_is_told(photos: Path) -> None:
    [finding] = inspect_folder(photos.parent).findings
    assert finding.kind == "layout"
    assert finding.sentence == "The classes are those in photos/, the only folder."


def test_without_a_split_a_double_is_kept_on_one_side(photos: Path) -> None:
    original = first(photos, "train", "birds")
    shutil.copy(original, original.with_name(f"copy{original.suffix}"))
    report = inspect_folder(photos / "train")
    assert not report.has_split
    assert report.classes[0] == ("birds", 13, 0)
    assert "A split that is drawn keeps them on one side" in report.findings[0].sentence


def test_the_sample_has_no_false_leak() -> None:
    report = inspect_folder(CLIPART)
    assert not [one for one in report.findings if one.severity == "fault"]
    assert not [one for one in report.findings if one.kind.startswith("labels")]


def test_no_file_of_the_person_is_touched(photos: Path) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in photos.rglob("*")}
    inspect_folder(photos)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in photos.rglob("*")} == before


def test_a_folder_that_is_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class folders"):
        inspect_folder(tmp_path)
