"""What a run's log tells once its process has died, in whatever way."""

import os
import signal
import subprocess
import sys

import pytest

from engine.logs.lines import LogEntry, one_line
from engine.logs.places import run_log, service_log
from engine.logs.reading import last_entries
from engine.runs.process import machine_name, process_started
from engine.runs.queue import enqueue
from engine.runs.store import Run, Store
from engine.runs.supervisor import _tend
from engine.spec import RunSpec
from tests.engine.waiting import wait_for

# A worker whose training does what it is told; it is otherwise the real one.
WORKER = """
import os, signal, sys
import engine.runs.worker as worker
from engine.logs import start_logs
def train(*_):
    {what}
worker._train = train
start_logs("worker", run=sys.argv[1])
sys.exit(worker.main(sys.argv[1]))
"""


@pytest.fixture
def run() -> Run:
    """A run that is said to go on."""
    store = Store()
    [made] = store.add_runs([("A", RunSpec.parse({"data": {"folder": "/nowhere"}}))])
    store.claim_next(1, "here")
    store.close()
    return made


def log_of(run_id: str) -> list[LogEntry]:
    return last_entries(run_log(run_id).parts, 100)[0]


def die(run: Run, what: str) -> list[LogEntry]:
    """Lets the run's process do something, and gives it its end as the supervisor does."""
    code = WORKER.format(what=what)
    done = subprocess.run([sys.executable, "-P", "-c", code, run.id], check=False, timeout=120)
    bury = (
        "import sys; from engine.logs import start_logs; from engine.runs.store import Store; "
        "from engine.runs.supervisor import _bury; start_logs('supervisor'); "
        "_bury(Store(), sys.argv[1], int(sys.argv[2]))"
    )
    command = [sys.executable, "-P", "-c", bury, run.id, str(done.returncode)]
    subprocess.run(command, check=True, timeout=120)
    return log_of(run.id)


def test_by_an_exception(run: Run) -> None:
    entries = die(run, "raise RuntimeError('no luck with token=abcdef')")
    told = {entry.event: entry for entry in entries}
    assert list(told) == ["worker begins", "training failed", "run failed", "worker ended"]
    failed = told["training failed"]
    assert failed.fields["error"] == "RuntimeError"
    assert failed.fields["traceback"].endswith("RuntimeError: no luck with token=***")
    assert "in train" in failed.fields["traceback"]
    assert told["worker ended"].fields == {"exit_code": 0}


def test_by_a_kill(run: Run) -> None:
    entries = die(run, "os.kill(os.getpid(), signal.SIGKILL)")
    assert [entry.event for entry in entries] == [
        "worker begins",
        "worker ended",
        "run interrupted",
    ]
    assert entries[1].fields == {"killed_by": "SIGKILL"}
    assert entries[1].level == "ERROR"


def test_by_a_crash_of_a_library(run: Run) -> None:
    entries = die(run, "import faulthandler; faulthandler._sigsegv()")
    assert [entry.event for entry in entries] == [
        "worker begins",
        "text",
        "worker ended",
        "run interrupted",
    ]
    assert "Segmentation fault" in one_line(entries[1])
    assert "in train" in entries[1].fields["traceback"]
    assert entries[2].fields == {"killed_by": "SIGSEGV"}


def test_by_leaving_without_a_word(run: Run) -> None:
    entries = die(run, "os._exit(3)")
    assert [entry.event for entry in entries][1:] == ["worker ended", "run failed"]
    assert entries[1].fields == {"exit_code": 3}


def test_a_real_run_that_is_killed_from_outside(thaw_home: object) -> None:
    store = Store()
    [made] = enqueue(store, [("A", RunSpec.parse({"data": {"folder": "/nowhere"}}))])

    def events() -> list[str]:
        return [entry.event for entry in log_of(made.id)]

    wait_for(lambda: "worker begins" in events(), 120, "the worker to begin")
    pid = store.run(made.id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not store.run(made.id).is_active, 60, "the run to end")
    service = service_log().parts
    wait_for(
        lambda: last_entries(service, 1)[0][0].event == "supervisor ended",
        60,
        "the supervisor to leave",
    )
    store.close()
    assert events()[:3] == ["run claimed", "worker started", "worker begins"]
    assert events()[-2:] == ["worker ended", "run interrupted"]


class DiesAfterTheLook(subprocess.Popen[bytes]):
    """A process that lived when it was asked first, and has died since."""

    asked = False

    def poll(self) -> int | None:
        if self.asked:
            return super().poll()
        self.asked = True
        self.kill()
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return None


def test_a_worker_that_dies_between_two_looks_is_told_of_by_its_exit_code(run: Run) -> None:
    worker = DiesAfterTheLook(["sleep", "600"])
    started = process_started(worker.pid)
    assert started is not None
    store = Store()
    store.set_process(run.id, machine_name(), worker.pid, started)
    workers: dict[str, subprocess.Popen[bytes]] = {run.id: worker}
    assert _tend(store, 1, workers)
    assert store.run(run.id).is_active
    assert not _tend(store, 1, workers)
    ended = store.run(run.id)
    assert (ended.status, ended.reason) == (
        "interrupted",
        "The training process was killed (signal 9).",
    )
    store.close()
