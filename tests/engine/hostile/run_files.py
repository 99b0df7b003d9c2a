"""A run's file, changed as a stranger may: what it says of itself can be made to fit again."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from engine.home import run_folder
from engine.runs.exporting import export_run
from engine.runs.store import Run, Store
from engine.runs.unpacking import EVENTS, RUN
from tests.dashboard.made import CLASSES, add_run, finish

STORED = (".npz", ".safetensors")
Change = Callable[[dict[str, Any]], None]


def small_run(store: Store) -> Run:
    """A run that was never trained, with a checkpoint and a state of a few tensors."""
    run = finish(store, add_run(store))
    folder = run_folder(run.id)
    header = {
        "spec": run.spec.model_dump(mode="json"),
        "classes": CLASSES,
        "epoch": 2,
        "val_accuracy": 0.7,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    tensors = {"head.weight": torch.arange(12.0).reshape(3, 4), "head.bias": torch.zeros(3)}
    save_file(tensors, folder / "best.safetensors", {"thaw": json.dumps(header)})
    state = {"version": 1, "epoch": 2, "values": {"best": float("inf")}, "digest": "0" * 32}
    save_file(tensors, folder / "state-000002.safetensors", {"thaw-state": json.dumps(state)})
    (folder / "weights.json").write_text('{"kind": "random", "sentence": "random", "match": null}')
    store.add_to_summary(run.id, {"checkpoint": str(folder / "best.safetensors")})
    return store.run(run.id)


def small_file(store: Store, folder: Path) -> Path:
    """The file of such a run."""
    return export_run(store, small_run(store), folder, with_states=True)


def members_of(file: Path) -> dict[str, bytes]:
    """Returns the content of a file's members by name."""
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def packed(members: dict[str, bytes], to: Path) -> Path:
    """Writes members to a file, as they are."""
    with zipfile.ZipFile(to, "w") as archive:
        for name, content in members.items():
            kind = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, kind, 9)
    return to


def fitting(members: dict[str, bytes]) -> dict[str, bytes]:
    """Returns members whose `run.json` has their sizes and check sums, and counts the events."""
    document = json.loads(members[RUN])
    document["members"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
        if name != RUN
    }
    document["num_events"] = members[EVENTS].count(b"\n")
    return members | {RUN: json.dumps(document).encode()}


def with_document(members: dict[str, bytes], change: Change) -> dict[str, bytes]:
    """Returns members whose `run.json` was changed."""
    document = json.loads(members[RUN])
    change(document)
    return members | {RUN: json.dumps(document).encode()}


def with_event(members: dict[str, bytes], kind: str, change: Change) -> dict[str, bytes]:
    """Returns members in which the first event of a kind was changed."""
    lines = [json.loads(line) for line in members[EVENTS].splitlines()]
    change(next(line for line in lines if line["kind"] == kind))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return fitting(members | {EVENTS: text.encode()})


def arrays(**values: Any) -> bytes:
    """Returns an npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **values)
    return file.getvalue()
