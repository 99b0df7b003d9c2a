"""Where a model in use is kept, and the images that it learnt from and is judged on. No torch.

Those are what a run keeps beside its checkpoint; of a checkpoint alone they are listed anew.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.data.found import LeftOut
from engine.data.manifest import MANIFEST_FILE, Item, Manifest, build_manifest
from engine.errors import DataError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.spec import RunSpec

RUN_ID = re.compile(r"[0-9a-f]{8}|[0-9a-f]{16}")
GONE = "is an earlier image that is no longer there"


def is_run(start: str) -> bool:
    """Returns whether `update.start` names a run, and not a file by its path."""
    return RUN_ID.fullmatch(start) is not None


def checkpoint_of(start: str) -> Path:
    """Returns the checkpoint that `update.start` names: that of a run, or a file's own path."""
    if is_run(start):
        return run_folder(start) / CHECKPOINT_FILE
    return Path(start).expanduser().absolute()


def known_images(file: Path, classes: Sequence[str], made_with: RunSpec) -> Manifest:
    """Returns the images that a model learnt from and is judged on.

    Args:
        file: its checkpoint.
        classes: that it knows.
        made_with: its spec.

    Raises:
        DataError: they are not known, or are those of other classes.
    """
    beside = file.parent / MANIFEST_FILE
    if beside.is_file():
        manifest = Manifest.from_file(beside)
    elif made_with.update.start:
        raise DataError(
            f"{file.name} is the model of an update, and {MANIFEST_FILE} with the images that it "
            "knows does not lie beside it; put it there, or name the run."
        )
    else:
        manifest = build_manifest(made_with.data)
    if manifest.classes != tuple(classes):
        raise DataError(
            f"The images of {made_with.data.folder} have other classes than the model in {file} "
            "says; name the run that it is of."
        )
    return manifest


def require_there(items: Sequence[Item]) -> None:
    """Raises DataError where an image that a model is judged on is no longer there."""
    gone = [item.path for item in items if not Path(item.path).is_file()]
    if gone:
        raise DataError(
            f"{len(gone):,} of the images that the model is judged on are no longer there, the "
            f"first {gone[0]}; without them nobody can say what an update forgets. Put them back."
        )


def without_gone(manifest: Manifest) -> Manifest:
    """Returns the images of an update without those earlier ones that are no longer there.

    Raises:
        DataError: none of them is.
    """
    there = {item.path: Path(item.path).is_file() for item in manifest.earlier}
    gone = [item.path for item in manifest.earlier if not there[item.path]]
    if not gone:
        return manifest
    left = tuple(item for item in manifest.earlier if there[item.path])
    if not left:
        raise DataError(
            f"None of the {len(gone):,} earlier images is there any more, the first {gone[0]}; put "
            "them back, or choose a method that reads none."
        )
    return replace(
        manifest,
        earlier=left,
        left_out=(*manifest.left_out, *(LeftOut(path, GONE) for path in gone)),
        notes=(*manifest.notes, f"{len(gone):,} earlier images are no longer there."),
    )
