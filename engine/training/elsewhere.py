"""A run that was begun on another machine goes on with the same images, or not at all."""

from pathlib import Path

from engine.data.manifest import MANIFEST_FILE, Manifest, build_manifest
from engine.errors import DataError
from engine.spec import DataSpec
from engine.training.reporter import Reporter

# Lies in the folder of a run that was brought in with its states, until its images were seen.
FROM_ELSEWHERE = "from-elsewhere"


def known_manifest(data: DataSpec, folder: Path, reporter: Reporter) -> Manifest | None:
    """Returns the images that a run has learned from so far, None where that is not known.

    What a run from elsewhere says of its images is not believed: they are looked up where its spec
    says, and have to be the same in the same order.

    Args:
        data: of the run's spec.
        folder: the run's own.
        reporter: is told where they must be looked for again.

    Raises:
        DataError: they are others, or are not there.
    """
    mark = folder / FROM_ELSEWHERE
    try:
        known = Manifest.from_file(folder / MANIFEST_FILE)
    except DataError:
        if mark.is_file():
            raise
        sentence = f"{MANIFEST_FILE} is missing or damaged, so the run's images are listed anew."
        reporter.emit("progress", 0, 0, {"task": "state", "state_note": sentence})
        return None
    if not mark.is_file():
        return known
    if known.batches:
        raise DataError(
            "An update that was begun on another machine cannot go on here; update the model with "
            "the new images anew."
        )
    here = build_manifest(data)
    if _contents(here) != _contents(known):
        raise DataError(
            f"The images in {data.folder} are not those that this run learned from on the machine "
            "it came from; copy those there, or use its settings for a new run."
        )
    mark.unlink()
    return here


def _contents(manifest: Manifest) -> tuple[object, ...]:
    splits = (manifest.train, manifest.val)
    return manifest.classes, *([(one.label, one.digest) for one in split] for split in splits)
