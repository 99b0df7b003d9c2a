"""Who is dead: by the number and start of a process, or by its silence."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from engine.runs import signs
from engine.runs.database import writing
from engine.runs.process import host_name, machine_name, process_started
from engine.runs.queue import mark_interrupted
from engine.runs.signs import SILENT_SECONDS
from engine.runs.store import Run, Store
from engine.runs.tables import runs
from tests.engine.specs import tiny_spec

NOTICE_SECONDS = 15.0
ELSEWHERE = {"host": "elsewhere.example 0123abcd", "pid": 1, "pid_started": 1.0}


class Clocks:
    """The clock on the wall, which can be set, and the one that only goes on."""

    def __init__(self) -> None:
        self.wall, self.steady = time.time(), 1000.0

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(signs.time, "time", lambda: made.wall)
    monkeypatch.setattr(signs.time, "monotonic", lambda: made.steady)
    return made


@pytest.fixture
def store() -> Iterator[Store]:
    signs._SEEN.clear()
    opened = Store()
    yield opened
    opened.close()


def working(store: Store, **columns: Any) -> Run:
    """A run that is marked as running, without a process behind it."""
    [run] = store.add_runs([("pretended", tiny_spec("photos"))])
    store.set_status(run.id, "running")
    beat(store, run, **columns)
    return store.run(run.id)


def beat(store: Store, run: Run, **columns: Any) -> None:
    with writing(store.engine) as connection:
        connection.execute(update(runs).where(runs.c.id == run.id).values(**columns))


def here(pid: int, started: float | None) -> dict[str, Any]:
    return {"host": machine_name(), "pid": pid, "pid_started": started, "beat_at": 0.0}


def watch(store: Store, clocks: Clocks, seconds: float) -> list[str]:
    """Looks once a second, and returns who was found dead."""
    gone: list[str] = []
    for _ in range(round(seconds)):
        gone += mark_interrupted(store)
        clocks.go_on(1.0)
    return gone


def test_a_living_process_keeps_its_run_even_when_it_does_not_beat(
    store: Store, clocks: Clocks
) -> None:
    run = working(store, **here(os.getpid(), process_started(os.getpid())))
    assert watch(store, clocks, 30) == []
    assert store.run(run.id).status == "running"


def test_a_stranger_with_the_same_number_counts_as_dead_however_soon_it_came(
    store: Store,
) -> None:
    started = process_started(os.getpid())
    assert started is not None
    run = working(store, **here(os.getpid(), started - 0.01) | {"beat_at": time.time()})
    assert mark_interrupted(store) == [run.id]
    assert store.run(run.id).status == "interrupted"
    assert mark_interrupted(store) == []


def test_after_a_reboot_no_process_is_the_one_that_trained(store: Store) -> None:
    started = process_started(os.getpid())
    before = here(os.getpid(), started) | {"host": f"{host_name()} 00000000"}
    run = working(store, **before | {"beat_at": time.time() - SILENT_SECONDS - 1})
    assert mark_interrupted(store) == [run.id]


def test_a_run_whose_process_never_came_is_given_time_then_up(store: Store, clocks: Clocks) -> None:
    claimed = working(store, host=machine_name(), beat_at=clocks.wall)
    assert watch(store, clocks, SILENT_SECONDS - 1) == []
    clocks.go_on(3)
    assert mark_interrupted(store) == [claimed.id]
    assert f"{SILENT_SECONDS:.0f} seconds" in store.run(claimed.id).reason


def test_that_time_is_over_although_the_clock_was_set_back(store: Store, clocks: Clocks) -> None:
    claimed = working(store, host=machine_name(), beat_at=clocks.wall)
    clocks.wall -= 3600.0
    assert watch(store, clocks, SILENT_SECONDS) == []
    assert watch(store, clocks, 3) == [claimed.id]


@pytest.mark.parametrize("wrong_by", [-300.0, 0.0, 300.0, -7200.0])
def test_a_run_elsewhere_is_judged_by_its_beat_whatever_its_clock_says(
    store: Store, clocks: Clocks, wrong_by: float
) -> None:
    # A clock that is two hours slow is past what is put up with.
    run = working(store, **ELSEWHERE, beat_at=clocks.wall + max(wrong_by, -300.0))
    for _ in range(30):
        beat(store, run, beat_at=clocks.wall + max(wrong_by, -300.0))
        assert mark_interrupted(store) == []
        clocks.go_on(1.0)
    if wrong_by < -600.0:
        beat(store, run, beat_at=clocks.wall + wrong_by)
        assert mark_interrupted(store) == [run.id]
        return
    assert watch(store, clocks, NOTICE_SECONDS) == [run.id]


def test_who_did_not_look_for_a_while_looks_again_before_it_judges(
    store: Store, clocks: Clocks
) -> None:
    """The store could not be reached for a minute: not from here, and not from there."""
    run = working(store, **ELSEWHERE, beat_at=clocks.wall)
    assert watch(store, clocks, 3) == []
    clocks.go_on(60.0)
    assert watch(store, clocks, 3) == []
    beat(store, run, beat_at=clocks.wall)
    assert watch(store, clocks, 10) == []


def test_silence_is_noticed_within_the_deadline() -> None:
    assert SILENT_SECONDS < NOTICE_SECONDS


def test_who_was_given_up_and_taken_up_by_another_process_is_to_stop(store: Store) -> None:
    run = working(store, host=machine_name(), pid=7)
    assert store.append(run.id, [], pid=7) == ""
    assert store.append(run.id, [], pid=8) == "stop"
    store.set_status(run.id, "failed", "out of memory")
    assert store.append(run.id, [], pid=7) == "stop"
