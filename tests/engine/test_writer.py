"""Events reach the store in order, from a thread that training never waits for."""

import itertools
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from engine.errors import RunNotFoundError
from engine.events import Wish
from engine.runs.store import Run, Store
from engine.runs.writer import MOST_REST_SECONDS, REST, SETTLE_SECONDS, EventWriter
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Run:
    [added] = store.add_runs([("tiny", tiny_spec("photos"))])
    store.set_status(added.id, "running")
    return store.run(added.id)


def test_everything_is_in_the_store_in_order_once_closed(store: Store, run: Run) -> None:
    writer = EventWriter(store, run.id)
    for step in range(1, 1201):
        writer.emit("step", 1, step, {"train/loss": 1 / step})
    writer.close()
    written = [event for event in store.events(run.id) if event.kind == "step"]
    assert [event.step for event in written] == list(range(1, 1201))
    assert [event.seq for event in store.events(run.id)] == list(range(1, 1203))
    times = [event.time for event in written]
    assert times == sorted(times)


def test_it_beats_while_nothing_happens(store: Store, run: Run) -> None:
    writer = EventWriter(store, run.id)
    first = wait_for(lambda: store.run(run.id).beat_at, 60, "a first beat")
    wait_for(lambda: (store.run(run.id).beat_at or 0.0) > first, 60, "a second beat")
    writer.close()


def test_a_stop_asked_for_in_the_store_arrives(store: Store, run: Run) -> None:
    writer = EventWriter(store, run.id)
    assert not writer.should_stop()
    store.request_stop(run.id)
    wait_for(writer.should_stop, 60, "the request to stop")
    writer.close()


def test_what_cannot_be_written_is_raised_and_not_swallowed(store: Store) -> None:
    writer = EventWriter(store, "12345678")
    writer.emit("step", 1, 1, {"train/loss": 1.0})
    with pytest.raises(RunNotFoundError):
        writer.close()
    with pytest.raises(RunNotFoundError):
        writer.emit("step", 1, 2, {"train/loss": 1.0})


class SlowStore(Store):
    """A store whose every batch takes a while; it notes when each began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, float]] = []

    def append(self, *arguments: Any, **more: Any) -> Wish:
        began = time.monotonic()
        time.sleep(0.03)
        answer = super().append(*arguments, **more)
        self.times.append((began, time.monotonic()))
        return answer


def test_others_have_their_turn_however_much_there_is_to_tell(run: Run) -> None:
    slow = SlowStore()
    writer = EventWriter(slow, run.id)
    deadline = time.monotonic() + 60
    for step in itertools.count(1):
        writer.emit("step", 1, step, {})
        time.sleep(0.002)
        if len(slow.times) > 5 or time.monotonic() > deadline:
            break
    ended = len(slow.times)
    writer.close()
    assert ended > 2
    for (began, wrote), (again, _) in itertools.pairwise(slow.times[:ended]):
        assert again - wrote >= min(REST * (wrote - began), MOST_REST_SECONDS) - 0.001
    slow.close()


def test_settle_returns_once_all_that_was_told_is_in_the_store(run: Run) -> None:
    slow = SlowStore()
    writer = EventWriter(slow, run.id)
    for round_ in range(1, 6):
        for step in range(20):
            writer.emit("step", 1, 20 * round_ + step, {})
        wait_for(writer.settle, 60, "all to be in the store")
        assert len(slow.events_of_kind(run.id, "step")) == 20 * round_
    assert writer.settle()
    writer.close()
    slow.close()


class HeldStore(Store):
    """A store that is away until it is let go."""

    is_away = True

    def append(self, *arguments: Any, **more: Any) -> Wish:
        if self.is_away:
            raise OperationalError("INSERT", {}, sqlite3_busy())
        return super().append(*arguments, **more)


def sqlite3_busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def test_settle_says_so_where_the_store_is_away_and_where_it_is_back(run: Run) -> None:
    held = HeldStore()
    writer = EventWriter(held, run.id)
    writer.emit("step", 1, 1, {})
    wait_for(lambda: writer._is_away, 30, "the writer to notice")
    began = time.monotonic()
    assert not any(writer.settle() for _ in range(20))
    # Training would stand still if each of them waited as long as it may.
    assert time.monotonic() - began < 20 * SETTLE_SECONDS / 2
    held.is_away = False
    wait_for(writer.settle, 30, "the store to be back")
    assert [event.step for event in held.events_of_kind(run.id, "step")] == [1]
    writer.close()
    held.close()
