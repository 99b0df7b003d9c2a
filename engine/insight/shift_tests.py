"""On which images a run is judged under shift, in which order, and made worse in which ways.

No torch here. The order is by a hash of each image's content, so the first of them are a sample
drawn at random, and the same one for all runs.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from engine.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from engine.data.found import LEAST_CLASSES, listed_classes
from engine.data.intake import Intake, take_in
from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.data.remedies import current_remedies
from engine.errors import DataError
from engine.home import run_folder
from engine.runs.store import Run
from engine.spec import DataSpec


class Version(NamedTuple):
    """One way in which an image is shown: as it is where severity is 0."""

    kind: str
    severity: int


CLEAN = Version("clean", 0)
CORRUPTED = tuple(Version(kind, severity) for kind in CORRUPTIONS for severity in SEVERITIES)


@dataclass(frozen=True)
class ShiftTest:
    """What a run is judged on.

    Attributes:
        folder: of other images; empty where the validation images themselves are made worse.
        items: images, each content once, in the order in which they are judged; labels are those
            of the run.
        classes: of the run, by label.
        versions: in which each image is shown.
        notes: what was left out and why, a sentence each.
    """

    folder: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    versions: tuple[Version, ...]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What stands for each image; see name_of."""
        return tuple(name_of(item) for item in self.items)

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each image's class."""
        return tuple(self.classes[item.label] for item in self.items)


def name_of(item: Item) -> str:
    """Returns what stands for an image: its content, or its path in runs of an early Thaw."""
    return item.digest or item.path


def noise_seed(name: str, version: Version) -> int:
    """Returns what is drawn at random from for a version of an image, whoever judges it."""
    text = f"{name}|{version.kind}|{version.severity}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def shown_as(square: Image.Image, name: str, version: Version) -> Image.Image:
    """Returns a fitted picture in one version; the same for each run whose squares are the same."""
    if version == CLEAN:
        return square
    return corrupt(square, version.kind, version.severity, noise_seed(name, version))


def manifest_of(run: Run) -> Manifest:
    """Returns the images of a run.

    Raises:
        DataError: their list is missing or damaged.
    """
    return Manifest.from_file(run_folder(run.id) / MANIFEST_FILE)


def corruption_test(run: Run) -> ShiftTest:
    """Returns a run's validation images, as they are and in 25 worse versions.

    Raises:
        DataError: their list is missing or damaged.
    """
    manifest = manifest_of(run)
    items, num_copies = _once(manifest.val)
    notes = [_copies_note(num_copies)] if num_copies else []
    return ShiftTest("", items, manifest.classes, (CLEAN, *CORRUPTED), tuple(notes))


@dataclass(frozen=True)
class OtherImages:
    """A labelled folder of images as it was found.

    Attributes:
        folder: where.
        items: all that can be read, with labels of the folder.
        classes: of the folder.
        num_left_out: files that cannot be used, or that corrections leave out.
    """

    folder: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    num_left_out: int


def other_images(folder: str, least_classes: int = LEAST_CLASSES) -> OtherImages:
    """Returns the images of a folder, its train/ and val/ alike, corrected as a person said.

    Args:
        folder: of the images.
        least_classes: that there have to be.

    Raises:
        DataError: the folder cannot be used; see take_in.
    """
    data = DataSpec(folder=folder, remedies=current_remedies(Path(folder)))
    intake = take_in(data, least_classes=least_classes)
    return OtherImages(folder, _items_of(intake), intake.found.classes, len(intake.left_out))


def _items_of(intake: Intake) -> tuple[Item, ...]:
    found = intake.found
    return tuple(
        Item(str(path), label, intake.verdicts[path].digest)
        for groups in (found.train, found.val or ())
        for label, paths in enumerate(groups)
        for path in paths
        if not intake.verdicts[path].reason
    )


def folder_test(run: Run, others: OtherImages) -> ShiftTest:
    """Returns the images of a folder that a run can be judged on, with what is left out.

    Classes are matched by name. Images that the run has learnt from would be no test.

    Raises:
        DataError: no class of the folder is one of the run, or no image is left.
    """
    manifest = manifest_of(run)
    labels = {name: label for label, name in enumerate(manifest.classes)}
    counts = Counter(others.classes[item.label] for item in others.items)
    unknown = {name: counts[name] for name in others.classes if name not in labels}
    if len(unknown) == len(others.classes):
        raise DataError(
            f"None of {listed_classes(others.classes)} of {others.folder} is a class of the run "
            f"{run.name} ({listed_classes(manifest.classes)}); name the folders of the classes as "
            "they were named for training."
        )
    matched = [
        Item(item.path, labels[others.classes[item.label]], item.digest)
        for item in others.items
        if others.classes[item.label] in labels
    ]
    learnt = {item.digest for item in manifest.train}
    unseen, num_copies = _once(item for item in matched if item.digest not in learnt)
    num_learnt = sum(item.digest in learnt for item in matched)
    if not unseen:
        raise DataError(
            f"All {num_learnt:,} images of {others.folder} whose classes {run.name} knows are "
            "among those that it learnt from, so they are no test; choose other images."
        )
    validated = {item.digest for item in manifest.val}
    told = _Told(
        unknown=unknown,
        absent=[name for name in manifest.classes if not counts[name]],
        num_learnt=num_learnt,
        num_validated=sum(item.digest in validated for item in unseen),
        num_copies=num_copies,
        num_left_out=others.num_left_out,
    )
    return ShiftTest(others.folder, unseen, manifest.classes, (CLEAN,), tuple(told.sentences()))


def maker_of_tests(folder: str = "") -> Callable[[Run], ShiftTest]:
    """Returns what gives the test of a run; see corruption_test and folder_test.

    Raises:
        DataError: the folder cannot be used.
    """
    if not folder:
        return corruption_test
    others = other_images(folder)
    return lambda run: folder_test(run, others)


@dataclass(frozen=True)
class _Told:
    """What a person is to know of a folder that a run is judged on; see folder_test."""

    unknown: Mapping[str, int] = field(default_factory=dict)
    absent: Sequence[str] = ()
    num_learnt: int = 0
    num_validated: int = 0
    num_copies: int = 0
    num_left_out: int = 0

    def sentences(self) -> Iterable[str]:
        """Yields a sentence for each thing."""
        if self.unknown:
            number = sum(self.unknown.values())
            yield (
                f"{_images(number)} of {listed_classes(list(self.unknown))} {_are(number)} left "
                "out: the run does not know such a class."
            )
        if self.absent:
            yield f"There are no images of {listed_classes(self.absent)} in the folder."
        if self.num_learnt:
            yield (
                f"{_images(self.num_learnt)} {_are(self.num_learnt)} left out: the run learnt from "
                "the same files, so they would be no test."
            )
        if self.num_validated:
            yield (
                f"{_images(self.num_validated)} {_are(self.num_validated)} among the run's "
                "validation images, too: its best epoch was chosen by them, and they are not "
                "shifted."
            )
        if self.num_copies:
            yield _copies_note(self.num_copies)
        if self.num_left_out:
            files = f"{self.num_left_out:,} file{_s(self.num_left_out)}"
            yield f"{files} of the folder cannot be used; the Data page says which and why."


def _images(number: int) -> str:
    return f"{number:,} image{_s(number)}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _copies_note(number: int) -> str:
    return f"{_images(number)} {_are(number)} a copy of another; each content counts once."


def _once(items: Iterable[Item]) -> tuple[tuple[Item, ...], int]:
    """Returns one item of each content in the order of judging, and how many were copies."""
    by_name: dict[str, Item] = {}
    num_items = 0
    for item in items:
        by_name.setdefault(name_of(item), item)
        num_items += 1
    ordered = sorted(by_name.values(), key=lambda item: _place(name_of(item)))
    return tuple(ordered), num_items - len(ordered)


def _place(name: str) -> bytes:
    return hashlib.blake2b(f"shift|{name}".encode(), digest_size=8).digest()


def portion(num_images: int, wanted: int) -> int:
    """Returns how many images are judged, of so many, where so many are wanted; 0 wants all."""
    return min(num_images, wanted) if wanted else num_images
