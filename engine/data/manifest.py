"""The manifest of a data set: exactly which image is in which split and class."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.data.check import Progress, Verdict
from engine.data.found import LEAST_CLASSES, LeftOut
from engine.data.intake import split_as, take_in
from engine.errors import DataError
from engine.spec import DataSpec

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Item:
    """One image and the index of its class.

    Attributes:
        path: of the file.
        label: index of its class.
        digest: BLAKE2b of the content, in hex; empty in manifests of old runs.
    """

    path: str
    label: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that came together: those of the first run, or of one update.

    Attributes:
        name: of their folder.
        num_val: how many of the validation images they are.
    """

    name: str
    num_val: int


@dataclass(frozen=True)
class Manifest:
    """All images of a run.

    Attributes:
        classes: names; a label is an index into them.
        train: images to learn from.
        val: images to judge by.
        left_out: files that were found and not used, with the reason.
        fingerprint: of content, classes and split; equal for copies of the same data.
        notes: how the data was read and split, a sentence each.
        spare: images to train on that are left aside, where a share of them is used. What is
            computed once is computed for them too, so that runs on other shares find it.
        earlier: of an update, all images that the models before it could learn from; some of them
            may be in `train` again.
        batches: of an update, what the validation images came with, in their order.
    """

    classes: tuple[str, ...]
    train: tuple[Item, ...]
    val: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    spare: tuple[Item, ...] = ()
    earlier: tuple[Item, ...] = ()
    batches: tuple[Batch, ...] = ()

    @property
    def num_whole_train(self) -> int:
        """Images to train on, those that are left aside among them."""
        return len(self.train) + len(self.spare)

    def to_dict(self) -> dict[str, Any]:
        """Returns the manifest as plain data for JSON."""
        values = asdict(self)
        for name in ("spare", "earlier", "batches"):
            if not values[name]:
                # As earlier releases wrote it, and read it.
                del values[name]
        return values

    @classmethod
    def from_file(cls, file: Path) -> "Manifest":
        """Returns the manifest that a run stored.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            return cls._parse(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"The list of the run's images in {file} is missing or damaged; train it again."
            ) from error

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> "Manifest":
        return cls(
            classes=tuple(values["classes"]),
            train=tuple(Item(**item) for item in values["train"]),
            val=tuple(Item(**item) for item in values["val"]),
            left_out=tuple(LeftOut(**file) for file in values["left_out"]),
            fingerprint=values["fingerprint"],
            notes=tuple(values.get("notes", ())),
            spare=tuple(Item(**item) for item in values.get("spare", ())),
            earlier=tuple(Item(**item) for item in values.get("earlier", ())),
            batches=tuple(Batch(**batch) for batch in values.get("batches", ())),
        )


def build_manifest(
    spec: DataSpec,
    progress: Progress = lambda done, total: None,
    least_classes: int = LEAST_CLASSES,
) -> Manifest:
    """Returns the images of a spec, each opened and found good, split as the spec says.

    Raises:
        DataError: the data cannot be used; see take_in and split_as.
    """
    intake = take_in(spec, progress, least_classes=least_classes)
    split, notes = split_as(spec, intake)
    classes = intake.found.classes
    return Manifest(
        classes=classes,
        train=_items(split.train, intake.verdicts),
        val=_items(split.val, intake.verdicts),
        left_out=intake.left_out,
        fingerprint=fingerprint(classes, split.train, split.val, intake.verdicts),
        notes=(*intake.notes, *notes),
        spare=_items(split.spare, intake.verdicts),
    )


def _items(
    files_by_class: Sequence[Sequence[Path]], verdicts: dict[Path, Verdict]
) -> tuple[Item, ...]:
    return tuple(
        Item(str(path), label, verdicts[path].digest)
        for label, files in enumerate(files_by_class)
        for path in files
    )


def fingerprint(
    classes: Sequence[str],
    train: Sequence[Sequence[Path]],
    val: Sequence[Sequence[Path]],
    verdicts: dict[Path, Verdict],
) -> str:
    """Returns what stands for contents, classes and split, whatever the files are called."""
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for split in (train, val):
        for label, files in enumerate(split):
            for content in sorted(verdicts[path].digest for path in files):
                digest.update(f"{label}:{content};".encode())
        digest.update(b"|")
    return digest.hexdigest()[:16]
