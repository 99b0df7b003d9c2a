"""Memory, disks, shared memory."""

import shutil
import tempfile
from pathlib import Path

import psutil

from engine.doctor.device import memory_quota
from engine.doctor.finding import Finding, fault, gib, not_applicable, ok, warning
from engine.home import home_path

LEAST_MEMORY, ENOUGH_MEMORY = 2**29, 2 * 2**30
LEAST_DISK, ENOUGH_DISK = 2**28, 3 * 2**30
ENOUGH_SHARED = 2**28
SHARED = Path("/dev/shm")


def memory() -> Finding:
    """Looks how much memory runs can have."""
    machine = psutil.virtual_memory()
    quota = memory_quota()
    free = machine.available if quota is None else min(machine.available, quota)
    total = machine.total if quota is None else min(machine.total, quota)
    facts = {"free": free, "total": total, "quota": quota}
    found = f"{gib(free)} of {gib(total)} memory are free"
    mend = "End what else uses memory, or give the container more."
    if free < LEAST_MEMORY:
        return fault(f"{found}, too little to train anything.", mend, **facts)
    if free < ENOUGH_MEMORY:
        return warning(
            f"{found}, too little for full fine-tuning of most backbones.", mend, **facts
        )
    return ok(f"{found}.", **facts)


def home_disk() -> Finding:
    """Looks how much room there is for runs."""
    return _disk(nearest(home_path()), "THAW_HOME", "set THAW_HOME to a folder on another disk")


def temporary_disk() -> Finding:
    """Looks how much room there is for what is written for a while."""
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        return fault(
            f"There is no folder for temporary files ({error.strerror or error}).",
            "Make one that you may write to and name it with TMPDIR.",
        )
    return _disk(folder, "the temporary folder", "set TMPDIR to a folder on another disk")


def shared_memory(folder: Path = SHARED) -> Finding:
    """Looks whether processes that read pictures can hand them on."""
    if not folder.is_dir():
        return not_applicable("This system has no /dev/shm.")
    size = shutil.disk_usage(folder).total
    if size < ENOUGH_SHARED:
        return warning(
            f"{folder} holds {gib(size)}, too little to hand pictures from process to process.",
            "Start the container with --shm-size=1g (Docker) or --ipc=host.",
            bytes=size,
        )
    return ok(f"{folder} holds {gib(size)}.", bytes=size)


def nearest(path: Path) -> Path:
    """Returns a path, or the first folder above it that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _disk(folder: Path, what: str, otherwise: str) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{gib(free)} are free for {what} ({folder})"
    mend = f"Make room there, or {otherwise}."
    if free < LEAST_DISK:
        return fault(f"{found}, too little to keep a run.", mend, free=free)
    if free < ENOUGH_DISK:
        return warning(f"{found}, which a few runs and their features fill.", mend, free=free)
    return ok(f"{found}.", free=free)
