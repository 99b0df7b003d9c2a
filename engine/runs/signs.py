"""Signs of life: whether the process of a run is still there."""

import time
from dataclasses import dataclass

from engine.runs.process import host_name, is_alive, machine_name
from engine.runs.store import Run

SILENT_SECONDS = 12.0
# Clocks of two machines may differ by less.
OTHER_CLOCK_SECONDS = 600.0
# Who looks less often than this saw too little to judge by.
LOOK_SECONDS = 5.0


@dataclass
class _Seen:
    """What was last seen of a run; `at` and `since` in monotonic seconds."""

    beat_at: float | None
    since: float
    at: float


_SEEN: dict[str, _Seen] = {}


def why_dead(run: Run) -> str:
    """Returns in one sentence why a run that should go on does not, or nothing where it does."""
    if run.pid is not None and run.pid_started is not None and run.host == machine_name():
        if is_alive(run.pid, run.pid_started):
            return ""
        return "The training process ended without a word: it was killed or the machine went down."
    if _silent_seconds(run) <= SILENT_SECONDS:
        return ""
    return f"The training process gave no sign of life for {SILENT_SECONDS:.0f} seconds."


def _silent_seconds(run: Run) -> float:
    """Returns for how long a run has given no sign of life, as far as that can be told.

    The clock of another machine may be wrong, and any clock may be set back, so the time for which
    no new sign was seen from here counts, too.
    """
    now = time.monotonic()
    seen = _SEEN.get(run.id)
    if seen is None or seen.beat_at != run.beat_at or now - seen.at > LOOK_SECONDS:
        seen = _Seen(run.beat_at, since=now, at=now)
    seen.at = now
    _SEEN[run.id] = seen
    by_clock = time.time() - (run.beat_at or 0.0)
    is_here = (run.host or "").partition(" ")[0] == host_name()
    if is_here or by_clock > OTHER_CLOCK_SECONDS:
        return max(by_clock, now - seen.since)
    return now - seen.since
