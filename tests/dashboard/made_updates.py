"""Updates as real ones leave them behind, made without training, on real pictures."""

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.data.manifest import Batch, Item, Manifest
from engine.events import Value
from engine.files import write_text
from engine.home import run_folder
from engine.runs.store import NewEvent, Run, Store
from engine.training.predictions import BEFORE_FILE, Predictions
from tests.conftest import CLIPART
from tests.dashboard.made import CLASSES, add_run, start, step_event

NEW_CLASS = "boats"
KNOWN = (*CLASSES, NEW_CLASS)
NUM_OLD, NUM_NEW = 30, 12
BEFORE_OLD, BEFORE_NEW = 24, 4
EPOCH_SECONDS = 1.5


def add_update(
    store: Store, base: Run | str, method: str = "naive", seed: int = 0, **update: Any
) -> Run:
    """Returns a queued update of a run, or of a checkpoint by its path."""
    begun = base if isinstance(base, str) else base.id
    settings = {"start": begun, "method": method} | update
    return add_run(store, "full", f"{method} · new", seed=seed, update=settings)


def finish_update(
    store: Store,
    base: Run | str,
    method: str = "naive",
    seed: int = 0,
    broken: int = 6,
    mended: int = 2,
    new_right: int = 9,
    **update: Any,
) -> Run:
    """Returns a finished update that broke and mended some old images, and learnt some new ones."""
    run = add_update(store, base, method, seed, **update)
    tell_update(store, run, broken, mended, new_right)
    store.set_status(run.id, "finished", summary={"seconds": 2 * EPOCH_SECONDS})
    return store.run(run.id)


def tell_update(
    store: Store, run: Run, broken: int = 6, mended: int = 2, new_right: int = 9
) -> Run:
    """Lets a queued update begin and complete two epochs; returns it, still running."""
    start(store, run)
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    manifest = update_manifest()
    write_text(folder / "manifest.json", json.dumps(manifest.to_dict()))
    labels_N = np.array([item.label for item in manifest.val], dtype=np.int64)
    before_N = np.arange(NUM_OLD + NUM_NEW) < BEFORE_OLD
    before_N[NUM_OLD : NUM_OLD + BEFORE_NEW] = True
    after_N = before_N.copy()
    after_N[:broken] = False
    after_N[BEFORE_OLD : BEFORE_OLD + mended] = True
    after_N[NUM_OLD:] = np.arange(NUM_NEW) < new_right
    said(labels_N, before_N, len(CLASSES), 0).save(folder, BEFORE_FILE)
    said(labels_N, after_N, len(KNOWN), 2).save(folder)
    facts: dict[str, Value] = {
        "task": "update",
        "updates": "base",
        "new_classes": 1,
        "old_images_seen_again": 0,
        "old_accuracy_before": BEFORE_OLD / NUM_OLD,
        "new_accuracy_before": BEFORE_NEW / NUM_NEW,
    }
    store.add_to_summary(run.id, {name: one for name, one in facts.items() if name != "task"})
    old, new = float(after_N[:NUM_OLD].mean()), float(after_N[NUM_OLD:].mean())
    ready: dict[str, Value] = {"task": "ready", "steps_per_epoch": 1}
    told: list[NewEvent] = [
        (time.time(), "progress", 0, 0, ready),
        (time.time(), "progress", 0, 0, facts),
    ]
    for epoch in (1, 2):
        told += [step_event(epoch, epoch), epoch_event(epoch, old, new, float(after_N.mean()))]
    store.append(run.id, told)
    return store.run(run.id)


def update_manifest() -> Manifest:
    """Returns real pictures: old ones of known classes, new ones of one of them and a new one."""
    old = [_items(name, NUM_OLD // len(CLASSES), 0) for name in CLASSES]
    known, young = _items(CLASSES[0], 4, 20), _items(NEW_CLASS, NUM_NEW - 4, 0)
    return Manifest(
        classes=KNOWN,
        train=tuple(_items(NEW_CLASS, 4, 8)),
        val=(*(item for part in old for item in part), *known, *young),
        left_out=(),
        fingerprint="ab",
        batches=(Batch("base", NUM_OLD), Batch("new", NUM_NEW)),
    )


def _items(name: str, count: int, first: int) -> Sequence[Item]:
    root = CLIPART if name in CLASSES else CLIPART.parent / "new"
    files = sorted((root / "train" / name).iterdir())[first : first + count]
    return [Item(str(file), KNOWN.index(name), file.name) for file in files]


def said(
    labels_N: np.ndarray[Any, Any], right_N: np.ndarray[Any, Any], num_named: int, epoch: int
) -> Predictions:
    """Returns predictions over all classes that name none but the first `num_named`.

    What is wrong is taken for the next class, the last one for the first.
    """
    num = len(labels_N)
    named_N = np.where(right_N, labels_N, (labels_N + 1) % num_named)
    probabilities_NK = np.zeros((num, len(KNOWN)), dtype=np.float32)
    probabilities_NK[:, :num_named] = 0.2 / num_named
    probabilities_NK[np.arange(num), named_N] += 0.8
    return Predictions(labels_N, probabilities_NK, epoch)


def epoch_event(epoch: int, old: float, new: float, accuracy: float) -> NewEvent:
    """Returns what an epoch of an update tells, accuracies as fractions."""
    values: dict[str, Value] = {
        "train/loss": 0.8 / epoch,
        "train/accuracy": 0.9,
        "train/f1": 0.9,
        "val/loss": 1.0 / epoch,
        "val/accuracy": accuracy,
        "val/f1": accuracy,
        "val/old_accuracy": old,
        "val/new_accuracy": new,
        "lr/head": 1e-3,
        "images_per_second": 100.0,
        "val_images_per_second": 200.0,
        "seconds": EPOCH_SECONDS,
        "elapsed_seconds": EPOCH_SECONDS * epoch,
        "peak_memory_mib": 512.0,
    }
    return (time.time(), "epoch", epoch, epoch, values)
