"""Thirty faults planted in a clean folder are found, and nothing else is."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from engine.data.report import DataReport, inspect_folder
from tests.conftest import CLIPART
from tests.engine.hostile.mutations import with_size
from tests.engine.hostile.seeds import seeds

KINDS = ("beverages", "birds", "bugs", "desserts", "fruit", "mammals", "vehicles")
SEVERITIES = {
    "unreadable": "fault",
    "leak-same": "fault",
    "labels-same": "fault",
    "leak-alike": "doubt",
    "labels-alike": "doubt",
    "spelling": "doubt",
    "few": "doubt",
    "twice-same": "note",
    "twice-alike": "note",
    "small": "note",
    "long": "note",
    "other-files": "note",
    "imbalance": "note",
}
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": lambda picture: picture,
    "halved": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.08),
}


def usual_pictures(folder: Path) -> Iterator[Path]:
    """Yields those of a folder in which, looked at alone, there is nothing odd."""
    for file in sorted(folder.iterdir()):
        with Image.open(file) as picture:
            short, long = sorted(picture.size)
        # Halved, they are still no small ones.
        if short >= 128 and long <= 3 * short:
            yield file


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven classes with a split, and nothing wrong with them; not to be changed."""
    folder = tmp_path_factory.mktemp("clean") / "clean"
    for split in ("train", "val"):
        for name in KINDS:
            (folder / split / name).mkdir(parents=True)
            for file in usual_pictures(CLIPART / split / name):
                shutil.copy(file, folder / split / name)
    return folder


@dataclass
class Garden:
    """A copy of a clean folder into which faults are planted, each in pictures of its own.

    Attributes:
        root: of the folder.
        train: where its classes lie.
        val: likewise; the same as `train` where there is no split.
        planted: for each kind of finding the groups of files that it is to name.
        num_faults: that were planted.
    """

    root: Path
    train: Path
    val: Path
    planted: dict[str, set[frozenset[Path]]] = field(default_factory=lambda: defaultdict(set))
    num_faults: int = 0
    _used: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def plant(self, kind: str, *files: Path) -> None:
        """Notes a fault."""
        self.num_faults += 1
        self.planted[kind].add(frozenset(files))

    def original(self, name: str) -> Path:
        """Returns a picture to train on that no other fault is about."""
        self._used[name] += 1
        return sorted(usual_pictures(CLIPART / "train" / name))[-self._used[name]]

    def copy(self, kind: str, name: str, other: str, target: Path, number: int) -> None:
        """Plants a copy of a picture in another place; a changed one where that is the kind."""
        file = self.train / name / self.original(name).name
        how = list(CHANGES)[number] if kind.endswith("alike") else "copied"
        placed = target / other / f"{kind} {how}.jpg"
        if how == "copied":
            placed = placed.with_stem(f"{kind} {number}")
            shutil.copy(file, placed)
        else:
            with Image.open(file) as picture:
                CHANGES[how](picture.convert("RGB")).save(placed, quality=60)
        self.plant(kind, file, placed)


def plant_unreadable(garden: Garden) -> None:
    whole = garden.original("birds").read_bytes()
    for name, content in {
        "truncated.jpg": whole[: len(whole) // 2],
        "text.jpg": b"<html>not found</html>",
        "empty.jpg": b"",
        "bomb.png": with_size(seeds()["plain.png"], 50_000, 50_000),
    }.items():
        file = garden.train / "birds" / name
        file.write_bytes(content)
        garden.plant("unreadable", file)


def plant_copies(garden: Garden) -> None:
    leak = "leak" if garden.val != garden.train else "twice"
    for number in range(3):
        for how in ("same", "alike"):
            garden.copy(f"{leak}-{how}", "fruit", "fruit", garden.val, number)
            garden.copy(f"labels-{how}", "mammals", "vehicles", garden.train, number)
            if (how, number) != ("alike", 2):
                garden.copy(f"twice-{how}", "desserts", "desserts", garden.train, number)


def plant_classes(garden: Garden) -> None:
    """Spells a class in two ways, and adds one of few pictures; that is three faults."""
    files = []
    for root in {garden.train, garden.val}:
        (root / "Bugs").mkdir()
        for file in sorted((root / "bugs").iterdir())[::2]:
            file.rename(root / "Bugs" / file.name)
        files += [*(root / "bugs").iterdir(), *(root / "Bugs").iterdir()]
    garden.plant("spelling", *files)
    for root, split, count in ((garden.train, "train", 4), (garden.val, "val", 1)):
        (root / "flowers").mkdir(exist_ok=True)
        for file in list(usual_pictures(CLIPART / split / "flowers"))[:count]:
            shutil.copy(file, root / "flowers")
    garden.num_faults += 2


def plant_odd(garden: Garden) -> None:
    for number, size in enumerate([(60, 60), (50, 90)]):
        file = garden.train / "beverages" / f"tiny {number}.png"
        with Image.open(garden.original("beverages")) as picture:
            _square(picture.convert("RGB"), number).resize(size).save(file)
        garden.plant("small", file)
    for number, size in enumerate([(330, 90), (80, 400)]):
        file = garden.train / "beverages" / f"long {number}.png"
        with Image.open(garden.original("beverages")) as picture:
            _square(picture.convert("RGB"), number).resize(size).save(file)
        garden.plant("long", file)
    for file in (garden.train / "notes.txt", garden.train / "birds" / "notes.txt"):
        file.write_text("a note")
        garden.plant("other-files", file)


def _square(picture: Image.Image, number: int) -> Image.Image:
    """Returns a part of a picture that does not look like all of it."""
    side = min(picture.size) // 2
    return picture.crop((number * side // 2, 0, number * side // 2 + side, side))


def sown(root: Path, train: Path, val: Path) -> Garden:
    garden = Garden(root, train, val)
    for plant in (plant_copies, plant_unreadable, plant_classes, plant_odd):
        plant(garden)
    return garden


def groups_of(report: DataReport) -> dict[str, set[frozenset[Path]]]:
    found: dict[str, set[frozenset[Path]]] = defaultdict(set)
    for finding in report.findings:
        assert finding.severity == SEVERITIES[finding.kind]
        for group in finding.groups:
            found[finding.kind].add(frozenset(Path(one.path) for one in group))
    return found


def check(garden: Garden, report: DataReport) -> None:
    """Asserts that each fault is found as what it is, and that nothing else is found."""
    found = groups_of(report)
    assert dict(found) == dict(garden.planted)
    sentences = {finding.kind: finding.sentence for finding in report.findings}
    assert set(sentences) == {*garden.planted, "few", "imbalance"}
    num_few = sum(train for name, train, _ in report.classes if name == "flowers")
    assert f"'flowers' ({num_few})" in sentences["few"]
    assert "Fewer than 10 pictures to train on in 'flowers' (" in sentences["few"]
    assert sentences["imbalance"].endswith("or balance the classes.")
    assert "times as many pictures as 'flowers'" in sentences["imbalance"]
    reasons = [one.sentence for one in report.findings if one.kind == "unreadable"]
    for reason in ("truncated", "not a picture in a known format", "larger than 120 megapixels"):
        assert any(reason in one for one in reasons)
    files = {file for groups in found.values() for group in groups for file in group}
    print(f"{garden.num_faults} faults planted, {garden.num_faults} found, in {len(files)} files")


def test_thirty_faults_are_found_and_nothing_else(clean: Path, tmp_path: Path) -> None:
    report = inspect_folder(clean)
    assert report.findings == ()
    assert report.num_pictures == 250
    folder = shutil.copytree(clean, tmp_path / "planted")
    garden = sown(folder, folder / "train", folder / "val")
    assert garden.num_faults == 30
    check(garden, inspect_folder(folder))


def test_without_a_split_they_are_found_as_well(clean: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clean / "train", tmp_path / "planted")
    for name in KINDS:
        shutil.copytree(clean / "val" / name, folder / name, dirs_exist_ok=True)
    assert inspect_folder(folder).findings == ()
    garden = sown(folder, folder, folder)
    assert garden.num_faults == 30
    check(garden, inspect_folder(folder))
