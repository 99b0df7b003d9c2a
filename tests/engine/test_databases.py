"""What the store asks of a database: the same answers from SQLite and from PostgreSQL."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from engine.errors import RunNotFoundError, StoreError
from engine.runs import postgres as postgres_module
from engine.runs.database import (
    database_url,
    describe_database,
    describe_sqlite,
    open_database,
    writing,
)
from engine.runs.store import Run, Store, acts, base, events
from engine.spec import RunSpec
from tests.engine.specs import tiny_spec

SOON, PATIENCE_SECONDS = 0.3, 20.0


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def add(store: Store, name: str = "Frozen") -> Run:
    [run] = store.add_runs([(name, tiny_spec("photos"))])
    return run


# ---- what can be kept


def test_what_no_database_can_hold_is_replaced(store: Store) -> None:
    run = add(store, "a\0b\ud800")
    store.mark(run.id, note="\0", tags=["x\0", "\ud800"])
    store.set_status(run.id, "failed", "no \0 file")
    store.append(run.id, [(1.0, "progress", 0, 0, {"task": "\0\ud800"})])
    again = store.run(run.id)
    assert (again.name, again.note, again.reason) == ("a\ufffdb?", "\ufffd", "no \ufffd file")
    assert again.tags == ("x\0", "\ud800")
    assert store.events(run.id)[-1].values == {"task": "\0\ud800"}


@pytest.mark.parametrize("run_id", ["\0", "\ud800", "a" * 1000, "é", "\\"])
def test_an_id_of_any_kind_is_looked_for(store: Store, run_id: str) -> None:
    add(store)
    assert set(store.heads([run_id])) == {run.id for run in store.all_runs()}
    assert store.events(run_id) == []
    with pytest.raises(RunNotFoundError):
        store.run(run_id)


def test_an_id_is_found_in_capitals(store: Store) -> None:
    run = add(store)
    assert store.run(run.id.upper()).id == store.run(run.id[:7].upper()).id == run.id


def test_seconds_and_large_numbers_come_back_as_they_were(store: Store) -> None:
    run = add(store)
    at = 1795669179.9315884
    store.append(run.id, [(at, "step", 1, 2**31 - 1, {"x": 2**60, "y": 1e-300})])
    event = store.events(run.id)[-1]
    assert (event.time, event.step, event.values) == (at, 2**31 - 1, {"x": 2**60, "y": 1e-300})
    before = time.time()
    store.set_process(run.id, "here", 2**22, at)
    again = store.run(run.id)
    assert again.pid_started == at
    assert again.beat_at is not None
    assert before <= again.beat_at <= time.time()


# ---- many at once

ADDER = """
import sys
from engine.runs.store import Store
from engine.spec import RunSpec

store = Store()
for _ in range(10):
    store.add_runs([("run", RunSpec.parse(sys.argv[1]))] * 2)
store.close()
"""


def test_runs_that_several_add_at_once_have_colours_of_their_own(store: Store) -> None:
    spec = tiny_spec("photos").model_dump_json()
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, spec]) for _ in range(3)]
    assert [adder.wait(60) for adder in adders] == [0, 0, 0]
    assert sorted(run.colour for run in store.all_runs()) == list(range(60))


def test_each_machine_has_its_own_slots(store: Store) -> None:
    first, second, third = (add(store) for _ in range(3))
    assert store.claim_next(1, "one") == (first.id, 0)
    assert store.claim_next(1, "one") is None
    assert store.claim_next(1, "other") == (second.id, 0)
    assert store.claim_next(1, "other") is None
    store.set_status(first.id, "finished")
    assert store.claim_next(1, "one") == (third.id, 0)


def test_statuses_that_two_set_at_once_are_set_once(store: Store) -> None:
    run = add(store)
    done: list[bool] = []

    def end() -> None:
        done.append(store.set_status(run.id, "stopped", only_from=["queued"]))

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 7 + [True]
    assert [event.seq for event in store.events(run.id)] == [1, 2]


def waits(write: Any, *arguments: Any) -> threading.Thread:
    """A thread that writes, and has not finished doing so after a moment."""
    thread = threading.Thread(target=write, args=arguments)
    thread.start()
    thread.join(SOON)
    assert thread.is_alive()
    return thread


@pytest.mark.usefixtures("postgres")
def test_on_postgres_a_run_waits_for_no_other_run_but_for_the_queue() -> None:
    store = Store()
    one, other = add(store), add(store)
    with writing(store.engine, one.id):
        store.append(other.id, [(1.0, "step", 1, 1, {})])
        waiting = [waits(store.append, one.id, [(1.0, "step", 1, 1, {})]), waits(add, store)]
    for thread in waiting:
        thread.join(PATIENCE_SECONDS)
    with writing(store.engine):
        thread = waits(store.append, one.id, [(1.0, "step", 1, 2, {})])
    thread.join(PATIENCE_SECONDS)
    assert [store.run(run.id).last_seq for run in (one, other)] == [3, 2]
    store.close()


def test_on_postgres_one_who_falls_silent_in_the_middle_holds_nobody_back(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    run = add(store)
    silent = postgres_module.make_engine(postgres, busy_seconds=1)
    connection = silent.connect()
    postgres_module.lock(connection, None)
    store.append(run.id, [(1.0, "step", 1, 1, {})])
    assert store.run(run.id).last_seq == 2
    connection.invalidate()
    connection.close()
    silent.dispose()
    store.close()


# ---- nobody works on rows while they are locked


@pytest.mark.parametrize("reads", ["all_runs", "events", "epochs", "acts"])
def test_rows_are_worked_on_when_nothing_is_locked(
    reads: str, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAGE", 10)
    store = Store()
    run = add(store)
    store.set_status(run.id, "running")
    store.append(run.id, [(1.0, "epoch", epoch, epoch, {}) for epoch in range(1, 26)])
    other = sqlite3.connect(thaw_home / "thaw.db", isolation_level=None, timeout=0)
    written = 0

    def write(row: Any) -> Any:
        nonlocal written
        other.execute("UPDATE runs SET note = note || '.'")
        written += 1
        return row

    for module, name in ((base, "to_run"), (events, "_to_event")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda row, real=real: real(write(row)))
    monkeypatch.setattr(acts.Act, "parse", write)
    if reads == "acts":
        other.execute("INSERT INTO acts VALUES (?, 1, 0.0, '{}')", (run.id,))
    getattr(store, reads)(*([] if reads == "all_runs" else [run.id]))
    assert written == {"all_runs": 1, "events": 27, "epochs": 25, "acts": 1}[reads]
    other.close()
    store.close()


def test_events_that_take_several_reads_come_once_and_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAGE", 10)
    run = add(store)
    store.append(run.id, [(1.0, "step", 1, step, {}) for step in range(1, 40)])
    assert [event.seq for event in store.events(run.id)] == list(range(1, 41))
    assert [event.seq for event in store.events(run.id, after=5, limit=23)] == list(range(6, 29))
    assert [event.seq for event in store.events(run.id, after=30)] == list(range(31, 41))
    assert [event.step for event in store.events_of_kind(run.id, "step")] == list(range(1, 40))
    assert store.events(run.id, limit=0) == []


# ---- addresses


def opened(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        open_database(url)
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:s3cret@/thaw?host=/nowhere",
        "postgresql+psycopg:///thaw?host=/nowhere&user=me&password=s3cret",
        "postgresql://me:s3cret@/thaw?host=/nowhere&sslpassword=s3cret",
        "postgres://me:s3cret@nowhere.invalid/thaw?passfile=s3cret",
        "postgresql+psycopg://me:s3cret@s3cret:s3cret@host/thaw",
        "postgresql+psycopg://me:s3cret@s3cret@host/thaw",
        "mysql://me:s3cret@host/thaw",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    message = opened(url)
    assert "cannot be opened" in message
    assert "\n" not in message
    assert "s3cret" not in message + describe_database(url)


def test_a_password_that_a_server_refuses_is_not_shown(postgres_server: Any) -> None:
    url = postgres_server.url("nobody_made_this").replace("thaw@", "thaw:s3cret@")
    message = opened(url)
    assert 'database "nobody_made_this" does not exist' in message
    assert "s3cret" not in message


def test_without_a_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = opened("postgresql+psycopg://me:s3cret@localhost/thaw")
    assert message == (
        "The store of runs at postgresql+psycopg://me:***@localhost/thaw cannot be opened without "
        "a driver; install one with: pip install 'thaw-lab[postgres]'."
    )


def test_the_usual_addresses_mean_the_driver_that_comes_with_the_extra(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_DATABASE_URL", postgres.replace("+psycopg", ""))
    assert database_url() == postgres
    assert Store().all_runs() == []
    assert opened("mysql://host/thaw").startswith(
        "The store of runs at mysql://host/thaw cannot be opened (it is neither SQLite nor "
        "PostgreSQL); check THAW_DATABASE_URL"
    )


def test_what_is_said_of_the_database(thaw_home: Path) -> None:
    assert describe_database() == f"sqlite:///{thaw_home / 'thaw.db'}"
    assert sqlite3.sqlite_version in describe_sqlite()


def test_connections_are_closed_with_the_store_that_nobody_holds_any_more(postgres: str) -> None:
    def count(engine: Engine) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        with engine.connect() as connection:
            return int(connection.scalar(text(query)) or 0)

    watcher = open_database(postgres)
    for _ in range(5):
        Store().all_runs()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while count(watcher) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    watcher.dispose()


def test_a_spec_is_kept_to_the_letter(store: Store) -> None:
    spec = tiny_spec("photos").model_dump(mode="json")
    spec["data"]["folder"] = "/Fotos/é \u2028 ' \" % : \\ 🙂"
    [run] = store.add_runs([("x", RunSpec.parse(spec))])
    assert store.run(run.id).spec == RunSpec.parse(spec)
