"""The queue looks after itself: real processes, killed without warning."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.errors import SpecError
from engine.events import Status
from engine.home import run_folder
from engine.runs import process as process_module
from engine.runs import queue as queue_module
from engine.runs.process import is_alive
from engine.runs.queue import enqueue, num_gpus, num_slots, tend
from engine.runs.store import Run, Store
from engine.runs.worker import TRACEBACK_FILE
from engine.training.checkpoint import load_checkpoint
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

START_SECONDS = 180.0
NOTICE_SECONDS = 15.0
FOREVER = {"training.epochs": 1000, "strategy.name": "full"}


def supervisors() -> list[psutil.Process]:
    """The supervisors that this process started and that still live."""
    return [child for child in psutil.Process().children() if is_supervisor(child)]


def is_supervisor(child: psutil.Process) -> bool:
    try:
        return "engine.runs.supervisor" in child.cmdline()
    except psutil.Error:
        # It has just ended.
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, either_database: str) -> Iterator[Store]:
    """A store with room for one run at a time; whatever its runs started is ended afterwards."""
    monkeypatch.setenv("THAW_MAX_RUNS", "1")
    opened = Store()
    yield opened
    for supervisor in supervisors():
        supervisor.kill()
        supervisor.wait(timeout=60)
    for run in opened.all_runs():
        opened.request_stop(run.id)
        is_ours = run.pid not in (None, os.getpid())
        if is_ours and run.pid and is_alive(run.pid, run.pid_started or 0.0):
            os.killpg(run.pid, signal.SIGKILL)
    for child in process_module._STARTED:
        child.poll()
    opened.close()


def wait_until(store: Store, run: Run, *statuses: Status, seconds: float = START_SECONDS) -> Run:
    def reached() -> Run | None:
        now = store.run(run.id)
        if now.status in statuses:
            return now
        assert now.is_active, f"{now.status}: {now.reason}"
        return None

    return wait_for(reached, seconds, f"{statuses}, it is {store.run(run.id).status}")


def wait_for_process(store: Store, run: Run) -> Run:
    def started() -> Run | None:
        now = store.run(run.id)
        return now if now.status == "running" and now.pid is not None else None

    return wait_for(started, START_SECONDS, "the run's process")


def wait_for_epochs(store: Store, run: Run, number: int) -> None:
    wait_for(lambda: len(store.epochs(run.id)) >= number, START_SECONDS, f"{number} epochs")


# ---- runs start and end by themselves

LAUNCH = """
import sys
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.spec import RunSpec

store = Store()
specs = [RunSpec.parse(text) for text in sys.argv[1:]]
print(*[run.id for run in enqueue(store, [("tiny", spec) for spec in specs])])
store.close()
"""


def test_waiting_runs_start_in_order_with_nobody_watching(store: Store, tiny_folder: Path) -> None:
    spec = tiny_spec(tiny_folder).model_dump_json()
    launched = subprocess.check_output([sys.executable, "-c", LAUNCH, spec, spec], text=True)
    first, second = (store.run(run_id) for run_id in launched.split())
    wait_for_process(store, first)
    assert store.run(second.id).status == "queued"
    first = wait_until(store, first, "finished", seconds=120)
    second = wait_until(store, second, "finished", seconds=120)
    assert second.started_at is not None
    assert first.ended_at is not None
    assert second.started_at >= first.ended_at
    for run in (first, second):
        seqs = [event.seq for event in store.events(run.id)]
        assert seqs == list(range(1, run.last_seq + 1))
        assert len(store.epochs(run.id)) == 2
        _, header = load_checkpoint(Path(run.summary["checkpoint"]))
        assert header.epoch == run.summary["best_epoch"]
        assert header.val_accuracy == run.summary["best_val_accuracy"]
        assert run.summary["classes"] == 3
        assert (run_folder(run.id) / "spec.json").is_file()
    told = [event.values["status"] for event in store.events(second.id) if event.kind == "status"]
    assert told == ["queued", "running", "finished"]


def test_a_run_that_fails_says_why(store: Store, own_folder: Path) -> None:
    for file in (own_folder / "birds").iterdir():
        file.write_bytes(b"no picture")
    [run] = enqueue(store, [("broken", tiny_spec(own_folder))])
    run = wait_until(store, run, "failed")
    assert "'birds'" in run.reason
    assert "8 cannot be read" in run.reason
    assert "Traceback" not in run.reason
    written = (run_folder(run.id) / TRACEBACK_FILE).read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in written
    assert "DataError" in written


# ---- processes are killed


def test_a_killed_worker_is_interrupted_soon_and_the_next_run_starts(
    store: Store, tiny_folder: Path
) -> None:
    spec = tiny_spec(tiny_folder, FOREVER)
    first, second = enqueue(store, [("first", spec), ("second", spec)])
    pid = wait_for_process(store, first).pid
    assert pid is not None
    kill(pid)
    killed_at = time.monotonic()
    first = wait_until(store, first, "interrupted", seconds=NOTICE_SECONDS)
    assert time.monotonic() - killed_at <= NOTICE_SECONDS
    assert "killed" in first.reason
    assert first.ended_at is not None
    second = wait_for_process(store, second)
    assert second.pid != pid


def test_a_killed_supervisor_leaves_training_going_and_tend_starts_another(
    store: Store, tiny_folder: Path
) -> None:
    first, second = enqueue(
        store,
        [("first", tiny_spec(tiny_folder, FOREVER)), ("second", tiny_spec(tiny_folder))],
    )
    pid = wait_for_process(store, first).pid
    [supervisor] = supervisors()
    supervisor.kill()
    supervisor.wait(timeout=60)
    wait_for_epochs(store, first, 1)
    tend(store)
    assert store.run(first.id).status == "running"
    assert store.run(first.id).pid == pid
    assert store.run(second.id).status == "queued"
    wait_for(supervisors, 60, "another supervisor")
    store.request_stop(first.id)
    wait_until(store, first, "stopped")
    wait_for_process(store, second)


def test_a_worker_killed_while_no_supervisor_lives_is_seen_by_whoever_looks(
    store: Store, tiny_folder: Path
) -> None:
    [run] = enqueue(store, [("alone", tiny_spec(tiny_folder, FOREVER))])
    pid = wait_for_process(store, run).pid
    assert pid is not None
    [supervisor] = supervisors()
    supervisor.kill()
    supervisor.wait(timeout=60)
    kill(pid)

    def noticed() -> bool:
        tend(store)
        return store.run(run.id).status == "interrupted"

    wait_for(noticed, NOTICE_SECONDS, "the run to be seen as interrupted")
    assert "without a word" in store.run(run.id).reason


# ---- runs are stopped


def test_a_running_run_stops_and_keeps_its_best_epoch(store: Store, tiny_folder: Path) -> None:
    [run] = enqueue(store, [("long", tiny_spec(tiny_folder, FOREVER))])
    wait_for_epochs(store, run, 2)
    store.request_stop(run.id)
    assert store.run(run.id).status in {"stopping", "stopped"}
    run = wait_until(store, run, "stopped")
    assert run.reason == "stopped by hand"
    _, header = load_checkpoint(Path(run.summary["checkpoint"]))
    assert header.epoch == run.summary["best_epoch"]
    told = [event.values["status"] for event in store.events(run.id) if event.kind == "status"]
    assert told == ["queued", "running", "stopping", "stopped"]


def test_a_stopped_waiting_run_never_starts(store: Store, tiny_folder: Path) -> None:
    spec = tiny_spec(tiny_folder, FOREVER)
    first, second, third = enqueue(store, [("a", spec), ("b", spec), ("c", spec)])
    wait_for_process(store, first)
    store.request_stop(second.id)
    assert store.run(second.id).status == "stopped"
    store.request_stop(first.id)
    wait_for_process(store, third)
    assert store.run(second.id).started_at is None


def test_looking_at_a_tended_queue_starts_no_process(
    store: Store, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny_spec(tiny_folder, FOREVER)
    first, _ = enqueue(store, [("first", spec), ("second", spec)])
    wait_for_process(store, first)
    started: list[Any] = []
    monkeypatch.setattr(queue_module, "start_detached", lambda *args: started.append(args))
    for _ in range(5):
        tend(store)
    assert started == []


# ---- how many at once


def test_one_run_at_once_without_a_gpu_and_one_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for visible, gpus, slots in [("", 0, 1), ("-1", 0, 1), ("0", 1, 1), ("0,2,3", 3, 3)]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert num_gpus() == gpus
        assert num_slots() == slots


def test_the_number_at_once_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_MAX_RUNS", "3")
    assert num_slots() == 3


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", "", " ", "²"])
def test_a_wrong_number_at_once_is_refused(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("THAW_MAX_RUNS", wanted)
    with pytest.raises(SpecError, match="must be a whole number of at least 1"):
        num_slots()


def test_a_wrong_number_at_once_queues_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_MAX_RUNS", "none")
    with pytest.raises(SpecError):
        enqueue(store, [("tiny", tiny_spec("photos"))])
    assert store.all_runs() == []
