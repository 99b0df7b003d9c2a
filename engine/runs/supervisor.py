"""The process that starts waiting runs and notices when a training process dies.

It imports no torch, lives only while there is something to look after, and there is one a
THAW_HOME. If it is killed, training goes on, and whoever looks at the runs next starts another.

Run as `python -m engine.runs.supervisor`.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import ThawError
from engine.events import WORKING
from engine.home import run_folder, thaw_home
from engine.logs import note, start_logs
from engine.runs.patience import patiently
from engine.runs.process import machine_name, process_started, start_detached
from engine.runs.queue import LOCK_FILE, mark_interrupted, num_gpus, num_slots
from engine.runs.stopping import end_overdue
from engine.runs.store import Store

POLL_SECONDS = 0.2
LOCK_SECONDS = 10.0


def main() -> int:
    """Looks after the queue until it is empty; returns the exit code.

    Waits for the lock rather than giving up at once: the one who holds it may be about to leave,
    after it saw an empty queue and before the run came that this process was started for.
    """
    try:
        with FileLock(thaw_home() / LOCK_FILE, timeout=LOCK_SECONDS):
            note("supervisor", "supervisor started")
            _look_after(patiently(Store))
            note("supervisor", "supervisor ended", why="no run waits or goes on")
    except Timeout:
        return 0
    except ThawError as error:
        note("supervisor", "supervisor failed", logging.ERROR, reason=str(error))
        print(error, file=sys.stderr)
        return 1
    return 0


def _look_after(store: Store) -> None:
    slots = num_slots()
    workers: dict[str, subprocess.Popen[bytes]] = {}
    while patiently(partial(_tend, store, slots, workers)):
        time.sleep(POLL_SECONDS)


def _tend(store: Store, slots: int, workers: dict[str, "subprocess.Popen[bytes]"]) -> bool:
    """Looks at all runs once, and returns whether there is something left to look after."""
    for run_id in [run_id for run_id, worker in workers.items() if worker.poll() is not None]:
        _bury(store, run_id, workers[run_id].returncode)
        del workers[run_id]
    mark_interrupted(store, but_not=workers)
    end_overdue(store)
    while (claimed := store.claim_next(slots, machine_name())) is not None:
        workers[claimed[0]] = _start_worker(store, *claimed)
    return bool(workers or store.all_runs(("queued", *WORKING)))


def _start_worker(store: Store, run_id: str, slot: int) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ)
    gpus = num_gpus()
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
        environment["CUDA_VISIBLE_DEVICES"] = visible.split(",")[slot % gpus]
    log = run_folder(run_id) / "worker.log"
    worker = start_detached(["engine.runs.worker", run_id], log, environment)
    note("supervisor", "worker started", run=run_id, worker=worker.pid, slot=slot)
    started = process_started(worker.pid)
    if started is not None:
        patiently(partial(store.set_process, run_id, machine_name(), worker.pid, started))
    return worker


def _bury(store: Store, run_id: str, exit_code: int) -> None:
    """Gives a run a truthful end where its process left without doing so."""
    level = logging.INFO if exit_code == 0 else logging.ERROR
    note("supervisor", "worker ended", level, run=run_id, **_how(exit_code))
    if exit_code < 0:
        reason = f"The training process was killed (signal {-exit_code})."
        store.set_status(run_id, "interrupted", reason, only_from=WORKING)
    else:
        log = run_folder(run_id) / "worker.log"
        reason = f"The training process ended with exit code {exit_code}; its output is in {log}."
        store.set_status(run_id, "failed", reason, only_from=WORKING)


def _how(exit_code: int) -> dict[str, Any]:
    """Returns how a process ended, for the log."""
    if exit_code >= 0:
        return {"exit_code": exit_code}
    with contextlib.suppress(ValueError):
        return {"killed_by": signal.Signals(-exit_code).name}
    return {"killed_by": -exit_code}


if __name__ == "__main__":
    start_logs("supervisor")
    sys.exit(main())
