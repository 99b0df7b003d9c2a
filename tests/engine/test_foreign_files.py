"""Files of a run that came from elsewhere: events, tensors, predictions, manifests."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from engine.runs.run_file import EVENTS, MOST_EVENTS
from engine.runs.store import Store
from tests.dashboard.made import NUM_TRAIN, NUM_VAL
from tests.engine.foreign import (
    INFINITE,
    NOT_A_NUMBER,
    Members,
    members,
    put,
    refused,
    sound,
    store,
)
from tests.engine.hostile.run_files import (
    arrays,
    fitting,
    packed,
    with_document,
    with_event,
)

__all__ = ["members", "sound", "store"]


# ---- events

FALSE_EVENTS = [
    ("epoch", "values.val/accuracy", NOT_A_NUMBER),
    ("epoch", "values.val/accuracy", "0.9"),
    ("epoch", "values.val/accuracy", None),
    ("epoch", "values.val/accuracy", True),
    ("epoch", "values.elapsed_seconds", INFINITE),
    ("epoch", "values.more", [1]),
    ("epoch", "values.more", 10**400),
    ("epoch", "values", {}),
    ("epoch", "seq", 1),
    ("epoch", "step", -1),
    ("epoch", "step", 2**40),
    ("epoch", "kind", "drop table"),
    ("step", "values.train/loss", "x"),
    ("step", "time", 1e30),
    ("progress", "values.planned_rates", "[]"),
    ("progress", "values.task", "\x1b]0;"),
    ("status", "run_id", "00000000"),
    ("status", "values", [1]),
]


@pytest.mark.parametrize(("kind", "path", "value"), FALSE_EVENTS, ids=str)
def test_events_that_no_run_has(
    kind: str,
    path: str,
    value: Any,
    members: Members,
    store: Store,
    thaw_home: Path,
    tmp_path: Path,
) -> None:
    file = packed(with_event(members, kind, put(path, value)), tmp_path / "evil.thaw")
    refused(store, file, thaw_home)


def test_acts_that_no_run_has(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    values = {"act": "freeze", "target": "top", "factor": 1.0}
    act = {"seq": 10**6, "time": 1.0, "kind": "act", "epoch": 1, "step": 1, "values": values}
    lines = members[EVENTS] + json.dumps(act).encode() + b"\n"
    changed = with_document(members | {EVENTS: lines}, put("run.last_seq", 10**6))
    file = packed(fitting(changed), tmp_path / "evil.thaw")
    assert "says nothing" in refused(store, file, thaw_home)


@pytest.mark.parametrize("tail", [b"\n", b"{}\n", b"{", b'{"seq": 1e400}\n', b"\xff\n"])
def test_lines_that_are_no_events(
    tail: bytes, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    changed = fitting(members | {EVENTS: members[EVENTS] + tail})
    refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)


def test_not_too_many_events(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    line = json.loads(members[EVENTS].splitlines()[0])
    numbers = range(1, MOST_EVENTS + 2)
    lines = "".join(f"{json.dumps(line | {'seq': number})}\n" for number in numbers)
    many = fitting(members | {EVENTS: lines.encode()})
    assert "num_events" in refused(store, packed(many, tmp_path / "many.thaw"), thaw_home)
    fewer = with_document(many, put("num_events", 30))
    text = refused(store, packed(fewer, tmp_path / "many.thaw"), thaw_home)
    assert "has not as many events as run.json says" in text


# ---- files


def tensor_file(**changes: Any) -> bytes:
    """Returns a checkpoint; `changes` are of its header."""
    header = {
        "spec": {"data": {"folder": "/photos"}},
        "classes": ["birds", "fruit", "vehicles"],
        "epoch": 1,
        "val_accuracy": 0.5,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    } | changes
    tensors = {"head.weight": torch.zeros(3, 4)}
    return save(tensors, {"thaw": json.dumps(header)})


def spoilt(content: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in content
    return content.replace(old, new)


FALSE_TENSORS = {
    "empty": b"",
    "cut": tensor_file()[:-1],
    "longer": tensor_file() + b"\0",
    "header of a gigabyte": struct.pack("<Q", 2**30) + b"{}",
    "header longer than the file": struct.pack("<Q", 5000) + b"{}",
    "no header": struct.pack("<Q", 2) + b"[]",
    "pickle": b"\x80\x04cos\nsystem\n",
    "nothing said": save({"a": torch.zeros(2)}),
    "offsets": spoilt(tensor_file(), b"[0,48]", b"[9,48]"),
    "shape": spoilt(tensor_file(), b"[3,4]", b"[9,4]"),
    "type": spoilt(tensor_file(), b'"F32"', b'"Q32"'),
    "classes": tensor_file(classes=["birds", "fruit", "evil"]),
    "mean": tensor_file(mean=[float("nan")] * 3),
    "std": tensor_file(std=[0.0] * 3),
    "epoch": tensor_file(epoch="1"),
    "model": tensor_file(spec={"data": {"folder": "/x"}, "model": {"backbone": "resnet18"}}),
    "spec": tensor_file(spec={"evil": 1}),
}


@pytest.mark.parametrize("how", FALSE_TENSORS)
def test_tensors_that_are_none(
    how: str, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    changed = fitting(members | {"best.safetensors": FALSE_TENSORS[how]})
    refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)


def test_a_state_is_of_its_epoch(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    state = members.pop("state-000002.safetensors")
    changed = fitting(members | {"state-000009.safetensors": state})
    text = refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)
    assert "is of another epoch" in text


LABELS = np.arange(NUM_TRAIN, NUM_TRAIN + NUM_VAL) % 3
CERTAIN = np.full((NUM_VAL, 3), 1 / 3, dtype=np.float32)
ONE = np.int64(1)
FALSE_PREDICTIONS: dict[str, Any] = {
    "nothing": b"",
    "no zip": b"x" * 100,
    "pickled": {"labels": np.array([{}] * NUM_VAL), "probabilities": CERTAIN, "epoch": ONE},
    "other labels": {"labels": LABELS[::-1].copy(), "probabilities": CERTAIN, "epoch": ONE},
    "fewer": {"labels": LABELS[1:], "probabilities": CERTAIN[1:], "epoch": ONE},
    "more classes": {"labels": LABELS, "probabilities": np.tile(CERTAIN, 2), "epoch": ONE},
    "not finite": {"labels": LABELS, "probabilities": CERTAIN * np.float32("nan"), "epoch": ONE},
    "negative": {"labels": LABELS, "probabilities": -CERTAIN, "epoch": ONE},
    "doubles": {"labels": LABELS, "probabilities": CERTAIN.astype(float), "epoch": ONE},
    "no epoch": {"labels": LABELS, "probabilities": CERTAIN},
    "more": {"labels": LABELS, "probabilities": CERTAIN, "epoch": ONE, "evil": ONE},
}


@pytest.mark.parametrize("how", FALSE_PREDICTIONS)
def test_predictions_that_are_none(
    how: str, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    made = FALSE_PREDICTIONS[how]
    content = made if isinstance(made, bytes) else arrays(**made)
    changed = fitting(members | {"predictions.npz": content})
    refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)


def test_predictions_whose_own_header_lies(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    """Numpy would make room for what it says, before it read anything."""
    labels = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': "
    labels += b"(999999999999999,), }"
    content = {"labels.npy": labels.ljust(127) + b"\n", "probabilities.npy": b"", "epoch.npy": b""}
    inner = packed(content, tmp_path / "predictions.npz").read_bytes()
    changed = fitting(members | {"predictions.npz": inner})
    text = refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)
    assert "of another kind or size" in text


FALSE_MANIFESTS: list[tuple[str, Any]] = [
    ("classes", []),
    ("classes", "abc"),
    ("classes", [1, 2, 3]),
    ("classes", ["birds", "fruit"]),
    ("train", [{"path": "/x", "label": -1, "digest": ""}]),
    ("train", [{"path": "/x", "label": True, "digest": ""}]),
    ("train", [{"path": "/x\0", "label": 0, "digest": ""}]),
    ("train", [{"path": "/x", "label": 0, "digest": "", "evil": 1}]),
    ("train", {"path": "/x"}),
    ("val", []),
    ("left_out", [{"path": "/x"}]),
    ("left_out", 7),
    ("left_out", [7]),
    ("notes", 7),
    ("fingerprint", 1),
    ("earlier", [{"path": "/x"}]),
    ("batches", 7),
    ("batches", [{"name": "new", "num_val": -1}]),
    ("batches", [{"name": "new", "num_val": 10_000}]),
    ("batches", [{"name": 7, "num_val": 1}]),
    ("evil", 1),
]


@pytest.mark.parametrize(("name", "value"), FALSE_MANIFESTS, ids=str)
def test_manifests_that_are_none(
    name: str, value: Any, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    manifest = json.loads(members["manifest.json"]) | {name: value}
    changed = fitting(members | {"manifest.json": json.dumps(manifest).encode()})
    refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.json", b"[]"),
        ("weights.json", b'{"kind": 1, "sentence": "", "match": null}'),
        ("interpolation.json", b'{"curve": [[0, "x"]], "alpha": 0}'),
        ("interpolation.json", b'{"curve": [[0, 1e999]], "alpha": 0}'),
        ("alpha-0.5.json", b'{"alpha": 0.5}'),
        ("spec.json", b'{"data": {"folder": "/elsewhere"}}'),
        ("spec.json", b"{"),
    ],
)
def test_small_files_that_are_none(
    name: str, content: bytes, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    changed = fitting(members | {name: content})
    refused(store, packed(changed, tmp_path / "evil.thaw"), thaw_home)
