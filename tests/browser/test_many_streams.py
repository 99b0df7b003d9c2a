"""Many open event streams on one server: no threads, bounded memory, nobody held back."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from engine.runs.store import NewEvent, Run, Store
from tests.listening import Listener, in_own_loop
from tests.pretend import pretend_run
from tests.serving import Dashboard

PATIENCE_SECONDS = 60
# What Streamlit lets the pool of threads grow to that file requests and look-ups share.
POOL = 28
MIB = 2**20


@pytest.fixture
def store(thaw_home: object) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Iterator[Run]:
    pretended = pretend_run(store)
    yield pretended
    store.set_status(pretended.id, "finished", only_from=["running"])


def step(number: int) -> NewEvent:
    values = {"train/loss": 1 / number, "train/accuracy": 0.5, "images_per_second": 100.0}
    return (time.time(), "step", 1, number, values)


def write(store: Store, run: Run, first: int, last: int, batch: int = 1000) -> None:
    for start in range(first, last + 1, batch):
        store.append(run.id, [step(n) for n in range(start, min(start + batch, last + 1))])


async def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


def memory_mib(dashboard: Dashboard) -> float:
    return float(psutil.Process(dashboard.pid).memory_info().rss / MIB)


@asynccontextmanager
async def listening(listeners: list[Listener]) -> AsyncIterator[None]:
    """Has them all listen meanwhile."""
    tasks = [asyncio.create_task(one.listen()) for one in listeners]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_stream_costs_no_thread(dashboard: Dashboard, run: Run) -> None:
    process = psutil.Process(dashboard.pid)
    before = process.num_threads()

    async def count() -> list[int]:
        found = []
        everyone: list[Listener] = []
        for total in (20, 100, 200):
            while len(everyone) < total:
                everyone.append(Listener(dashboard, [run.id]))
            async with listening(everyone):
                await until(lambda: all(one.num_events >= 3 for one in everyone), "no events")
                found.append(process.num_threads())
        return found

    for threads in in_own_loop(count()):
        assert threads <= before + POOL


def test_who_reads_nothing_costs_little_and_holds_nobody_back(
    dashboard: Dashboard, store: Store, run: Run
) -> None:
    write(store, run, 1, 60_000)
    stored = store.run(run.id).last_seq

    async def read() -> tuple[Listener, float, float]:
        quick = Listener(dashboard, [run.id])
        async with listening([quick]):
            await until(lambda: quick.num_events >= stored, "the quick one was held back")
            before = memory_mib(dashboard)
            stuck = [Listener(dashboard, [run.id]) for _ in range(10)]
            for one in stuck:
                await one.open()
            await asyncio.sleep(3)
            write(store, run, 60_001, 61_000, batch=50)
            await until(lambda: quick.num_events >= stored + 1000, "the quick one was held back")
            after = memory_mib(dashboard)
            for one in stuck:
                one.drop()
        return quick, before, after

    quick, before, after = in_own_loop(read())
    assert (quick.num_lost, quick.num_doubled, quick.breaks) == (0, 0, 0)
    # All that they have not taken would be over a hundred MiB.
    assert after - before < 30


def test_memory_is_level_however_often_people_come_and_go(
    dashboard: Dashboard, store: Store, run: Run
) -> None:
    write(store, run, 1, 5000)
    stored = store.run(run.id).last_seq

    async def visit() -> float:
        everyone = [Listener(dashboard, [run.id]) for _ in range(20)]
        async with listening(everyone):
            await until(lambda: all(one.num_events >= stored for one in everyone), "events lack")
        return memory_mib(dashboard)

    async def come_and_go() -> list[float]:
        return [await visit() for _ in range(15)]

    seen = in_own_loop(come_and_go())
    # Messages that stayed would be 1.4 MiB a visit: what streams read of the past together.
    assert min(seen[-3:]) - min(seen[2:5]) < 8, seen


def hold_still(dashboard: Dashboard, run: Run, count: int) -> list[socket.socket]:
    """Returns connections that asked for a stream and read nothing of it."""
    opened = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", dashboard.port))
        connection.sendall(
            f"GET /thaw/events?run={run.id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
        opened.append(connection)
    return opened


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def settled_connections(dashboard: Dashboard) -> int:
    """Returns how many there are once those of the tests before are gone."""
    counts = [dashboard.num_connections()]
    while len(counts) < 11 or len(set(counts[-11:])) > 1:
        time.sleep(0.1)
        counts.append(dashboard.num_connections())
    return counts[-1]


def test_who_breaks_off_is_forgotten(dashboard: Dashboard, run: Run) -> None:
    before = settled_connections(dashboard)
    opened = hold_still(dashboard, run, 30)
    assert wait_until(lambda: dashboard.num_connections() >= before + 30, 60)
    for connection in opened:
        # As a program does that is killed: what it was sent is unread, so that it is reset.
        connection.close()
    assert wait_until(lambda: dashboard.num_connections() <= before, 60)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops who is silent")
def test_who_is_gone_without_a_word_is_dropped(
    dashboard: Dashboard, store: Store, run: Run
) -> None:
    write(store, run, 1, 60_000)
    before = settled_connections(dashboard)
    opened = hold_still(dashboard, run, 5)
    assert wait_until(lambda: dashboard.num_connections() >= before + 5, 60)
    assert wait_until(lambda: dashboard.num_connections() <= before, 90)
    for connection in opened:
        connection.close()


def test_streams_that_break_and_come_back_lose_and_double_nothing(
    dashboard: Dashboard, store: Store, run: Run
) -> None:
    num_steps = 1500

    async def break_off(listeners: list[Listener], writing: Awaitable[None]) -> None:
        written = asyncio.ensure_future(writing)
        turn = 0
        while not written.done() or turn < 2 * len(listeners):
            await asyncio.sleep(0.1)
            listeners[turn % len(listeners)].drop()
            turn += 1

    async def read() -> list[Listener]:
        listeners = [Listener(dashboard, [run.id]) for _ in range(8)]
        last = store.run(run.id).last_seq + num_steps
        async with listening(listeners):
            writing = asyncio.to_thread(write, store, run, 1, num_steps, 5)
            await break_off(listeners, writing)
            await until(lambda: all(one.num_events >= last for one in listeners), "events lack")
        return listeners

    listeners = in_own_loop(read())
    assert sum(one.breaks for one in listeners) >= 8
    for one in listeners:
        assert (one.num_lost, one.num_doubled) == (0, 0)
        assert one.seqs[run.id] == list(range(1, store.run(run.id).last_seq + 1))


def test_a_server_ends_though_streams_have_just_broken_off(tmp_path: Path) -> None:
    """In Python 3.11 whoever waits for a Condition may wait for ever once it is cancelled."""
    served = Dashboard(tmp_path / "own home")
    served.start()
    run_id = "00000000"

    async def come_and_go() -> None:
        everyone = [Listener(served, [run_id], follow=True) for _ in range(20)]
        for one in everyone:
            await one.open()
        await asyncio.sleep(1)
        for one in everyone:
            one.drop()

    in_own_loop(come_and_go())
    assert served.stop() in {0, -2, 130}
