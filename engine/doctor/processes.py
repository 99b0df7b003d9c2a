"""Runs and the processes that should be at work on them."""

import time

from filelock import FileLock, Timeout

from engine.doctor.database import NoStoreError, all_runs
from engine.doctor.finding import Finding, fault, few, not_applicable, ok, warning
from engine.events import WORKING
from engine.home import home_path
from engine.runs.queue import LOCK_FILE, mark_interrupted, start_supervisor
from engine.runs.signs import why_dead
from engine.runs.store import Store

FUTURE_SECONDS = 120.0
# No run was made before.
EARLIEST = 1_700_000_000.0


def dead_runs() -> Finding:
    """Looks for runs that are said to go on and whose process is gone."""
    try:
        working = [run for run in all_runs() if run.status in WORKING]
    except NoStoreError as none:
        return not_applicable(str(none))
    dead = [run.id for run in working if why_dead(run)]
    if not dead:
        return ok(f"{len(working)} runs go on, each with its process.", running=len(working))
    return Finding(
        "fault",
        f"{len(dead)} runs are said to go on, and their process is gone: {few(dead)}.",
        "Run `thaw doctor --mend`, or open Thaw: they are marked as interrupted.",
        {"runs": dead},
        _mark,
    )


def supervisor() -> Finding:
    """Looks whether somebody starts the runs that wait."""
    try:
        waiting = [run.id for run in all_runs() if run.status == "queued"]
    except NoStoreError as none:
        return not_applicable(str(none))
    if not waiting:
        return ok("No run waits.")
    if _at_work():
        return ok(f"{len(waiting)} runs wait, and the process that starts them is at work.")
    return Finding(
        "fault",
        f"{len(waiting)} runs wait, and no process is there to start them.",
        "Run `thaw doctor --mend`, or open Thaw: it starts one.",
        {"runs": waiting},
        _start,
    )


def clock() -> Finding:
    """Looks whether the clock can be right: no run comes from the future."""
    now = time.time()
    if now < EARLIEST:
        return fault("The clock of this machine is years behind.", "Set it, best by NTP.")
    try:
        runs = all_runs()
    except NoStoreError:
        return ok("The clock is plausible.")
    ahead = {
        run.id: max(run.created_at, run.started_at or 0.0, run.beat_at or 0.0) - now for run in runs
    }
    late = [run_id for run_id, seconds in ahead.items() if seconds > FUTURE_SECONDS]
    if not late:
        return ok("The clock is plausible: no run comes from the future.")
    most = max(ahead.values()) / 3600
    return warning(
        f"{len(late)} runs come from the future, by up to {most:,.1f} hours: {few(late)}.",
        "Set the clock of this machine, and of others that use this store, best by NTP.",
        runs=late,
    )


def _at_work() -> bool:
    lock = home_path() / LOCK_FILE
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _mark() -> list[str]:
    store = Store()
    try:
        return [f"Run {run_id} was marked as interrupted." for run_id in mark_interrupted(store)]
    finally:
        store.close()


def _start() -> list[str]:
    start_supervisor()
    until = time.monotonic() + 10.0
    while not _at_work() and time.monotonic() < until:
        time.sleep(0.1)
    return ["The process that starts waiting runs was started."]
