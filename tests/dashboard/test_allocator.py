"""The server's memory: threads that come and go leave no heaps behind."""

import ctypes
import re
import subprocess
import sys

import pytest

from dashboard.allocator import ARENAS

# A process of its own: what the allocator is asked for cannot be taken back.
HEAPS = """
import ctypes, sys, tempfile, threading
from dashboard.allocator import keep_memory_level
if sys.argv[1] == "level":
    assert keep_memory_level()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(12)
def take():
    barrier.wait()
    for _ in range(200):
        libc.malloc(3000)
    barrier.wait()
threads = [threading.Thread(target=take) for _ in range(12)]
[one.start() for one in threads]
[one.join() for one in threads]
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    out = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, ctypes.c_void_p(out))
    libc.fclose(ctypes.c_void_p(out))
    print(open(file.name).read())
"""


def num_heaps(how: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=True
    ).stdout
    return len(re.findall(r"<heap nr=", told))


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library is not glibc"
)
def test_threads_share_a_few_heaps() -> None:
    assert num_heaps("as it is") > ARENAS
    assert num_heaps("level") <= ARENAS
