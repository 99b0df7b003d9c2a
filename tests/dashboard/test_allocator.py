"""The server's memory: no heaps are left behind by threads, no holes by what pages took."""

import asyncio
import ctypes
import re
import subprocess
import sys
from functools import partial

import pytest
import streamlit as st

from dashboard import allocator, server
from dashboard.access.rule import Access
from dashboard.allocator import ARENAS, keep_giving_back
from engine.runs.store import Store

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

# Nineteen of twenty blocks are freed, so that there are holes of many pages each.
HOLES = """
import ctypes, psutil
from dashboard.allocator import give_back, keep_memory_level
assert keep_memory_level()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(3000) for _ in range(20_000)]
for block in blocks:
    ctypes.memset(block, 1, 3000)
for number, block in enumerate(blocks):
    if number % 20:
        libc.free(block)
full = psutil.Process().memory_info().rss
assert give_back()
print((full - psutil.Process().memory_info().rss) / 2**20)
"""


def num_heaps(how: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=True
    ).stdout
    return len(re.findall(r"<heap nr=", told))


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library is not glibc"
)
def test_threads_share_one_heap() -> None:
    assert num_heaps("as it is") > 4
    assert num_heaps("level") == ARENAS == 1


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc"
)
def test_holes_are_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    # Of 54 MiB that were freed.
    assert float(told.stdout) > 40


def test_it_is_given_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, True, True, False])
    monkeypatch.setattr(allocator, "give_back", lambda: next(answers))
    # Where there is nothing to ask, nobody asks again.
    asyncio.run(asyncio.wait_for(keep_giving_back(0.01), 60))
    assert list(answers) == []


def test_a_server_gives_back_as_long_as_it_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(allocator, "give_back", lambda: asked.append(True) or True)
    monkeypatch.setattr(server, "keep_giving_back", partial(keep_giving_back, 0.01))
    # Only a main program is told of signals.
    monkeypatch.setattr(server, "_close_on_signal", lambda hub: None)
    monkeypatch.setattr(st, "App", lambda script, *, lifespan, **_: lifespan)
    lifespan = server.build_app("127.0.0.1", Access(None, None, 8501))

    async def serve() -> None:
        async with lifespan(None):
            while len(asked) < 3:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        ended = len(asked)
        await asyncio.sleep(0.1)
        assert len(asked) == ended

    asyncio.run(asyncio.wait_for(serve(), 60))
