"""The event stream with many pages, slow ones, and runs that write while they come."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

import pytest

import dashboard.stream
from dashboard.stream import Hub
from engine.events import MetricEvent, Status
from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, start, step_event
from tests.dashboard.streaming import PATIENCE_SECONDS, Reader, append_steps, noticed, reading, upto

pytestmark = pytest.mark.usefixtures("database")


class HurriedStore(Store):
    """A store to which a run always writes once more just after the heads were read."""

    hurried: Run | None = None

    def heads(self, run_ids: Iterable[str]) -> dict[str, tuple[int, Status]]:
        found = super().heads(run_ids)
        if self.hurried is not None:
            self.append(self.hurried.id, [step_event(1, 1)])
        return found


def test_what_is_written_between_two_looks_is_not_sent_twice() -> None:
    store = HurriedStore()
    run = start(store, add_run(store))

    async def read() -> Reader:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as early:
            reader = await Reader(early).has(2)
            store.hurried = run
            store.append(run.id, [step_event(1, 1)])
            await reader.has(5)
            store.hurried = None
            last = store.run(run.id).last_seq
            async with reading(hub, {run.id: 2}) as late:
                return await Reader(late).until(lambda reader: last in reader.seqs())

    reader = asyncio.run(read())
    assert reader.seqs() == upto(reader.seqs()[-1], after=2)
    store.close()


class SlowNumber(int):
    """A `seq` during whose comparison other threads get on with their work."""

    def __gt__(self, other: int) -> bool:
        if self % 20 == 0:
            time.sleep(1e-4)
        return int(self) > int(other)


class BusyStore(Store):
    """A store in which the run has 20 more events whenever someone looks."""

    busy: Run | None = None
    last_seq = 2

    def watch(self) -> Callable[[], bool]:
        return lambda: True

    def heads(self, run_ids: Iterable[str]) -> dict[str, tuple[int, Status]]:
        if self.busy is None:
            return super().heads(run_ids)
        self.last_seq += 20
        return {self.busy.id: (self.last_seq, "running")}

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[MetricEvent]:
        last = min(self.last_seq, after + (limit or self.last_seq))
        seqs = map(SlowNumber, range(after + 1, last + 1))
        return [MetricEvent(run_id, seq, 0.0, "step") for seq in seqs]


def test_pages_that_come_while_a_run_writes_get_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.stream, "POLL_SECONDS", 0.0)
    store = BusyStore()
    run = store.busy = start(store, add_run(store))

    async def read() -> list[list[int]]:
        hub = Hub(store)
        pages: list[list[int]] = []
        async with reading(hub, {run.id: 0}) as first:
            await Reader(first).has(1000)
            for _ in range(20):
                async with reading(hub, {run.id: store.last_seq - 600}) as late:
                    pages.append((await Reader(late).has(400)).seqs())
        return pages

    for seqs in asyncio.run(read()):
        assert seqs == upto(seqs[-1], after=seqs[0] - 1)
    store.close()


def test_a_crowd_is_told_the_same_and_the_store_is_looked_at_less_often(store: Store) -> None:
    run = start(store, add_run(store))

    async def read() -> tuple[list[list[int]], list[float]]:
        hub = Hub(store)
        async with AsyncExitStack() as stack:
            pace: list[float] = []
            readers = []
            for _ in range(30):
                stream = await stack.enter_async_context(reading(hub, {run.id: 0}))
                readers.append(await Reader(stream).has(1))
                pace.append(hub._poll_seconds)
            await asyncio.to_thread(append_steps, store, run, 200)
            await asyncio.gather(*(one.has(store.run(run.id).last_seq) for one in readers))
            return [one.seqs() for one in readers], pace

    seqs, pace = asyncio.run(read())
    assert seqs == [upto(store.run(run.id).last_seq)] * 30
    assert pace[:4] == [dashboard.stream.POLL_SECONDS] * 4
    assert pace == sorted(pace)
    assert pace[7] == pytest.approx(2 * pace[0])
    assert pace[-1] == dashboard.stream.LONGEST_POLL_SECONDS


def test_a_crowd_that_opens_a_long_run_has_its_past_read_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.stream, "CHUNK", 10)
    run = start(store, add_run(store))
    append_steps(store, run, 200)
    last = store.run(run.id).last_seq
    reads: list[int] = []
    at_once: list[int] = []
    going = threading.Semaphore(100)
    events = store.events

    def counted(run_id: str, after: int = 0, limit: int | None = None) -> list[MetricEvent]:
        with going:
            reads.append(after)
            at_once.append(100 - going._value)
            return events(run_id, after, limit)

    monkeypatch.setattr(store, "events", counted)

    async def read() -> list[list[int]]:
        hub = Hub(store)
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(reading(hub, {run.id: 0})) for _ in range(20)
            ]
            readers = await asyncio.gather(*(Reader(stream).has(last) for stream in streams))
        assert not hub._past_reads
        return [one.seqs() for one in readers]

    assert asyncio.run(read()) == [upto(last)] * 20
    # Each page alone would ask 21 times.
    assert len(reads) < 5 * 21
    assert max(at_once) <= dashboard.stream.PAST_READS


def test_a_page_that_goes_takes_no_read_from_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(store, add_run(store))
    append_steps(store, run, 50)
    last = store.run(run.id).last_seq
    asked, go_on = threading.Event(), threading.Event()
    events = store.events

    def slow(run_id: str, after: int = 0, limit: int | None = None) -> list[MetricEvent]:
        asked.set()
        go_on.wait(PATIENCE_SECONDS)
        return events(run_id, after, limit)

    monkeypatch.setattr(store, "events", slow)

    async def read() -> list[int]:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as one, reading(hub, {run.id: 0}) as other:
            first = asyncio.create_task(Reader(one).has(last))
            second = asyncio.create_task(Reader(other).has(last))
            await asyncio.to_thread(asked.wait, PATIENCE_SECONDS)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            go_on.set()
            return (await second).seqs()

    assert asyncio.run(read()) == upto(last)


def test_a_slow_page_holds_nobody_back_and_misses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.stream, "REMEMBERED", 30)
    run = start(store, add_run(store))
    last = store.run(run.id).last_seq + 200

    async def read() -> tuple[Reader, Reader]:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as quick, reading(hub, {run.id: 0}) as slow:
            dawdler = await Reader(slow).has(1)
            writing = asyncio.to_thread(append_steps, store, run, 200, 10)
            reader, _ = await asyncio.gather(Reader(quick).has(last), writing)
            assert len(dawdler.events) < last
            return reader, await dawdler.has(last)

    quick, slow = asyncio.run(read())
    assert quick.seqs() == slow.seqs() == upto(last)


def test_memory_is_bounded_and_given_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.stream, "REMEMBERED", 30)
    run = start(store, add_run(store))
    last = store.run(run.id).last_seq + 100

    async def read() -> Hub:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            await noticed(hub, run, 2)
            await asyncio.to_thread(append_steps, store, run, 100, 10)
            await reader.has(last)
            await noticed(hub, run, last)
            assert 0 < len(hub._recent[run.id]) <= 30
        return hub

    hub = asyncio.run(read())
    assert not hub._recent
    assert not hub._watched
