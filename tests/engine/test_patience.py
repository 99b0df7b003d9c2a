"""A store that goes away for a while: runs go on, and nothing is lost or told twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from engine.errors import StoreError
from engine.events import WORKING
from engine.runs import patience
from engine.runs import process as process_module
from engine.runs.database import writing
from engine.runs.patience import patiently
from engine.runs.queue import enqueue, mark_interrupted, resume
from engine.runs.store import Run, Store
from engine.runs.tables import SCHEMA_VERSION
from engine.runs.writer import EventWriter
from tests.databases import execute
from tests.engine.commands import refusal, thaw
from tests.engine.specs import tiny_spec
from tests.engine.test_queue import FOREVER, supervisors, wait_for_epochs, wait_until
from tests.engine.waiting import wait_for
from tests.postgres import Server, postgres_programs

AWAY_SECONDS = 3.0


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A PostgreSQL that the test may stop."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = Server(programs)
    server.start()
    execute(server, "CREATE DATABASE thaw")
    monkeypatch.setenv("THAW_DATABASE_URL", server.url("thaw"))
    yield server
    server.remove()


def running(store: Store) -> Run:
    [added] = store.add_runs([("tiny", tiny_spec("photos"))])
    store.set_status(added.id, "running")
    return store.run(added.id)


def steps_of(store: Store, run: Run) -> list[int]:
    return [event.step for event in store.events_of_kind(run.id, "step")]


# ---- what is waited for


def driver_error(message: str) -> OperationalError:
    class FromServerError(Exception):
        pass

    return OperationalError("UPDATE runs SET name = 's3cret'", {}, FromServerError(message))


def test_a_call_is_made_again_while_the_store_is_away(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [driver_error("starting up\nwait"), driver_error("starting up"), 7]

    def call() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(call) == 7
    assert answers == []
    assert [record.message for record in caplog.records][:1] == [
        "The store is away (starting up wait); it is tried again."
    ]
    assert "s3cret" not in caplog.text
    assert "The store is back" in caplog.text


def test_it_is_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "AWAY_SECONDS", 0.3)

    def call() -> None:
        raise driver_error("no route")

    with pytest.raises(StoreError, match=r"could not be reached for \d seconds \(no route\)"):
        patiently(call)


def test_what_does_not_pass_by_itself_is_raised_at_once(store: Store) -> None:
    def doubled() -> None:
        with writing(store.engine) as connection:
            statement = text(f"INSERT INTO schema_versions VALUES ({SCHEMA_VERSION})")
            connection.execute(statement)

    with pytest.raises(IntegrityError):
        patiently(doubled)
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 // 0)  # type: ignore[arg-type, return-value]


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


# ---- a run whose store goes away


def test_events_are_told_once_though_the_answer_was_lost(store: Store) -> None:
    run = running(store)
    lost = [OSError("the line went dead")]

    real = store.append

    def append(*arguments: Any, **more: Any) -> bool:
        answer = real(*arguments, **more)
        if lost and arguments[1]:
            raise OperationalError("COMMIT", {}, lost.pop())
        return answer

    store.append = append  # type: ignore[method-assign]
    writer = EventWriter(store, run.id)
    for step in range(1, 100):
        writer.emit("step", 1, step, {"train/loss": 0.5})
    writer.close()
    assert lost == []
    assert steps_of(store, run) == list(range(1, 100))


def test_nothing_is_lost_while_a_server_restarts(own_server: Server) -> None:
    store = Store()
    run = running(store)
    writer = EventWriter(store, run.id)
    told = 0

    def tell(seconds: float) -> None:
        nonlocal told
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            told += 1
            writer.emit("step", 1, told, {"train/loss": 0.5})
            time.sleep(0.002)

    tell(0.5)
    for _ in range(2):
        own_server.stop()
        tell(AWAY_SECONDS)
        own_server.start()
        tell(0.5)
    own_server.stop()
    tell(0.2)
    closing = threading.Thread(target=writer.close)
    closing.start()
    time.sleep(1.0)
    own_server.start()
    closing.join()
    assert steps_of(store, run) == list(range(1, told + 1))
    seqs = [event.seq for event in store.events(run.id)]
    assert seqs == list(range(1, len(seqs) + 1))
    store.close()


def test_a_run_that_was_taken_for_dead_and_is_not_goes_on(store: Store) -> None:
    run = running(store)
    store.set_process(run.id, "elsewhere.example", os.getpid(), 1.0)
    writer = EventWriter(store, run.id)
    writer.emit("step", 1, 1, {})
    wait_for(lambda: steps_of(store, run) == [1], 60, "a step")
    store.set_status(run.id, "interrupted", "It gave no sign of life.")
    wait_for(lambda: store.run(run.id).status == "running", 60, "a sign of life")
    writer.close()
    again = store.run(run.id)
    assert (again.status, again.reason, again.ended_at) == ("running", "", None)
    told = [event.values["status"] for event in store.events_of_kind(run.id, "status")]
    assert told == ["queued", "running", "interrupted", "running"]


def test_a_run_whose_store_stays_away_fails_with_a_sentence(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "AWAY_SECONDS", 0.5)
    store = Store()
    run = running(store)
    writer = EventWriter(store, run.id)
    own_server.stop()
    try:
        for step in range(1, 300):
            # Training goes on for longer than that.
            writer.emit("step", 1, step, {})
            time.sleep(0.005)
        with pytest.raises(StoreError, match=r"could not be reached for \d+ seconds"):
            writer.close()
        message = refusal(thaw("runs"))
        assert "cannot be opened (connection" in message
        assert message.strip().endswith("check THAW_DATABASE_URL.")
    finally:
        own_server.start()
    store.close()


# ---- from end to end


@pytest.mark.slow
def test_a_run_and_its_supervisor_outlive_a_restart_of_the_server(
    own_server: Server, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the queue: trained while the server is away, stopped, resumed, and the next one starts."""
    monkeypatch.setenv("THAW_MAX_RUNS", "1")
    store = Store()
    first, second = enqueue(
        store,
        [("first", tiny_spec(tiny_folder, FOREVER)), ("second", tiny_spec(tiny_folder))],
    )
    try:
        wait_for_epochs(store, first, 1)
        own_server.stop()
        time.sleep(AWAY_SECONDS)
        own_server.start()
        before = len(store.epochs(first.id))
        wait_for_epochs(store, first, before + 2)
        assert mark_interrupted(store) == []
        store.request_stop(first.id)
        first = wait_until(store, first, "stopped")
        wait_until(store, second, "finished", seconds=120)
        epochs = [event.epoch for event in store.epochs(first.id)]
        assert epochs == list(range(1, len(epochs) + 1))
        assert steps_of(store, first) == list(range(1, len(steps_of(store, first)) + 1))
        assert resume(store, first.id)
        wait_for_epochs(store, first, len(epochs) + 1)
        store.request_stop(first.id)
        wait_until(store, first, "stopped")
    finally:
        for supervisor in supervisors():
            supervisor.kill()
            supervisor.wait(timeout=60)
        for run in store.all_runs(WORKING):
            if run.pid is not None:
                os.killpg(run.pid, signal.SIGKILL)
        for child in process_module._STARTED:
            child.wait(timeout=60)
    store.close()
