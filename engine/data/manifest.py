"""The manifest of a data set: exactly which image is in which split and class."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.data.check import Progress, Verdict, check_pictures
from engine.data.folders import ImageFolder, LeftOut, find_images
from engine.data.splits import stratified_split
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


@dataclass(frozen=True)
class Manifest:
    """All images of a run.

    Attributes:
        classes: names; a label is an index into them.
        train: images to learn from.
        val: images to judge by.
        left_out: files that were found and not used, with the reason.
        fingerprint: of content, classes and split; equal for copies of the same data.
    """

    classes: tuple[str, ...]
    train: tuple[Item, ...]
    val: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Returns the manifest as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_file(cls, file: Path) -> "Manifest":
        """Returns the manifest that a run stored."""
        values = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            classes=tuple(values["classes"]),
            train=tuple(Item(**item) for item in values["train"]),
            val=tuple(Item(**item) for item in values["val"]),
            left_out=tuple(LeftOut(**file) for file in values["left_out"]),
            fingerprint=values["fingerprint"],
        )


def build_manifest(spec: DataSpec, progress: Progress = lambda done, total: None) -> Manifest:
    """Returns the images of a spec, each opened and found good, split as the spec says.

    Raises:
        DataError: the folder cannot be used; see find_images.
    """
    folder = Path(spec.folder)
    val_folder = Path(spec.val_folder) if spec.val_folder else None
    found = find_images(folder, val_folder)
    files = [p for group in (*found.train, *(found.val or ())) for p in group]
    verdicts = check_pictures(folder, files, progress)
    train, val = _split(found, verdicts, spec)
    bad = tuple(LeftOut(str(p), v.reason) for p, v in verdicts.items() if v.reason)
    return Manifest(
        classes=found.classes,
        train=_items(train, verdicts),
        val=_items(val, verdicts),
        left_out=tuple(sorted((*found.left_out, *bad), key=lambda file: file.path)),
        fingerprint=fingerprint(found.classes, train, val, verdicts),
    )


def _split(
    found: ImageFolder, verdicts: dict[Path, Verdict], spec: DataSpec
) -> tuple[Sequence[Sequence[Path]], Sequence[Sequence[Path]]]:
    good = [[path for path in group if not verdicts[path].reason] for group in found.train]
    least = 1 if found.val is not None else 2
    for name, group, all_files in zip(found.classes, good, found.train, strict=True):
        if len(group) < least:
            unreadable = len(all_files) - len(group)
            note = f" ({unreadable} cannot be read)" if unreadable else ""
            raise DataError(
                f"The class {name!r} in {spec.folder} has {len(group)} usable "
                f"picture{'' if len(group) == 1 else 's'}{note} and needs at least {least}; add "
                "pictures, or remove the class folder."
            )
    if found.val is None:
        return stratified_split(good, spec.val_fraction, spec.split_seed)
    val = [[path for path in group if not verdicts[path].reason] for group in found.val]
    if not any(val):
        raise DataError(f"No validation picture of {spec.folder} can be read; replace them.")
    return good, val


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
