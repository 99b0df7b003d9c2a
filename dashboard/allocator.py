"""What the server asks of the C library's allocator, so that its memory stays level for days."""

import ctypes
import sys

import anyio
from anyio import to_thread

# Of malloc.h.
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# With two there are more holes: each comes to hold what either needs at most.
ARENAS = 1
# Chunks of a run's past are larger: what they took goes back to the system once they are sent.
OWN_PAGES_FROM = 64 * 1024
# It takes a few milliseconds.
GIVE_BACK_SECONDS = 5.0


def keep_memory_level() -> bool:
    """Has glibc give memory back rather than spread it over a heap a thread.

    Threads come and go with the pages that are looked at. Each would leave a heap behind that holds
    what is still used among what is not, so that the process grows for hours although no object
    stays. Returns whether it could be asked for; other C libraries have no such heaps.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_ARENA_MAX, ARENAS)) and bool(mallopt(M_MMAP_THRESHOLD, OWN_PAGES_FROM))


def give_back() -> bool:
    """Hands pages that are free, but lie among what is used, back to the system.

    glibc does so of its own accord only at a heap's end. What pages take for a moment lies between
    what sessions hold for minutes, and the holes become more with every visit.

    Returns:
        Whether it could be asked for; other C libraries look after that themselves.
    """
    if not sys.platform.startswith("linux"):
        return False
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True


async def keep_giving_back(seconds: float = GIVE_BACK_SECONDS) -> None:
    """Gives memory back every so many seconds until it is cancelled."""
    while await to_thread.run_sync(give_back):
        await anyio.sleep(seconds)
