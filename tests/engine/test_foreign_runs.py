"""Files of runs from strangers: refused in a sentence, and nothing of them is left behind."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from engine.errors import RunFileError
from engine.insight.compare import report
from engine.runs import importing, unpacking
from engine.runs.importing import MARK, import_file
from engine.runs.run_file import EVENTS, MOST_EVENTS, RUN
from engine.runs.store import Store
from tests.dashboard.made import NUM_TRAIN, NUM_VAL
from tests.engine.hostile.run_files import (
    arrays,
    fitting,
    members_of,
    packed,
    small_file,
    with_document,
    with_event,
)
from tests.engine.hostile.zips import ENCRYPTED, LINK, ZipEntry
from tests.engine.hostile.zips import packed as packed_lying
from tests.engine.moved import at_home

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is as it should be."""
    folder = tmp_path_factory.mktemp("sound")
    with at_home(folder / "home") as store:
        return small_file(store, folder)


@pytest.fixture
def members(sound: Path) -> Members:
    return members_of(sound)


@pytest.fixture
def store(thaw_home: Path) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def is_empty(store: Store, home: Path) -> bool:
    """Whether nothing is left of what was refused."""
    runs = home / "runs"
    left = [] if not runs.exists() else sorted(one.name for one in runs.iterdir())
    with store.engine.connect() as connection:
        rows = [
            connection.exec_driver_sql(f"select count(*) from {table}").scalar()
            for table in ("runs", "events", "acts")
        ]
    return (left, rows) == ([], [0, 0, 0])


def refused(store: Store, file: Path, home: Path) -> str:
    """The sentence with which a file is refused, after which nothing of it is there."""
    with pytest.raises(RunFileError) as caught:
        import_file(store, file)
    text = str(caught.value)
    assert text.startswith(file.name)
    assert "\n" not in text
    assert len(text) < 600
    assert is_empty(store, home)
    return text


def test_the_sound_one_comes_in(sound: Path, store: Store) -> None:
    run = import_file(store, sound).run
    assert report(store, run).best_val_accuracy == 0.7
    assert (store.engine.url.database or "").startswith(str(Path(os.environ["THAW_HOME"])))


# ---- the zip


NAMES = [
    *("../evil.json", "/etc/evil", "folder/weights.json", "..\\evil.json", "C:\\evil.json"),
    *("WEIGHTS.JSON", "Manifest.json", "weights.json ", "weights.json\0.txt", "", "evil.py"),
    *("best.safetensors.bak", "state-1.safetensors", "alpha-../x.json", "traceback.txt"),
    *("state-０００００１.safetensors", "weights.json\n", ".importing", "from-elsewhere"),
]


@pytest.mark.parametrize("name", NAMES)
def test_no_other_names(
    name: str, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    listed = fitting(members | {name: b"{}"})
    entries = [
        ZipEntry(n.encode(), c, 0 if n.endswith((".npz", ".safetensors")) else 8)
        for n, c in listed.items()
    ]
    file = tmp_path / "evil.thaw"
    file.write_bytes(packed_lying(entries))
    refused(store, file, thaw_home)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["evil.thaw", "thaw-home"]


@pytest.mark.parametrize(
    "how",
    [
        {"mode": LINK},
        {"flags": ENCRYPTED},
        {"method": 0},
        {"method": 12},
        {"size_off": 1},
        {"size_off": -1},
        {"size_off": 2**31},
        {"crc_off": 1},
        {"own_name": b"other.json"},
        {"shares": True},
    ],
    ids=str,
)
def test_a_zip_that_lies(
    how: dict[str, Any], members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    entries = [
        ZipEntry(n.encode(), c, 0 if n.endswith((".npz", ".safetensors")) else 8)
        for n, c in members.items()
    ]
    values = vars(next(one for one in entries if one.name == b"weights.json")) | how
    entries = [ZipEntry(**values) if one.name == b"weights.json" else one for one in entries]
    file = tmp_path / "evil.thaw"
    file.write_bytes(packed_lying(entries))
    refused(store, file, thaw_home)


@pytest.mark.parametrize("name", [RUN, "manifest.json"])
def test_no_member_twice(
    name: str, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    file = packed(members, tmp_path / "evil.thaw")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, members[name])
    assert "twice" in refused(store, file, thaw_home)


def test_not_too_many_members(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    many = {f"state-{number:06d}.safetensors": b"" for number in range(400)}
    file = packed(fitting(members | many), tmp_path / "evil.thaw")
    assert "more than 300 members" in refused(store, file, thaw_home)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b" " * 100_000_000),
        (EVENTS, b" " * 100_000_000),
        (RUN, b" " * 100_000_000),
        ("weights.json", b" " * 3_000_000),
    ],
    ids=["manifest", "events", "run", "weights"],
)
def test_bombs_are_not_unpacked(
    name: str, content: bytes, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    listed = fitting(members | ({} if name == RUN else {name: content}))
    file = packed(listed | ({RUN: content} if name == RUN else {}), tmp_path / "evil.thaw")
    assert file.stat().st_size < 300_000
    started = time.process_time()
    refused(store, file, thaw_home)
    assert time.process_time() - started < 10


def test_a_list_of_many_short_things_is_not_read(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """It would take many times its size of the memory."""
    monkeypatch.setattr(unpacking, "MOST_RATIO", 10**6)
    content = b'{"train": [' + b"0," * 5_100_000 + b"0]}"
    file = packed(fitting(members | {"manifest.json": content}), tmp_path / "evil.thaw")
    assert "holds more than any run's" in refused(store, file, thaw_home)


@pytest.mark.parametrize("name", ["manifest.json", RUN, "weights.json"])
def test_lists_in_lists_in_lists(
    name: str, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    content = b'{"train":' * 50_000 + b"1" + b"}" * 50_000
    listed = fitting(members | ({} if name == RUN else {name: content}))
    file = packed(listed | ({RUN: content} if name == RUN else {}), tmp_path / "evil.thaw")
    refused(store, file, thaw_home)


# ---- damage


def test_a_file_that_breaks_off_anywhere(
    sound: Path, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    content = sound.read_bytes()
    file = tmp_path / "cut.thaw"
    for length in sorted({0, 1, 3, 4, 5, 22, len(content) - 1, *range(0, len(content), 211)}):
        file.write_bytes(content[:length])
        refused(store, file, thaw_home)


def test_a_byte_that_was_changed_anywhere(sound: Path, tmp_path: Path) -> None:
    """It is refused, or it was of no weight and the run is the same."""
    content = sound.read_bytes()
    file = tmp_path / "hurt.thaw"
    chance = random.Random(0)
    num_refused = 0
    places = chance.sample(range(len(content)), 150)
    with at_home(tmp_path / "other") as store:
        for place in places:
            hurt = bytearray(content)
            hurt[place] ^= 1 << chance.randrange(8)
            file.write_bytes(hurt)
            try:
                run = import_file(store, file).run
            except RunFileError:
                num_refused += 1
                assert is_empty(store, tmp_path / "other")
                continue
            assert report(store, run).best_val_accuracy == 0.7
            assert len(report(store, run).epochs) == 3
            store.delete(run.id)
            store.forget(run.id)
            shutil.rmtree(tmp_path / "other" / "runs" / run.id)
    assert num_refused > 100


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>not found</html>", bytes(1000)])
def test_what_is_no_zip(content: bytes, store: Store, thaw_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.thaw"
    file.write_bytes(content)
    assert "is no file of a run, or is damaged" in refused(store, file, thaw_home)


@pytest.mark.parametrize("name", ["manifest.json", EVENTS, "best.safetensors", "predictions.npz"])
def test_a_member_that_is_missing_changed_or_not_listed(
    name: str, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "evil.thaw"
    content = bytearray(members[name])
    content[len(content) // 2] ^= 1
    packed(members | {name: bytes(content)}, file)
    assert "SHA-256 is another" in refused(store, file, thaw_home)
    packed({one: content for one, content in members.items() if one != name}, file)
    assert "does not list what is in it" in refused(store, file, thaw_home)
    document = with_document(members, lambda values: values["members"].pop(name))
    packed(document, file)
    assert "does not list what is in it" in refused(store, file, thaw_home)


# ---- what run.json says


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Returns what sets a value by its dotted path."""

    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            document = document[parent]
        document[last] = value

    return change


INFINITE, NOT_A_NUMBER = float("inf"), float("nan")
FALSE_ROWS = [
    *[("run.status", status) for status in ("running", "queued", "stopping", "great", None)],
    *[("run.created_at", time) for time in (NOT_A_NUMBER, INFINITE, 1e18, -1, "now", None)],
    *[("run.id", run_id) for run_id in ("../../x", "", "0" * 17, "ABCDEF01", 12345678)],
    *[("run.group", group) for group in ("' or 1", "", "g" * 9)],
    ("run.ended_at", 1e300),
    ("run.name", ""),
    ("run.name", "\x1b[2Jname"),
    ("run.name", "a\u202eb"),
    ("run.name", "a" * 20_000),
    ("run.note", "\0"),
    ("run.tags", ["\x07"]),
    ("run.tags", "paper"),
    ("run.tags", ["a"] * 2000),
    ("run.starred", 1),
    ("run.colour", -1),
    ("run.colour", 2**70),
    ("run.last_seq", 2**40),
    ("run.last_seq", 1),
    ("run.host", "elsewhere"),
    ("run.summary.seconds", NOT_A_NUMBER),
    ("run.summary.seconds", "1.0"),
    ("run.summary.best_val_accuracy", [1]),
    ("run.summary.trainable_parameters", 1.5),
    ("run.summary.checkpoint", "/etc/passwd"),
    ("run.summary.blend", {"alpha": 0.5}),
    ("run.summary.acts_too_late", [1]),
    ("run.summary.planned_rates", "{"),
    ("run.summary.planned_rates", '{"epochs": [1], "head": ["x"], "backbone": [1]}'),
    ("run.summary.more", {"a": {"b": NOT_A_NUMBER}}),
    ("run.summary.more", "\x1b"),
    ("run.summary.imported", [[[[[[[[[[1]]]]]]]]]]),
    ("run.spec.data.folder", ""),
    ("run.spec.training.epochs", NOT_A_NUMBER),
    ("run.spec.model.backbone", "no_such_network"),
    ("run.spec", {}),
    ("acts", [{"number": 1, "time": 0.0, "act": {"kind": "delete", "target": "x"}}]),
    ("acts", [{"number": 1, "time": 0.0, "act": {"kind": "freeze", "target": "top"}}] * 2),
    ("num_events", 10**9),
    ("num_events", 1),
    ("written_with", {}),
    ("format", 0),
    ("format", "1"),
    ("members", {}),
    ("extra", 1),
]


@pytest.mark.parametrize(("path", "value"), FALSE_ROWS, ids=str)
def test_rows_that_no_run_has(
    path: str, value: Any, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    file = packed(with_document(members, put(path, value)), tmp_path / "evil.thaw")
    refused(store, file, thaw_home)


def test_a_newer_thaws_file_is_told_from_a_damaged_one(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    newer = with_document(members, put("format", 2)) | {"hologram.bin": b"of that release"}
    file = packed(newer, tmp_path / "newer.thaw")
    assert refused(store, file, thaw_home) == (
        "newer.thaw was written by a newer Thaw (format 2; this one knows 1); update Thaw with: "
        "pip install -U thaw-lab."
    )


def test_a_setting_of_another_release_is_named(
    members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    changed = with_document(members, put("run.spec.training.telepathy", 1))
    text = refused(store, packed(changed, tmp_path / "newer.thaw"), thaw_home)
    assert "training.telepathy is not a setting that Thaw knows" in text
    assert "written by Thaw 0.1.0" in text


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


# ---- all or nothing


def test_no_room_is_said_before_anything_is_written(
    sound: Path, store: Store, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(thaw_home)._replace(free=unpacking.KEEP_FREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "would fill the disk" in refused(store, sound, thaw_home)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from engine.errors import RunFileError
from engine.runs.importing import import_file
from engine.runs.store import Store
store = Store()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    import_file(store, Path(sys.argv[1]))
except RunFileError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such limits")
@pytest.mark.parametrize("limit", [0, 100, 5_000, None])
def test_a_disk_that_is_full_leaves_nothing(
    limit: int | None, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    """No file may grow beyond the limit; the last of them is that of the rows."""
    long = with_document(members, put("run.note", "why " * 20_000))
    file = packed(long, tmp_path / "sound.thaw")
    if limit is None:
        limit = (thaw_home / "thaw.db").stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(file), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "cannot be brought in" in done.stdout
    assert is_empty(store, thaw_home)


KILLED = """
import os, sys
from pathlib import Path
from engine.runs import importing
from engine.runs.store import Store
def die(*_):
    os._exit(9)
if sys.argv[2] == "before":
    importing.insert_run = die
else:
    importing.Imported = die
    real = Path.unlink
    Path.unlink = lambda self, **named: None if self.name == importing.MARK else real(self, **named)
importing.import_file(Store(), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_kill_leaves_is_cleared_by_the_next(
    when: str, sound: Path, store: Store, thaw_home: Path
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(sound), when], check=False)
    assert done.returncode == 9
    [left] = [one for one in (thaw_home / "runs").iterdir() if not one.name.startswith(".")]
    assert (left / MARK).is_file()
    assert len(store.all_runs()) == (0 if when == "before" else 1)
    imported = import_file(store, sound)
    assert imported.outcome == ("added" if when == "before" else "known")
    assert imported.run.id == left.name
    assert not (left / MARK).exists()
    assert len(report(store, imported.run).epochs) == 3


def test_what_was_left_in_parts_goes_after_a_day(
    sound: Path, store: Store, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = (thaw_home / "runs" / f".{name}.part" for name in ("old", "young"))
    for part in (old, young):
        part.mkdir(parents=True)
    yesterday = time.time() - importing.ABANDONED_SECONDS - 60
    os.utime(old, (yesterday, yesterday))
    import_file(store, sound)
    assert not old.exists()
    assert young.exists()


def test_rows_that_cannot_be_written_take_the_folder_with_them(
    sound: Path, store: Store, thaw_home: Path
) -> None:
    with store.engine.connect() as connection:
        connection.exec_driver_sql(
            "create trigger no_more before insert on events begin "
            "select raise(abort, 'no more events'); end"
        )
        connection.commit()
    text = refused(store, sound, thaw_home)
    assert "no more events" in text


def test_many_at_once_come_in_once(sound: Path, store: Store, thaw_home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.runs.store import Store; "
        "from engine.runs.importing import import_file; "
        "print(import_file(Store(), Path(sys.argv[1])).outcome)"
    )
    command = [sys.executable, "-c", code, str(sound)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outcomes = sorted(one.communicate()[0].strip() for one in started)
    assert outcomes == ["added", "known", "known", "known"]
    assert len(store.all_runs()) == 1
    assert len(list((thaw_home / "runs").iterdir())) == 1
