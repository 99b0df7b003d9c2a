"""Processes that outlive the one that started them, and whether they still live."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

from engine.logs.output import cut_output
from engine.redact import without_secrets

# Linux tells when a process started in hundredths of a second since the machine was. Elsewhere the
# time is of a clock that is being corrected: two looks at one process differ by a second or more.
IS_LINUX = sys.platform.startswith("linux")
# Of the fields after the name, which may hold anything.
STATE_FIELD, START_FIELD = 0, 19
SAME_START_SECONDS = 0.001 if IS_LINUX else 30.0

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Glibc hands blocks of more than 32 MiB back to the system at once, and the next step of training
# waits for the same memory to be cleared anew. Kept, it makes training of all of EfficientNet-Lite0
# 1.4 to 2.0 times as fast on two cores, and computing features 1.7 times; a run's peak memory grows
# by 5 to 15 %. Other C libraries do not know these settings.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11)}

_STARTED: list["subprocess.Popen[bytes]"] = []


def host_name() -> str:
    """Returns this machine's name."""
    return socket.gethostname()


@cache
def machine_name() -> str:
    """Returns this machine's name and which start of it this is; a process id is unique in it."""
    try:
        return f"{host_name()} {BOOT_ID.read_text(encoding='ascii')[:8]}"
    except OSError:
        return host_name()


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
    cut_output(log)
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
    """Returns when a living process started, None if it is gone.

    In seconds since the machine was started on Linux, elsewhere since the Unix epoch. A zombie,
    which is dead but not yet collected by its parent, counts as gone.
    """
    return _started_on_linux(pid) if IS_LINUX else _started_elsewhere(pid)


def _started_on_linux(pid: int) -> float | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    if fields[STATE_FIELD] in "ZX":
        return None
    return int(fields[START_FIELD]) / os.sysconf("SC_CLK_TCK")


def _started_elsewhere(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        is_gone = process.status() == psutil.STATUS_ZOMBIE
        return None if is_gone else float(process.create_time())
    except psutil.Error:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Returns whether this very process lives, not a stranger that was given its number."""
    now_started = process_started(pid)
    return now_started is not None and abs(now_started - started) < SAME_START_SECONDS


def end_group(pid: int, started: float) -> bool:
    """Kills a detached process and all that it started; returns whether it was there to be killed.

    A stranger that was given its number is left alone.
    """
    if not is_alive(pid, started):
        return False
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
