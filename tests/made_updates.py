"""Models and their updates as real ones leave them behind, with answers that a test gives."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.data.manifest import Batch, Item, Manifest
from engine.files import write_text
from engine.home import run_folder
from engine.runs.store import Run, Store
from engine.training.predictions import BEFORE_FILE, Predictions
from tests.engine.specs import tiny_spec

CLASSES = ("birds", "fruit")


def add_model(
    store: Store,
    answers: dict[str, str],
    start: str = "",
    before: dict[str, str] | None = None,
    images: dict[str, Sequence[str]] | None = None,
    **settings: str,
) -> Run:
    """Returns a finished run.

    Args:
        store: gets it.
        answers: of each batch so far, 1 for each validation image that it tells right, else 0.
        start: what it updates.
        before: the same of the model that it updates.
        images: what stands for the images of a batch, where it is not their number.
        settings: `method`, `strategy`, `name`, and `status` where it is `running`.
    """
    last = list(answers)[-1]
    name = settings.get("name", f"after {last}")
    of_spec = {"strategy.name": settings.get("strategy", "frozen")}
    if start:
        of_spec |= {"update.start": start, "update.method": settings.get("method", "naive")}
    [run] = store.add_runs([(name, tiny_spec(f"/photos/{last}", of_spec))])
    store.set_status(run.id, "running")
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    (folder / "best.safetensors").write_bytes(b"weights")
    manifest = _manifest(answers, images or {}, is_update=bool(start))
    write_text(folder / "manifest.json", json.dumps(manifest.to_dict()))
    predictions("".join(answers.values())).save(folder)
    if before is not None:
        replace(predictions("".join(before.values())), epoch=0).save(folder, BEFORE_FILE)
    if settings.get("status") == "running":
        return store.run(run.id)
    store.set_status(run.id, "finished", summary={"best_val_accuracy": 0.5, "seconds": 1.0})
    return store.run(run.id)


def _manifest(
    answers: dict[str, str], images: dict[str, Sequence[str]], is_update: bool
) -> Manifest:
    names = {
        batch: images.get(batch) or [f"{batch}-{place}" for place in range(len(told))]
        for batch, told in answers.items()
    }
    every = [one for batch in names.values() for one in batch]
    val = tuple(Item(f"/photos/{one}.jpg", place % 2, one) for place, one in enumerate(every))
    batches = tuple(Batch(batch, len(of_batch)) for batch, of_batch in names.items())
    return Manifest(CLASSES, (), val, (), "made", batches=batches if is_update else ())


def predictions(right: str) -> Predictions:
    """Returns predictions that are right where there is a 1."""
    labels_N = np.arange(len(right)) % 2
    is_right_N = np.array([one == "1" for one in right])
    predicted_N = np.where(is_right_N, labels_N, 1 - labels_N)
    probabilities_NK = np.eye(2, dtype=np.float32)[predicted_N]
    return Predictions(labels_N.astype(np.int64), probabilities_NK, 1)


def shares(num_right: int, num: int) -> str:
    """Returns answers of which so many are right, the first ones."""
    return "1" * num_right + "0" * (num - num_right)
