"""Finished runs of ways of training, made without training, of which the right images are given."""

import json
from typing import Any

import numpy as np

from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.events import MetricEvent
from engine.home import run_folder
from engine.insight.compare import RunReport
from engine.runs.store import Store
from engine.training.predictions import Predictions
from tests.engine.specs import tiny_spec

NUM_IMAGES = 200
NUM_TRAIN = 400
LABELS = np.arange(NUM_IMAGES) % 3


def made_run(
    store: Store,
    strategy: str,
    accuracy: float,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    seconds: float = 10.0,
    parameters: int = 100,
    memory_mib: float = 500.0,
    facts: dict[str, Any] | None = None,
) -> RunReport:
    """Returns a run that gets about that share (fraction) of the validation images right."""
    spec = tiny_spec("photos", {"strategy.name": strategy, "seed": seed} | (settings or {}))
    [run] = store.add_runs([(f"{strategy} {seed}", spec)])
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    drawn = np.random.default_rng([seed, len(strategy), round(1000 * accuracy)])
    right_N = drawn.random(NUM_IMAGES) < accuracy
    predicted_N = np.where(right_N, LABELS, (LABELS + 1) % 3)
    probabilities_NK = np.full((NUM_IMAGES, 3), 0.1, np.float32)
    probabilities_NK[np.arange(NUM_IMAGES), predicted_N] = 0.8
    Predictions(LABELS, probabilities_NK, 1).save(folder)
    items = tuple(Item(f"{n}.png", int(label), f"{n:04}") for n, label in enumerate(LABELS))
    share = spec.data.train_fraction
    fingerprint = f"share {share:g}"
    manifest = Manifest(("a", "b", "c"), (), items, (), fingerprint)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest.to_dict()))
    summary = {
        "fingerprint": fingerprint,
        "seconds": seconds,
        "trainable_parameters": parameters,
        "train_images": round(share * NUM_TRAIN),
    }
    store.set_status(run.id, "finished", summary=summary | (facts or {}))
    values = {
        "val/accuracy": accuracy,
        "val/loss": 1.0,
        "elapsed_seconds": seconds,
        "peak_memory_mib": memory_mib,
    }
    epoch = MetricEvent(run.id, 1, 0.0, "epoch", 1, 1, values)
    return RunReport(store.run(run.id), (epoch,), epoch)
