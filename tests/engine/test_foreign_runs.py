"""Files of runs from strangers: refused in a sentence, and nothing of them is left behind."""

import os
import random
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RunFileError
from engine.insight.compare import report
from engine.runs import unpacking
from engine.runs.importing import import_file
from engine.runs.run_file import EVENTS, RUN
from engine.runs.store import Store
from tests.engine.foreign import (
    INFINITE,
    NOT_A_NUMBER,
    Members,
    is_empty,
    members,
    put,
    refused,
    sound,
    store,
)
from tests.engine.hostile.run_files import (
    fitting,
    packed,
    with_document,
)
from tests.engine.hostile.zips import ENCRYPTED, LINK, ZipEntry
from tests.engine.hostile.zips import packed as packed_lying
from tests.engine.moved import at_home

__all__ = ["members", "sound", "store"]


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
