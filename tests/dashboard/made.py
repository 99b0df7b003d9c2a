"""Runs as real ones leave them behind, made without training: events, manifest and predictions."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.data.manifest import Item, Manifest
from engine.events import Status, Value
from engine.files import write_text
from engine.home import run_folder
from engine.runs.process import machine_name, process_started
from engine.runs.store import NewEvent, Run, Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.predictions import Predictions

CLASSES = ("birds", "fruit", "vehicles")
NUM_TRAIN, NUM_VAL = 160, 60
STEPS_PER_EPOCH = 5
SECONDS_PER_EPOCH = 1.5
TOTAL_PARAMETERS = 3_374_851
FINGERPRINT = "c0ffee0123456789"


def spec_of(strategy: str, settings: dict[str, Any] | None = None, **training: Any) -> RunSpec:
    """Returns a spec whose pictures need not exist; `settings` are parts of a RunSpec."""
    return RunSpec.parse(
        {
            "data": {"folder": "/photos"},
            "strategy": {"name": strategy},
            "optimiser": {"lr": STRATEGIES[strategy].default_lr},
            "training": training,
            **(settings or {}),
        }
    )


def add_run(store: Store, strategy: str = "frozen", name: str = "", **settings: Any) -> Run:
    """Returns a queued run of its own; `settings` are parts of its spec, such as `seed`."""
    label = name or f"{STRATEGIES[strategy].label} · photos"
    [run] = store.add_runs([(label, spec_of(strategy, settings))])
    return run


def add_pair(store: Store) -> tuple[Run, Run]:
    """Returns a frozen and a full run, queued, that were launched together."""
    frozen, full = store.add_runs(
        [("Frozen · photos", spec_of("frozen")), ("Full · photos", spec_of("full"))]
    )
    return frozen, full


def start(store: Store, run: Run) -> Run:
    """Makes this process the one that claims to train the run."""
    born = process_started(os.getpid())
    assert born is not None
    here = {"host": machine_name(), "pid": os.getpid(), "pid_started": born}
    store.set_status(run.id, "running", started_at=time.time(), beat_at=time.time(), **here)
    return store.run(run.id)


def finish(
    store: Store,
    run: Run,
    val_accuracies: Sequence[float] = (0.5, 0.7, 0.65),
    fingerprint: str = FINGERPRINT,
    classes: Sequence[str] = CLASSES,
    status: Status = "finished",
    layers: Sequence[dict[str, Value]] = (),
    gradients: dict[str, Value] | None = None,
) -> Run:
    """Runs a queued run to its end, one epoch for each validation accuracy (fraction).

    `layers` are what epochs tell of their stages, `gradients` what each step tells of them.
    """
    start(store, run)
    new_events = [_prepare(store, run, fingerprint, classes)]
    for epoch, accuracy in enumerate(val_accuracies, start=1):
        told = layers[epoch - 1] if layers else {}
        steps = [_with(event, gradients or {}) for event in _steps(epoch)]
        new_events += [*steps, _with(_epoch(epoch, accuracy), told)]
    store.append(run.id, new_events)
    summary: dict[str, Any] = {"seconds": SECONDS_PER_EPOCH * len(val_accuracies)}
    if val_accuracies:
        best = int(np.argmax(val_accuracies))
        summary |= {"best_val_accuracy": val_accuracies[best], "best_epoch": best + 1}
        _predictions(val_accuracies[best], best + 1, len(classes)).save(run_folder(run.id))
    store.set_status(run.id, status, summary=summary)
    return store.run(run.id)


def _prepare(store: Store, run: Run, fingerprint: str, classes: Sequence[str]) -> NewEvent:
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    items = [Item(f"/photos/{i:03d}.jpg", i % len(classes)) for i in range(NUM_TRAIN + NUM_VAL)]
    manifest = Manifest(
        tuple(classes), tuple(items[:NUM_TRAIN]), tuple(items[NUM_TRAIN:]), (), fingerprint
    )
    write_text(folder / "manifest.json", json.dumps(manifest.to_dict()))
    head = 1281 * len(classes)
    facts: dict[str, Value] = {
        "steps_per_epoch": STEPS_PER_EPOCH,
        "classes": len(classes),
        "train_images": NUM_TRAIN,
        "val_images": NUM_VAL,
        "left_out": 0,
        "fingerprint": fingerprint,
        "trainable_parameters": head if run.spec.strategy.name == "frozen" else TOTAL_PARAMETERS,
        "total_parameters": TOTAL_PARAMETERS,
        "device": "CPU",
    }
    store.add_to_summary(run.id, facts)
    return (time.time(), "progress", 0, 0, {"task": "ready", **facts})


def step_event(epoch: int, step: int) -> NewEvent:
    """Returns what the training loop tells of one step."""
    values: dict[str, Value] = {
        "train/loss": 1.0 / step,
        "train/accuracy": 0.5,
        "images_per_second": 100.0,
        "lr/head": 1e-3,
    }
    return (time.time(), "step", epoch, step, values)


def _steps(epoch: int) -> list[NewEvent]:
    first = (epoch - 1) * STEPS_PER_EPOCH + 1
    return [step_event(epoch, step) for step in range(first, first + STEPS_PER_EPOCH)]


def _epoch(epoch: int, val_accuracy: float) -> NewEvent:
    values: dict[str, Value] = {
        "train/loss": 0.8 / epoch,
        "train/accuracy": min(1.0, val_accuracy + 0.1),
        "train/f1": min(1.0, val_accuracy + 0.1),
        "val/loss": 1.0 / epoch,
        "val/accuracy": val_accuracy,
        "val/f1": val_accuracy,
        "lr/head": 1e-3,
        "images_per_second": 100.0,
        "val_images_per_second": 200.0,
        "seconds": SECONDS_PER_EPOCH,
        "elapsed_seconds": SECONDS_PER_EPOCH * epoch,
        "peak_memory_mib": 512.0,
    }
    return (time.time(), "epoch", epoch, epoch * STEPS_PER_EPOCH, values)


def _with(event: NewEvent, told: dict[str, Value]) -> NewEvent:
    return (*event[:4], {**event[4], **told})


def _predictions(accuracy: float, epoch: int, num_classes: int) -> Predictions:
    """Returns predictions of which a share is right; the rest is taken for the next class."""
    labels_N = (np.arange(NUM_TRAIN, NUM_TRAIN + NUM_VAL) % num_classes).astype(np.int64)
    is_right_N = np.arange(NUM_VAL) < round(accuracy * NUM_VAL)
    predicted_N = np.where(is_right_N, labels_N, (labels_N + 1) % num_classes)
    probabilities_NK = np.full((NUM_VAL, num_classes), 0.1 / num_classes, dtype=np.float32)
    probabilities_NK[np.arange(NUM_VAL), predicted_N] += 0.9
    return Predictions(labels_N, probabilities_NK, epoch)
