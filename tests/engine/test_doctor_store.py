"""`thaw doctor` on the store, on runs and on what lies about: each fault is really made."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from engine.caching import ArrayCache
from engine.doctor import (
    leftovers,
    processes,
)
from engine.doctor import states as state_checks
from engine.doctor import store as store_checks
from engine.doctor.database import looking
from engine.doctor.examine import repair
from engine.doctor.finding import Named
from engine.home import run_folder
from engine.runs.process import machine_name
from engine.runs.queue import LOCK_FILE
from engine.runs.store import Run, Store
from engine.runs.tables import SCHEMA_VERSION
from tests.engine.doctored import folder_of, run, store

__all__ = ["run", "store"]


# ---- the store


def test_no_store_yet() -> None:
    assert store_checks.store().verdict == "ok"
    assert store_checks.integrity().verdict == "not applicable"
    assert store_checks.journal().verdict == "ok"
    assert processes.dead_runs().verdict == "not applicable"


def test_a_sound_store(store: Store, run: Run) -> None:
    assert f"schema {SCHEMA_VERSION}" in store_checks.store().found
    assert store_checks.integrity().verdict == "ok"
    found = store_checks.journal()
    assert (found.verdict, found.facts["mode"]) == ("ok", "delete")


def test_nothing_can_be_written_while_looking(store: Store, run: Run) -> None:
    with looking() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM runs")


def test_a_damaged_store(store: Store, run: Run, thaw_home: Path) -> None:
    store.close()
    file = thaw_home / "thaw.db"
    content = bytearray(file.read_bytes())
    for at in range(4096 + 8, len(content), 4096):
        content[at : at + 200] = b"\xff" * 200
    file.write_bytes(content)
    assert store_checks.integrity().verdict == "fault"
    file.write_bytes(b"this is no database" * 99)
    for found in (store_checks.store(), store_checks.integrity()):
        assert found.verdict == "fault"
        assert "not a database" in found.found
    file.unlink()
    file.mkdir()
    assert store_checks.store().verdict == "fault"


def test_a_store_of_another_schema(store: Store, thaw_home: Path) -> None:
    for version, verdict in ((SCHEMA_VERSION + 1, "fault"), (SCHEMA_VERSION - 1, "ok")):
        with sqlite3.connect(thaw_home / "thaw.db") as connection:
            connection.execute("UPDATE schema_versions SET version = ?", [version])
        connection.close()
        assert store_checks.store().verdict == verdict
        assert processes.supervisor().verdict == "not applicable"


@pytest.mark.parametrize(("version", "verdict"), [((3, 40, 1), "fault"), ((3, 51, 3), "warning")])
def test_a_write_ahead_log(
    store: Store,
    thaw_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int, int],
    verdict: str,
) -> None:
    store.close()
    connection = sqlite3.connect(thaw_home / "thaw.db")
    connection.execute("PRAGMA journal_mode = WAL")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    found = store_checks.journal()
    connection.close()
    assert (found.verdict, found.facts["mode"]) == (verdict, "wal")


def test_events_of_runs_that_are_not_there(store: Store, thaw_home: Path) -> None:
    connection = sqlite3.connect(thaw_home / "thaw.db")
    connection.execute("INSERT INTO events VALUES ('gone', 1, 0.0, 'step', 1, 1, '{}')")
    connection.commit()
    connection.close()
    assert store_checks.integrity().verdict == "warning"


KILLED_WHILE_WRITING = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE filler (content)")
for _ in range(500):
    connection.execute("INSERT INTO filler VALUES (?)", ["x" * 4000])
os.kill(os.getpid(), 9)
"""


def test_a_store_whose_writer_was_killed(store: Store, run: Run, thaw_home: Path) -> None:
    store.close()
    file = thaw_home / "thaw.db"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(file)], check=False)
    journal = file.with_name("thaw.db-journal")
    assert journal.stat().st_size
    before = folder_of(thaw_home)
    found = store_checks.store()
    assert found.verdict == "warning"
    assert "killed" in found.found
    assert folder_of(thaw_home) == before
    again = Store()
    assert [one.id for one in again.all_runs()] == [run.id]
    again.close()
    assert store_checks.store().verdict == "ok"


def test_a_database_that_is_not_there_and_its_password_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for scheme in ("postgresql", "postgresql+psycopg", "oracle+nothing"):
        monkeypatch.setenv("THAW_DATABASE_URL", f"{scheme}://me:open-sesame@127.0.0.1:9/thaw")
        found = store_checks.store()
        assert found.verdict == "fault", found
        assert "open-sesame" not in json.dumps(Named("store", found).to_dict())
    assert store_checks.integrity().verdict == "not applicable"
    assert processes.dead_runs().verdict == "not applicable"


# ---- runs and processes


def test_a_run_whose_process_is_gone_is_found_and_mended(store: Store, run: Run) -> None:
    assert processes.dead_runs().verdict == "ok"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store.claim_next(1, machine_name())
    store.set_process(run.id, machine_name(), gone.pid, time.time())
    found = processes.dead_runs()
    assert found.verdict == "fault"
    assert run.id in found.found
    assert store.run(run.id).status == "running"
    after, done = repair({"dead runs": processes.dead_runs}, [Named("dead runs", found)])
    assert after[0].finding.verdict == "ok"
    assert done == [f"Run {run.id} was marked as interrupted."]
    assert store.run(run.id).status == "interrupted"


def test_runs_that_wait_for_nobody(
    store: Store, run: Run, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = processes.supervisor()
    assert found.verdict == "fault"
    assert found.facts["runs"] == [run.id]
    lock = FileLock(thaw_home / LOCK_FILE)
    with lock:
        assert processes.supervisor().verdict == "ok"
    assert processes.supervisor().verdict == "fault"
    monkeypatch.setattr(processes, "start_supervisor", lock.acquire)
    after, done = repair({"waiting": processes.supervisor}, [Named("waiting", found)])
    assert after[0].finding.verdict == "ok"
    assert done == ["The process that starts waiting runs was started."]
    lock.release()
    store.request_stop(run.id)
    assert processes.supervisor().verdict == "ok"


def test_runs_from_the_future(
    store: Store, run: Run, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert processes.clock().verdict == "ok"
    with sqlite3.connect(thaw_home / "thaw.db") as connection:
        connection.execute("UPDATE runs SET created_at = ?", [time.time() + 7200])
    connection.close()
    found = processes.clock()
    assert found.verdict == "warning"
    assert "2.0 hours" in found.found
    monkeypatch.setattr(processes.time, "time", lambda: 3600.0)
    assert processes.clock().verdict == "fault"


# ---- what lies about


def test_folders_without_a_run_and_runs_without_a_folder(store: Store, run: Run) -> None:
    assert leftovers.run_folders().verdict == "ok"
    store.claim_next(1, machine_name())
    assert run.id in leftovers.run_folders().facts["without_a_folder"]
    run_folder(run.id).mkdir(parents=True)
    assert leftovers.run_folders().verdict == "ok"
    run_folder("cafe0123").mkdir()
    found = leftovers.run_folders()
    assert found.verdict == "warning"
    assert "cafe0123" in found.found
    # It may hold weights that somebody needs.
    assert found.repair is None


def test_only_what_thaw_left_half_written_long_ago_is_removed(thaw_home: Path) -> None:
    ours = [
        thaw_home / "datasets" / ".0123456789abcdef.part" / "cats" / "a.jpg",
        thaw_home / "runs" / "r1" / ".best.safetensors.01234567.part",
        thaw_home / "cache" / "features" / f"{'ab' * 16}.01234567.gone" / "array.npy",
        thaw_home / "cache" / "limit" / ".x.json.89abcdef.part",
    ]
    others = [
        thaw_home / "datasets" / "my.part" / "a.jpg",
        thaw_home / "datasets" / ".mine.part" / "a.jpg",
        thaw_home / "runs" / "r1" / "best.safetensors",
        thaw_home / "datasets" / "pets" / ".a.jpg.01234567.part",
    ]
    young = thaw_home / "datasets" / ".fedcba9876543210.part" / "a.jpg"
    old = time.time() - 2 * 86_400
    for file in (*ours, *others, young):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    for path in thaw_home.rglob("*"):
        os.utime(path, (old, old))
    os.utime(young)
    found = leftovers.unfinished()
    assert found.verdict == "warning"
    assert len(found.facts["paths"]) == len(ours)
    after, done = repair({"left": leftovers.unfinished}, [Named("left", found)])
    assert after[0].finding.verdict == "ok"
    assert len(done) == len(ours)
    assert [file.exists() for file in (*ours, *others, young)] == [False] * 4 + [True] * 5


def test_a_cache_over_its_limit_is_found_and_mended(
    thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert leftovers.cache_room().verdict == "not applicable"
    for number in range(3):
        ArrayCache("features").get({"n": number}, "x", (300_000,), "uint8", lambda array: None)
    assert leftovers.cache_room().verdict == "ok"
    monkeypatch.setenv("THAW_CACHE_GIB", "0.0005")
    found = leftovers.cache_room()
    assert found.verdict == "warning"
    after, done = repair({"caches": leftovers.cache_room}, [Named("caches", found)])
    assert after[0].finding.verdict == "ok"
    assert len(done) == 1
    monkeypatch.setenv("THAW_CACHE_GIB", "much")
    assert leftovers.cache_room().verdict == "not applicable"


def test_states_that_are_torn_or_altered(thaw_home: Path) -> None:
    import torch

    from engine.training.state import State, StateKeeper, state_files

    assert state_checks.states().verdict == "ok"
    folder = thaw_home / "runs" / "r1"
    folder.mkdir(parents=True)
    keeper = StateKeeper(folder)
    for epoch in (1, 2):
        keeper.write(State(epoch, {"w": torch.ones(5000)}, {}))
    assert state_checks.states().found.startswith("All 2 states")
    newest, before = state_files(folder)
    content = bytearray(before.read_bytes())
    content[-10] ^= 1
    before.write_bytes(content)
    newest.write_bytes(newest.read_bytes()[:-100])
    found = state_checks.states()
    assert found.verdict == "warning"
    assert set(found.facts["damaged"]) == {str(newest), str(before)}
    assert "checksum" in found.facts["damaged"][str(before)]


def test_best_weights_that_are_torn(thaw_home: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = thaw_home / "runs" / "r1"
    folder.mkdir(parents=True)
    file = folder / "best.safetensors"
    save_file({"w": torch.ones(5000)}, file)
    assert state_checks.weights_of_runs().verdict == "ok"
    file.write_bytes(file.read_bytes()[:-1])
    found = state_checks.weights_of_runs()
    assert found.verdict == "fault"
    assert "r1" in found.found
