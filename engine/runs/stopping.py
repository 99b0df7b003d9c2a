"""Runs that were asked to stop and do not: after a while their processes are ended."""

import os
import time

from engine.errors import SpecError
from engine.events import MetricEvent
from engine.runs.process import end_group, is_alive, machine_name
from engine.runs.store import Run, Store

STOP_SECONDS = 60.0


def stop_seconds() -> float:
    """Returns how long a run may take to stop: THAW_STOP_SECONDS, or 60.

    Raises:
        SpecError: THAW_STOP_SECONDS is no number of seconds.
    """
    wanted = os.environ.get("THAW_STOP_SECONDS")
    if wanted is None:
        return STOP_SECONDS
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise SpecError(f"THAW_STOP_SECONDS is {wanted!r}; it must be a number of seconds.")
    return seconds


def end_overdue(store: Store) -> list[str]:
    """Ends the processes of this machine's runs that do not stop in time, and returns their ids.

    What such a run kept stays, and it can be resumed.
    """
    return [
        run.id
        for run in store.all_runs(("stopping",))
        if _is_overdue(store, run) and _end(store, run)
    ]


def _is_overdue(store: Store, run: Run) -> bool:
    if run.host != machine_name() or run.pid is None or run.pid_started is None:
        return False
    asked = [event for event in store.events_of_kind(run.id, "status") if _asks(event)]
    return bool(asked) and time.time() - asked[-1].time > stop_seconds()


def _asks(event: MetricEvent) -> bool:
    return event.values.get("status") == "stopping"


def _end(store: Store, run: Run) -> bool:
    assert run.pid is not None
    assert run.pid_started is not None
    if not is_alive(run.pid, run.pid_started):
        return False
    reason = (
        f"It did not stop within {stop_seconds():g} seconds and its processes were ended; what it "
        "had kept by then is there, and it can be resumed."
    )
    # First, so that nobody takes it for a run that was killed by a stranger.
    if not store.set_status(run.id, "stopped", reason, only_from=("stopping",)):
        return False
    end_group(run.pid, run.pid_started)
    return True
