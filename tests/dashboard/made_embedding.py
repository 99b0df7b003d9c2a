"""Embeddings as they are kept, made without a backbone."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.embedding import METHODS, Embedding, Plane, keep_embedding
from engine.insight.images import Answer, JudgedImage
from engine.insight.intervals import accuracy_estimate, mean_estimate
from engine.runs.store import Run
from tests.dashboard.made import CLASSES, FINGERPRINT

STARTED_FROM = "weights.pth, as published"


def plane(num: int, seed: int, num_among: int) -> Plane:
    """A map on which images lie by chance, of whom the first so many are among their own class."""
    drawn = np.random.default_rng(seed)
    among_N = np.arange(num) < num_among
    points = tuple((float(x), float(y)) for x, y in drawn.normal(size=(num, 2)))
    return Plane(
        points,
        (0.4, 0.2),
        tuple(among_N.tolist()),
        accuracy_estimate(among_N),
        mean_estimate(drawn.normal(0.1, 0.1, num).tolist()),
    )


def judged(
    paths: Sequence[str], num_right: int, classes: Sequence[str] = CLASSES
) -> tuple[JudgedImage, ...]:
    """Images of classes in turn, of which a run gets the first so many right."""
    num = len(classes)
    return tuple(
        JudgedImage(
            path,
            f"digest {place}",
            classes[place % num],
            (
                Answer(classes[place % num], 0.9, 0.9, True)
                if place < num_right
                else Answer(classes[(place + 1) % num], 0.8, 0.1, False),
            ),
        )
        for place, path in enumerate(paths)
    )


def add_checkpoint(run: Run) -> None:
    """Leaves a file where a run keeps its model."""
    (run_folder(run.id) / CHECKPOINT_FILE).write_bytes(b"weights")


def lay_out(
    run: Run,
    paths: Sequence[str],
    num_right: int,
    has_moved: bool = True,
    classes: Sequence[str] = CLASSES,
    start: int = 0,
) -> Embedding:
    """Keeps embeddings of a finished run, whose validation images become those at the paths.

    Args:
        run: has ended.
        paths: of its images.
        num_right: how many of them it gets right.
        has_moved: whether its backbone did.
        classes: of the images, in turn.
        start: another one is another backbone before training.
    """
    add_checkpoint(run)
    items = tuple(
        Item(path, place % len(classes), f"digest {place}") for place, path in enumerate(paths)
    )
    manifest = Manifest(tuple(classes), items[:1], items, (), FINGERPRINT)
    write_text(run_folder(run.id) / MANIFEST_FILE, json.dumps(manifest.to_dict()))
    num = len(paths)
    before = plane(num, start, num // 2)
    for method in METHODS:
        found = Embedding(
            run_id=run.id,
            method=method,
            images=judged(paths, num_right, classes),
            places=tuple(range(num)),
            num_val=num,
            before=before,
            after=plane(num, 7 + num_right, num_right) if has_moved else before,
            more_neighbours=mean_estimate([0.2, 0.3, 0.25]) or accuracy_estimate(np.ones(1, bool)),
            more_silhouette=None,
            has_moved=has_moved,
            started_from=STARTED_FROM,
            seconds=1.0,
        )
        keep_embedding(run, found)
    return found


def pictures(folder: Path, num: int) -> list[str]:
    """Paths of real pictures below a folder, over and over."""
    found = sorted(str(file) for file in folder.rglob("*.jpg"))
    return [found[place % len(found)] for place in range(num)]
