"""Runs that do not stop when they are asked to: real processes that hang."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from engine.errors import SpecError
from engine.runs.process import machine_name, process_started
from engine.runs.queue import enqueue, tend
from engine.runs.stopping import end_overdue, stop_seconds
from engine.runs.store import Run, Store
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

HANGS = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""

Hung = tuple[Run, "subprocess.Popen[str]", psutil.Process]


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def hung(store: Store) -> Iterator[Hung]:
    """A run whose process hangs, that process, and one that it started."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    helper = psutil.Process(int(process.stdout.readline()))
    [run] = store.add_runs([("hangs", tiny_spec("photos"))])
    store.set_status(run.id, "running")
    store.set_process(run.id, machine_name(), process.pid, process_started(process.pid) or 0.0)
    yield store.run(run.id), process, helper
    for one in (process, helper):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait(timeout=60)
    process.stdout.close()


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_run_that_hangs_is_ended_with_all_that_it_started_when_its_time_is_over(
    store: Store, hung: Hung, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, process, helper = hung
    store.request_stop(run.id)
    assert end_overdue(store) == []
    assert process.poll() is None
    monkeypatch.setenv("THAW_STOP_SECONDS", "0")
    tend(store)
    assert process.wait(timeout=60) == -signal.SIGKILL
    wait_for(lambda: is_gone(helper), 60, "its helper to be gone")
    ended = store.run(run.id)
    assert ended.status == "stopped"
    assert "did not stop within 0 seconds" in ended.reason
    assert end_overdue(store) == []


def test_nobody_ends_a_run_that_was_not_asked_to_stop(
    store: Store, hung: Hung, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_STOP_SECONDS", "0")
    run, process, _ = hung
    assert end_overdue(store) == []
    assert (process.poll(), store.run(run.id).status) == (None, "running")


@pytest.mark.parametrize("fault", ["another start", "another machine", "no process"])
def test_a_stranger_is_never_ended(
    store: Store, hung: Hung, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("THAW_STOP_SECONDS", "0")
    run, process, _ = hung
    started = process_started(process.pid)
    assert started is not None
    if fault == "another start":
        store.set_process(run.id, machine_name(), process.pid, started - 0.01)
    elif fault == "another machine":
        store.set_process(run.id, "elsewhere.example 0123abcd", process.pid, started)
    else:
        [run] = store.add_runs([("claimed", tiny_spec("photos"))])
        store.set_status(run.id, "running")
    store.request_stop(run.id)
    assert end_overdue(store) == []
    assert process.poll() is None
    assert store.run(run.id).status == "stopping"


@pytest.mark.parametrize("wanted", ["-1", "soon", "inf", "nan", ""])
def test_a_wrong_time_is_refused_before_a_run_is_queued(
    store: Store, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("THAW_STOP_SECONDS", wanted)
    with pytest.raises(SpecError, match="must be a number of seconds"):
        enqueue(store, [("tiny", tiny_spec("photos"))])
    assert store.all_runs() == []


def test_the_time_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_STOP_SECONDS", "2.5")
    assert stop_seconds() == 2.5
