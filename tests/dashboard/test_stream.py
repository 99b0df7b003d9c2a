"""The event stream: complete, in order, nothing twice, whoever comes, goes or dawdles."""

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import Request

import dashboard.stream
from dashboard.runs import colour_of, label_of
from dashboard.stream import Hub, card, events_response, parse_cursors
from engine.errors import StoreError
from engine.events import MetricEvent, Status
from engine.models.catalogue import backbone_record, head_parameters
from engine.runs.process import machine_name
from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, add_run, finish, start, step_event

PATIENCE_SECONDS = 30.0
pytestmark = pytest.mark.usefixtures("database")
LITE0 = backbone_record("efficientnet_lite0")


class Reader:
    """What one page has received."""

    def __init__(self, messages: AsyncIterator[str]):
        self._messages = messages
        self.received: list[dict[str, Any]] = []
        self.num_keep_alives = 0

    async def until(self, enough: Callable[["Reader"], bool]) -> "Reader":
        """Reads until there is enough.

        Raises:
            AssertionError: there was not, after a while or at the stream's end.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not enough(self):
                    self._take(await anext(self._messages))
        except (TimeoutError, StopAsyncIteration) as error:
            raise AssertionError(f"only {len(self.events)} events: {self.seqs()}") from error
        return self

    async def has(self, num_events: int) -> "Reader":
        """Reads until so many events have come."""
        return await self.until(lambda reader: len(reader.events) >= num_events)

    def _take(self, message: str) -> None:
        assert message.endswith("\n\n")
        if message.startswith(":"):
            self.num_keep_alives += 1
            return
        assert message.startswith("data: ")
        assert "\n" not in message[:-2]
        self.received.append(json.loads(message.removeprefix("data: ")))

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [card for message in self.received for card in message.get("runs", [])]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for message in self.received for event in message.get("events", [])]

    def seen_ids(self) -> set[str]:
        return {event["run_id"] for event in self.events}

    def seqs(self, run: Run | None = None) -> list[int]:
        return [e["seq"] for e in self.events if run is None or e["run_id"] == run.id]


def reading(hub: Hub, cursors: dict[str, int], follow: bool = False) -> "aclosing[Any]":
    """Gives a stream that is closed at the end, as when a page goes away."""
    return aclosing(hub.stream(cursors, follow))


def append_steps(store: Store, run: Run, count: int, batch: int = 20) -> None:
    """Appends steps, a few in a transaction."""
    steps = [step_event(1, step) for step in range(1, count + 1)]
    for first in range(0, count, batch):
        store.append(run.id, steps[first : first + batch])


def upto(last: int, after: int = 0) -> list[int]:
    return list(range(after + 1, last + 1))


def test_cards_come_first_then_all_events_in_order(store: Store) -> None:
    frozen, full = (finish(store, run) for run in add_pair(store))

    async def read() -> Reader:
        async with reading(Hub(store), {frozen.id: 0, full.id: 0}) as stream:
            return await Reader(stream).has(frozen.last_seq + full.last_seq)

    reader = asyncio.run(read())
    assert [card["id"] for card in reader.received[0]["runs"]] == [frozen.id, full.id]
    for run in (frozen, full):
        assert reader.seqs(run) == upto(run.last_seq)
    stored = [json.loads(event.to_json()) for event in store.events(full.id)]
    assert [event for event in reader.events if event["run_id"] == full.id] == stored


def test_a_card_says_what_is_needed_to_draw_the_run(store: Store) -> None:
    run = add_run(store, "full", training={"epochs": 7})

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).has(1)

    [sent] = asyncio.run(read()).cards
    assert sent == {
        "id": run.id,
        "label": label_of(run),
        "colour": colour_of(run),
        "strategy": "Full",
        "epochs": 7,
        "group": run.group_id,
        "status": "queued",
        "updates": False,
        "stages": sent["stages"],
        "head": [0, 1281],
    }
    assert sent["stages"][0] == ["stem", "Stem", 928]
    assert [name for name, _, _ in sent["stages"]] == list(LITE0.stage_names)
    assert sum(size for _, _, size in sent["stages"]) == LITE0.num_parameters


def test_a_card_counts_the_parameters_of_a_head_of_two_layers(store: Store) -> None:
    run = add_run(store, model={"head": "mlp", "hidden_units": 32})
    fixed, each = card(run)["head"]
    for classes in (2, 7):
        expected = head_parameters("mlp", LITE0.num_features, 32, classes)
        assert fixed + each * classes == expected


@pytest.mark.parametrize("seen", [1, 7, 26])
def test_a_cursor_resumes_where_it_stopped(store: Store, seen: int) -> None:
    run = start(store, add_run(store))
    append_steps(store, run, 25)
    last = store.run(run.id).last_seq

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: seen}) as stream:
            return await Reader(stream).has(last - seen)

    reader = asyncio.run(read())
    assert reader.seqs() == upto(last, after=seen)
    assert [card["id"] for card in reader.cards] == [run.id]


def test_long_histories_come_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.stream, "CHUNK", 10)
    run = start(store, add_run(store))
    append_steps(store, run, 95)
    last = store.run(run.id).last_seq

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).has(last)

    reader = asyncio.run(read())
    assert reader.seqs() == upto(last)
    assert max(len(message.get("events", [])) for message in reader.received) == 10


def test_an_event_arrives_while_the_page_waits(store: Store) -> None:
    run = start(store, add_run(store))
    before = store.run(run.id).last_seq

    async def read() -> tuple[Reader, float]:
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(before)
            waiting = asyncio.create_task(reader.has(before + 3))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            began = time.monotonic()
            await asyncio.to_thread(append_steps, store, run, 3)
            return await waiting, time.monotonic() - began

    reader, seconds = asyncio.run(read())
    assert reader.seqs() == upto(before + 3)
    assert seconds < dashboard.stream.KEEP_ALIVE_SECONDS / 2


def test_a_run_that_is_finished_says_so(store: Store) -> None:
    run = start(store, add_run(store))

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            store.set_status(run.id, "finished")
            return await reader.has(3)

    reader = asyncio.run(read())
    assert [e["values"]["status"] for e in reader.events] == ["queued", "running", "finished"]


def test_followers_get_runs_as_they_become_active(store: Store) -> None:
    ended = finish(store, add_run(store))
    going = start(store, add_run(store))

    async def read() -> tuple[Reader, Run]:
        async with reading(Hub(store), {}, follow=True) as stream:
            reader = await Reader(stream).has(2)
            added = add_run(store, "full")
            await reader.until(lambda reader: added.id in reader.seen_ids())
            append_steps(store, added, 5)
            return await reader.until(lambda reader: len(reader.seqs(added)) >= 6), added

    reader, added = asyncio.run(read())
    assert [card["id"] for card in reader.cards] == [going.id, added.id]
    assert reader.seqs(added) == upto(6)
    assert reader.seqs(ended) == []


def test_followers_do_not_get_what_ended_while_nobody_looked(store: Store) -> None:
    ended = start(store, add_run(store))

    async def read() -> Reader:
        hub = Hub(store)
        async with reading(hub, {}, follow=True) as stream:
            await Reader(stream).has(2)
        store.set_status(ended.id, "finished")
        going = start(store, add_run(store))
        async with reading(hub, {}, follow=True) as stream:
            return await Reader(stream).until(lambda reader: going.id in reader.seen_ids())

    assert ended.id not in {card["id"] for card in asyncio.run(read()).cards}


def test_who_does_not_follow_gets_only_what_was_asked_for(store: Store) -> None:
    asked, other = start(store, add_run(store)), start(store, add_run(store))

    async def read() -> Reader:
        async with reading(Hub(store), {asked.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            append_steps(store, other, 3)
            append_steps(store, asked, 3)
            return await reader.has(5)

    reader = asyncio.run(read())
    assert [card["id"] for card in reader.cards] == [asked.id]
    assert {event["run_id"] for event in reader.events} == {asked.id}


def test_a_run_that_several_threads_write_to_arrives_complete(store: Store) -> None:
    run = start(store, add_run(store))
    num_threads, each = 4, 40
    last = store.run(run.id).last_seq + num_threads * each

    async def read() -> list[Reader]:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as one, reading(hub, {run.id: 0}) as other:
            readers = [Reader(one), Reader(other)]
            tasks = [asyncio.create_task(reader.has(last)) for reader in readers]
            writers = [
                threading.Thread(target=append_steps, args=(Store(), run, each, 2))
                for _ in range(num_threads)
            ]
            for writer in writers:
                writer.start()
            await asyncio.gather(*tasks)
            for writer in writers:
                writer.join()
        return readers

    for reader in asyncio.run(read()):
        assert reader.seqs() == upto(last)


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


async def noticed(hub: Hub, run: Run, seq: int) -> None:
    """Returns once the hub has looked at the store and found the run's events up to `seq`."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while hub._heads.get(run.id) != seq:
            await asyncio.sleep(0.01)


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


def test_a_waiting_page_is_kept_alive(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.stream, "KEEP_ALIVE_SECONDS", 0.05)
    run = start(store, add_run(store))

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).until(lambda reader: reader.num_keep_alives >= 2)

    assert asyncio.run(read()).seqs() == [1, 2]


def test_closing_ends_every_stream(store: Store) -> None:
    run = start(store, add_run(store))

    async def exhaust(stream: AsyncIterator[str]) -> None:
        async for _ in stream:
            pass

    async def read() -> int:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as one, reading(hub, {}, follow=True) as other:
            pages = [asyncio.create_task(exhaust(stream)) for stream in (one, other)]
            await noticed(hub, run, 2)
            assert not any(page.done() for page in pages)
            await hub.close()
            ended, _ = await asyncio.wait(pages, timeout=30.0)
        return len(ended)

    assert asyncio.run(read()) == 2


def test_pages_that_go_while_all_are_told_something_are_let_go(store: Store) -> None:
    """As on Ctrl-C, when streams end and connections break in the same moment."""
    run = start(store, add_run(store))

    async def exhaust(hub: Hub) -> None:
        async with reading(hub, {run.id: 0}) as stream:
            async for _ in stream:
                pass

    async def read() -> tuple[int, Hub]:
        hub = Hub(store)
        pages = [asyncio.create_task(exhaust(hub)) for _ in range(20)]
        await noticed(hub, run, 2)
        await asyncio.sleep(0.2)
        await hub.close()
        for _ in range(2):
            for page in pages:
                page.cancel()
            await asyncio.sleep(0)
        ended, _ = await asyncio.wait(pages, timeout=30.0)
        return len(ended), hub

    ended, hub = asyncio.run(read())
    assert ended == 20
    assert not hub._watched


def test_a_run_whose_process_is_dead_is_shown_as_interrupted(store: Store) -> None:
    run = start(store, add_run(store))
    store.set_process(run.id, machine_name(), os.getpid(), 1.0)

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).has(3)

    assert asyncio.run(read()).events[-1]["values"]["status"] == "interrupted"


def test_an_open_page_sees_to_it_that_waiting_runs_start(
    store: Store, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.stream, "KEEP_ALIVE_SECONDS", 0.05)
    run = add_run(store)

    async def read() -> None:
        async with reading(Hub(store), {run.id: 0}) as stream:
            await Reader(stream).until(lambda _: bool(started))

    asyncio.run(read())
    assert set(started) == {"supervisor"}


class ForgetfulStore(Store):
    """A store that is away once, as when another process holds its lock for too long."""

    fails = False

    def heads(self, run_ids: Iterable[str]) -> dict[str, tuple[int, Status]]:
        if self.fails:
            self.fails = False
            raise OperationalError("SELECT", {}, Exception("database is locked"))
        return super().heads(run_ids)


def test_a_page_outlives_a_moment_without_the_store() -> None:
    store = ForgetfulStore()
    run = start(store, add_run(store))

    async def read() -> Reader:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            store.fails = True
            await asyncio.to_thread(append_steps, store, run, 3)
            # A page may read the events before the hub looks, and fails, for all pages.
            async with asyncio.timeout(PATIENCE_SECONDS):
                while store.fails:
                    await asyncio.sleep(0.02)
            await asyncio.to_thread(append_steps, store, run, 2)
            return await reader.has(7)

    assert asyncio.run(read()).seqs() == upto(7)
    store.close()


def test_a_store_that_cannot_be_written_is_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    run = start(store, add_run(store))
    tried: list[Store] = []

    def tend(one: Store) -> None:
        tried.append(one)
        raise StoreError("The store of runs cannot be written (database or disk is full).")

    monkeypatch.setattr(dashboard.stream, "tend", tend)

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            await asyncio.to_thread(append_steps, store, run, 3)
            return await reader.has(5)

    assert asyncio.run(read()).seqs() == upto(5)
    assert tried
    store.close()


@pytest.mark.parametrize(
    ("values", "cursors"),
    [
        (["abcd1234"], {"abcd1234": 0}),
        (["abcd1234:17"], {"abcd1234": 17}),
        (["abcd1234:17", "ffff0000:3"], {"abcd1234": 17, "ffff0000": 3}),
        (["abcd1234:"], {"abcd1234": 0}),
        (["abcd1234:x"], {"abcd1234": 0}),
        (["abcd1234:-1"], {"abcd1234": 0}),
        (["abcd1234:1.5"], {"abcd1234": 0}),
        (["abcd1234:²"], {"abcd1234": 0}),
        (["abcd1234:5:6"], {"abcd1234": 0}),
        (["", ":5"], {}),
        ([], {}),
    ],
)
def test_malformed_cursors_count_from_zero(values: list[str], cursors: dict[str, int]) -> None:
    assert parse_cursors(values) == cursors


def test_only_so_many_runs_can_be_asked_for() -> None:
    assert len(parse_cursors([f"{number:08x}:1" for number in range(5000)])) == 100


def respond(store: Store, query: str, run: Run, num_events: int) -> Reader:
    """Returns what the route answers to a query, once so many events of a run have come."""
    request = Request(
        {"type": "http", "method": "GET", "path": "/thaw/events", "headers": []}
        | {"query_string": query.encode()}
    )

    async def read() -> Reader:
        response = events_response(Hub(store), store, request)
        assert response.media_type == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        body: Any = response.body_iterator
        async with aclosing(body) as stream:
            return await Reader(stream).until(lambda reader: len(reader.seqs(run)) >= num_events)

    return asyncio.run(read())


def test_unknown_runs_are_left_out(store: Store) -> None:
    run = finish(store, add_run(store))
    query = f"run=00000000:4&run={run.id}:3&run={run.id[:4]}&run=%00&run=../etc&run='--"
    reader = respond(store, query, run, run.last_seq - 3)
    assert [card["id"] for card in reader.cards] == [run.id]
    assert reader.seqs() == upto(run.last_seq, after=3)


def test_the_address_can_ask_to_follow(store: Store) -> None:
    run = start(store, add_run(store))
    assert respond(store, "follow=1", run, 2).seqs(run) == [1, 2]


@pytest.mark.parametrize("digits", [20, 5000])
def test_a_cursor_of_absurd_length_breaks_nothing(store: Store, digits: int) -> None:
    run = finish(store, add_run(store))
    other = finish(store, add_run(store))
    query = f"run={run.id}:{'9' * digits}&run={other.id}"
    reader = respond(store, query, other, other.last_seq)
    assert reader.seqs(other) == upto(other.last_seq)
