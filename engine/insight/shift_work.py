"""Judging under shift in a process of its own that outlives the page. No torch.

A key stands for which runs are judged on what; what they say is kept apart, by checkpoint and
images, so a run that is added later is judged alone.
"""

import hashlib
import json
from collections.abc import Sequence

from engine.runs.background import Work, WorkState
from engine.runs.store import Run

KIND = "shift"
MODULE = "engine.insight.shift_worker"
# So much is done without asking.
ASK_SECONDS = 120.0


def shift_work(key: str) -> Work:
    """Returns the judging of a key."""
    return Work(KIND, key, "Judging under shift")


def shift_key(runs: Sequence[Run], folder: str = "") -> str:
    """Returns what stands for judging some runs, in any order.

    Args:
        runs: to be judged.
        folder: of other images; empty for their validation images made worse.
    """
    text = json.dumps([sorted({run.id for run in runs}), folder])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shift_state(runs: Sequence[Run], folder: str = "") -> WorkState | None:
    """Returns how the judging of runs stands, None where there was none."""
    return shift_work(shift_key(runs, folder)).state()


def start_shift(runs: Sequence[Run], folder: str = "", images: int = 0, asks: bool = False) -> None:
    """Starts to judge runs as far as they are not yet, unless that goes on already.

    Args:
        runs: to be judged.
        folder: of other images; empty for their validation images made worse.
        images: of each run; 0 for all.
        asks: end after the first batch where all would take longer than ASK_SECONDS.
    """
    order = {"runs": [run.id for run in runs], "folder": folder, "images": images, "asks": asks}
    shift_work(shift_key(runs, folder)).start(MODULE, json.dumps(order))


def stop_shift(runs: Sequence[Run], folder: str = "") -> None:
    """Asks the judging to end; what was judged by then is kept."""
    shift_work(shift_key(runs, folder)).stop()
