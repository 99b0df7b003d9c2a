"""The queue: which runs wait, which go on, and who looks after them."""

import os
import shutil
import subprocess
from collections.abc import Container, Sequence

from filelock import FileLock, Timeout

from engine.errors import SpecError
from engine.events import WORKING
from engine.home import thaw_home
from engine.runs.process import start_detached
from engine.runs.signs import why_dead
from engine.runs.stopping import end_overdue, stop_seconds
from engine.runs.store import Run, Store
from engine.runs.trash import empty_trash
from engine.spec import RunSpec

LOCK_FILE = "supervisor.lock"


def num_slots() -> int:
    """Returns how many runs may go on at once: THAW_MAX_RUNS, or one a GPU, or 1.

    Raises:
        SpecError: THAW_MAX_RUNS is not a whole number of at least 1.
    """
    wanted = os.environ.get("THAW_MAX_RUNS")
    if wanted is None:
        return max(1, num_gpus())
    if not wanted.isdecimal() or int(wanted) < 1:
        raise SpecError(f"THAW_MAX_RUNS is {wanted!r}; it must be a whole number of at least 1.")
    return int(wanted)


def num_gpus() -> int:
    """Returns the number of CUDA GPUs that runs may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in {"", "-1"}])
    if shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def enqueue(store: Store, named_specs: Sequence[tuple[str, RunSpec]]) -> list[Run]:
    """Puts runs of one group in the queue and sees to it that they start by themselves.

    Raises:
        SpecError: THAW_MAX_RUNS or THAW_STOP_SECONDS is no fit number.
    """
    num_slots()
    stop_seconds()
    added = store.add_runs(named_specs)
    start_supervisor()
    return added


def resume(store: Store, run_id: str) -> bool:
    """Puts a run that ended before its time in the queue again; returns whether it was one.

    It goes on after the last step that it kept, or from its beginning where there is none.
    """
    again = store.reopen(run_id)
    if again:
        start_supervisor()
    return again


def retry(store: Store, run: Run) -> Run:
    """Puts a new run with the settings of another in the queue; that one stays as it is.

    What a person steered by hand is not done again; see replay for that.
    """
    return enqueue(store, [(run.name, run.spec)])[0]


def start_supervisor() -> None:
    """Starts the process that starts waiting runs; it ends at once where one is at work."""
    start_detached(["engine.runs.supervisor"], thaw_home() / "supervisor.log")


def tend(store: Store) -> None:
    """Brings the store in line with reality: marks dead runs, ends hung ones, starts waiting ones.

    Whoever looks at runs calls this first, so that after a crash or a reboot the first look finds
    true statuses.
    """
    mark_interrupted(store)
    end_overdue(store)
    empty_trash(store)
    if store.all_runs(("queued",)) and not supervisor_at_work():
        start_supervisor()


def supervisor_at_work() -> bool:
    """Returns whether a supervisor of this THAW_HOME holds its lock."""
    try:
        with FileLock(thaw_home() / LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True


def mark_interrupted(store: Store, but_not: Container[str] = ()) -> list[str]:
    """Marks runs whose process is gone, and returns their ids.

    Args:
        store: where the runs are.
        but_not: ids of runs to leave alone: a parent learns from its child's exit code how the
            child ended, and says so itself.
    """
    gone: list[str] = []
    for run in store.all_runs(WORKING):
        reason = None if run.id in but_not else why_dead(run)
        if reason and store.set_status(run.id, "interrupted", reason, only_from=WORKING):
            gone.append(run.id)
    return gone
