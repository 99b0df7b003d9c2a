"""The check of a new batch as a piece of work: what is compared with what, and what was found.

No torch. A key stands for the run, its images, the new ones and which class is which, so that a
folder that has changed is checked anew.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.data.check import content_digest
from engine.data.manifest import Item, Manifest
from engine.errors import DataError, WeightsError
from engine.files import write_text
from engine.home import cache_folder
from engine.insight.batch_drift import BatchDrift
from engine.insight.embedding import why_not_embed
from engine.insight.shift_tests import OtherImages, manifest_of, other_images
from engine.runs.background import Work
from engine.runs.store import Run
from engine.update.names import Matching, match_classes

KIND = "batches"
MODULE = "engine.insight.batch_worker"
# Goes up when the same images would give another result.
EDITION = 1
# Of one side. Classes of more are told apart no better, and each has to be looked at.
MOST_IMAGES = 3000


@dataclass(frozen=True)
class Labelled:
    """Images of one side, each content once, in an order drawn from contents.

    Attributes:
        items: images.
        labels: name of each one's class: the model's where it knows the class.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class BatchCheck:
    """What is to be compared with what.

    Attributes:
        run: whose images are the old ones.
        folder: of the new ones.
        old: images that the run learnt from or is judged on.
        new: images that are none of those.
        matching: which class of the new ones is which.
        absent: classes of the model of which there are no new images.
        notes: what was left out, a sentence each.
        key: stands for all of it.
    """

    run: Run
    folder: str
    old: Labelled
    new: Labelled
    matching: Matching
    absent: tuple[str, ...]
    notes: tuple[str, ...]
    key: str


def batch_check(
    run: Run,
    folder: str,
    answers: Mapping[str, str] | None = None,
    others: OtherImages | None = None,
) -> BatchCheck:
    """Returns what is to be compared for a run and a folder of new images.

    Args:
        run: has ended and kept a model.
        folder: of new images.
        answers: which class is which where names are close; see match_classes.
        others: the images of the folder, where they are known.

    Raises:
        WeightsError: the run goes on, or has kept no model.
        DataError: the images cannot be used, or somebody has to say which class is which.
    """
    if reason := why_not_embed(run):
        raise WeightsError(reason)
    manifest = manifest_of(run)
    others = others or other_images(folder, least_classes=1)
    matching = match_classes(manifest.classes, others.classes, answers).settled()
    old, old_notes = _old_images(manifest)
    new, new_notes = _new_images(others, matching, {item.digest for item in old.items})
    there = set(new.labels)
    absent = tuple(name for name in manifest.classes if name not in there)
    key = _key(run, old, new, matching)
    old, new = _drawn(old), _drawn(new)
    notes = (*new_notes, *old_notes, *_drawn_notes(old, new))
    return BatchCheck(run, others.folder, old, new, matching, absent, notes, key)


def _old_images(manifest: Manifest) -> tuple[Labelled, list[str]]:
    every = [_with_digest(one) for one in (*manifest.earlier, *manifest.train, *manifest.val)]
    items = _unique([one for one in every if one.digest])
    if not items:
        raise DataError(
            "None of the images that the run was trained on is where it was, so there is nothing "
            "to compare new ones with; put them back."
        )
    labels = tuple(manifest.classes[item.label] for item in items)
    num_gone = len({item.path for item in every if not item.digest})
    notes = [f"{_images(num_gone)} of the run's own cannot be read."] if num_gone else []
    return Labelled(items, labels), notes


def _unique(items: Sequence[Item]) -> tuple[Item, ...]:
    """Returns one item of each content, in an order that depends on the contents alone."""
    by_digest = {item.digest: item for item in reversed(items)}
    return tuple(by_digest[digest] for digest in sorted(by_digest))


def _with_digest(item: Item) -> Item:
    """Returns an item with its content's digest, which manifests of old runs do not have."""
    if item.digest:
        return item
    with contextlib.suppress(OSError):
        return replace(item, digest=content_digest(Path(item.path)))
    return item


def _new_images(
    others: OtherImages, matching: Matching, known: set[str]
) -> tuple[Labelled, list[str]]:
    fresh = [item for item in others.items if item.digest not in known]
    items = _unique(fresh)
    if not items:
        raise DataError(
            f"The run has seen every image of {others.folder} already, so there is no new batch to "
            "check; choose other images."
        )
    names = (others.classes[item.label] for item in items)
    labels = tuple(matching.known.get(name, name) for name in names)
    num_known = len(others.items) - len(fresh)
    num_copies = len(fresh) - len(items)
    notes = []
    if num_known:
        verb = "is" if num_known == 1 else "are"
        notes.append(
            f"{_images(num_known)} of the folder {verb} among the run's own, and {verb} left out."
        )
    if num_copies:
        what = "is a copy of others" if num_copies == 1 else "are copies of others"
        notes.append(f"{_images(num_copies)} of the folder {what}; each content counts once.")
    if others.num_left_out:
        notes.append(
            f"{others.num_left_out:,} files of the folder cannot be used, or were left out by a "
            "correction; the Data page says which and why."
        )
    return Labelled(items, labels), notes


def _drawn(side: Labelled) -> Labelled:
    # Contents come in the order of their digests, which is as good as drawn at random.
    return Labelled(side.items[:MOST_IMAGES], side.labels[:MOST_IMAGES])


def _drawn_notes(*sides: Labelled) -> list[str]:
    if all(len(side.items) < MOST_IMAGES for side in sides):
        return []
    return [f"Of more than {MOST_IMAGES:,} old or new images as many are drawn by their content."]


def _images(num: int) -> str:
    return f"{num:,} image{'' if num == 1 else 's'}"


def _key(run: Run, old: Labelled, new: Labelled, matching: Matching) -> str:
    sides = [
        [[item.digest, label] for item, label in zip(*pair, strict=True)]
        for pair in ((old.items, old.labels), (new.items, new.labels))
    ]
    # Paths are part of what is shown.
    paths = [[item.path for item in side.items] for side in (old, new)]
    parts = [EDITION, run.id, sides, paths, sorted(matching.known.items()), matching.new]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def known_drift(check: BatchCheck) -> BatchDrift | None:
    """Returns what was found of a batch before, None where it was not checked."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return BatchDrift.from_dict(json.loads(_file(check.key).read_text(encoding="utf-8")))
    return None


def keep_drift(check: BatchCheck, found: BatchDrift) -> None:
    """Keeps what was found."""
    write_text(_file(check.key), json.dumps(found.to_dict()))


def _file(key: str) -> Path:
    return cache_folder(KIND) / f"{key}.batch.json"


def batch_work(key: str) -> Work:
    """Returns the check that has a key."""
    return Work(KIND, key, "The check of the new images")


def start_check(check: BatchCheck, answers: Mapping[str, str] | None = None) -> None:
    """Starts to check a batch, unless that goes on already."""
    order: dict[str, Any] = {
        "run": check.run.id,
        "folder": check.folder,
        "answers": dict(answers or {}),
    }
    batch_work(check.key).start(MODULE, json.dumps(order))


def answers_of(same: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    """Returns answers to which class is which, from what a person typed.

    Args:
        same: `NAME=CLASS`, a class of the new images and the model's.
        new: names of new classes.

    Raises:
        DataError: one of the first is no pair of names.
    """
    answers = dict.fromkeys(new, "")
    for text in same:
        name, sign, meant = text.partition("=")
        if not (sign and name and meant):
            raise DataError(
                f"--same is {text!r}; give a class of the new images and one of the model, as in "
                "--same bird=birds."
            )
        answers[name] = meant
    return answers
