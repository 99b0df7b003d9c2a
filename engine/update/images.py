"""The images of an update: those of the model so far and the new ones, under one list of classes.

No torch here.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from engine.data.found import LeftOut
from engine.data.manifest import Batch, Item, Manifest
from engine.errors import DataError
from engine.update.names import Matching

IN_OLD_VAL = "is a validation image of the model so far, on which it is still judged"
IN_OLD_TRAIN = "was learnt from by the model so far, so nothing can be judged on it"


def updated(
    old: Manifest, old_name: str, new: Manifest, new_name: str, matching: Matching
) -> Manifest:
    """Returns the images of an update in which only the new ones are learnt from.

    Validation images come batch by batch, the first batch first. A new image that the model so far
    is judged on is not learnt from, and one that it learnt from judges nothing.

    Args:
        old: images of the model that is updated, which may be an update itself.
        old_name: of their folder, where it is no update.
        new: new images, split.
        new_name: of their folder.
        matching: which class of the new images is which; settled.

    Raises:
        DataError: of a new class no image is left to learn from or to judge by.
    """
    classes = (*old.classes, *matching.settled().new)
    label_of = _labels(new.classes, classes, matching)
    pool = _once((*old.earlier, *old.train, *old.spare))
    train, no_train = _without(_relabelled(new.train, label_of), _names(old.val), IN_OLD_VAL)
    known = _names(pool) | _names(old.val)
    val, no_val = _without(_relabelled(new.val, label_of), known, IN_OLD_TRAIN)
    _require_images(train, val, classes[len(old.classes) :], len(old.classes))
    batches = old.batches or (Batch(old_name, len(old.val)),)
    return Manifest(
        classes=classes,
        train=train,
        val=(*old.val, *val),
        left_out=(*new.left_out, *no_train, *no_val),
        fingerprint=_fingerprint(old, new, matching),
        notes=(*new.notes, *_notes(no_train, no_val)),
        earlier=pool,
        batches=(*batches, Batch(new_name, len(val))),
    )


def with_earlier(manifest: Manifest, seen_again: Sequence[Item]) -> Manifest:
    """Returns an update in which some earlier images are learnt from, too; they come first.

    One that is among the new ones is learnt from once. The other earlier images are left aside.
    """
    new = _names(manifest.train)
    again = tuple(item for item in seen_again if content(item) not in new)
    chosen = new | _names(again)
    left = tuple(item for item in manifest.earlier if content(item) not in chosen)
    return replace(manifest, train=(*again, *manifest.train), spare=left)


def _labels(names: Sequence[str], classes: Sequence[str], matching: Matching) -> dict[int, int]:
    meant = [matching.known.get(name, name) for name in names]
    # A class of the model may be called like a new one that a person says is another.
    new_from = len(classes) - len(matching.new)
    places = {name: place for place, name in enumerate(classes[:new_from])}
    fresh = {name: new_from + place for place, name in enumerate(matching.new)}
    return {
        label: fresh[name] if name in fresh else places[meant[label]]
        for label, name in enumerate(names)
    }


def _relabelled(items: Sequence[Item], label_of: dict[int, int]) -> tuple[Item, ...]:
    return tuple(replace(item, label=label_of[item.label]) for item in items)


def content(item: Item) -> str:
    """Returns what stands for an image: its content, or its path in runs of an early Thaw."""
    return item.digest or item.path


def _names(items: Sequence[Item]) -> frozenset[str]:
    return frozenset(map(content, items))


def _once(items: Sequence[Item]) -> tuple[Item, ...]:
    return tuple({content(item): item for item in items}.values())


def _without(
    items: Sequence[Item], names: Collection[str], reason: str
) -> tuple[tuple[Item, ...], tuple[LeftOut, ...]]:
    kept = tuple(item for item in items if content(item) not in names)
    gone = tuple(LeftOut(item.path, reason) for item in items if content(item) in names)
    return kept, gone


def _require_images(
    train: Sequence[Item], val: Sequence[Item], new: Sequence[str], first: int
) -> None:
    for items, what in ((train, "to learn from"), (val, "to judge by")):
        there = {item.label for item in items}
        for place, name in enumerate(new):
            if first + place not in there:
                raise DataError(
                    f"The new class {name!r} has no image left {what} that the model so far has "
                    "not seen; add some."
                )
    if not train:
        raise DataError(
            "The model so far is judged on every one of the new images, so there is nothing to "
            "learn from; add others."
        )


def _fingerprint(old: Manifest, new: Manifest, matching: Matching) -> str:
    """Returns what stands for both sets, whichever of the old images are seen again."""
    same = sorted(f"{name}={meant}" for name, meant in matching.known.items())
    text = "|".join((old.fingerprint, new.fingerprint, *same))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _notes(no_train: Sequence[LeftOut], no_val: Sequence[LeftOut]) -> list[str]:
    notes = []
    if no_train:
        notes.append(
            f"{len(no_train):,} of the new images are not learnt from: they are validation images "
            "of the model so far."
        )
    if no_val:
        notes.append(
            f"{len(no_val):,} of the new validation images judge nothing: the model so far knows "
            "them."
        )
    return notes


def batch_name(folder: str) -> str:
    """Returns what a batch of images is called: the last part of its folder's path."""
    return Path(folder).name or folder
