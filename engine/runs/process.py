"""Processes that outlive the one that started them, and whether they still live."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from engine.redact import without_secrets

# Start times are told against the time of boot, which Linux gives in whole seconds of a clock that
# is being corrected all the time: two looks at one process differ by a second or more. No process
# ends, and another gets its number, within this time of its start.
SAME_START_SECONDS = 30.0

# Glibc hands blocks of more than 32 MiB back to the system at once, and the next step of training
# waits for the same memory to be cleared anew. Kept, it makes training of all of EfficientNet-Lite0
# 1.4 to 2.0 times as fast on two cores, and computing features 1.7 times; a run's peak memory grows
# by 5 to 15 %. Other C libraries do not know these settings.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11)}

_STARTED: list["subprocess.Popen[bytes]"] = []


def host_name() -> str:
    """Returns this machine's name, by which a process id is qualified."""
    return socket.gethostname()


def start_detached(
    arguments: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Starts `python -m ...` in a session of its own; closing the page or a shell leaves it alone.

    `-P` keeps the working folder off the module path: a person's own folder called `engine` would
    be taken for this package.

    Args:
        arguments: what follows `python -m`.
        log: file that its output is appended to.
        environment: its whole environment, this process's by default; what it says of memory is
            completed by KEEP_MEMORY.
    """
    _STARTED[:] = [child for child in _STARTED if child.poll() is None]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=KEEP_MEMORY
            | without_secrets(dict(os.environ if environment is None else environment)),
        )
    _STARTED.append(child)
    return child


def process_started(pid: int) -> float | None:
    """Returns when a living process started (seconds since the Unix epoch), None if it is gone.

    A zombie, which is dead but not yet collected by its parent, counts as gone.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Returns whether this very process lives, not a stranger that was given its number."""
    now_started = process_started(pid)
    return now_started is not None and abs(now_started - started) < SAME_START_SECONDS
