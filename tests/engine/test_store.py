"""The store: gap-free events from many writers, honest statuses, clear refusals."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from engine.errors import RunNotFoundError, StoreError
from engine.runs.database import open_database, writing
from engine.runs.store import NewEvent, Run, Store
from engine.runs.tables import SCHEMA_VERSION, events, runs, schema_versions
from tests.engine.specs import tiny_spec


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def add(store: Store, *strategies: str) -> list[Run]:
    specs = [(name, tiny_spec("photos", {"strategy.name": name})) for name in strategies]
    return store.add_runs(specs)


def steps(count: int, first: int = 1) -> list[NewEvent]:
    return [(0.0, "step", 1, step, {"train/loss": 0.5}) for step in range(first, first + count)]


def seqs(store: Store, run: Run) -> list[int]:
    return [event.seq for event in store.events(run.id)]


def rename(store: Store, old: str, new: str) -> None:
    with writing(store.engine) as connection:
        row = dict(connection.execute(select(runs).where(runs.c.id == old)).one()._mapping)
        connection.execute(insert(runs).values({**row, "id": new}))
        connection.execute(update(events).where(events.c.run_id == old).values(run_id=new))
        connection.execute(delete(runs).where(runs.c.id == old))


# ---- events


def test_seq_counts_up_from_one_without_gaps(store: Store) -> None:
    [run] = add(store, "frozen")
    store.append(run.id, steps(3))
    store.append(run.id, [])
    store.append(run.id, steps(2, first=4))
    assert seqs(store, run) == [1, 2, 3, 4, 5, 6]
    assert store.run(run.id).last_seq == 6


def test_events_read_back_as_they_were(store: Store) -> None:
    [run] = add(store, "frozen")
    store.append(run.id, [(12.5, "epoch", 2, 6, {"val/accuracy": 1 / 3, "note": "é", "x": None})])
    event = store.events(run.id)[-1]
    assert (event.time, event.kind, event.epoch, event.step) == (12.5, "epoch", 2, 6)
    assert event.values == {"val/accuracy": 1 / 3, "note": "é", "x": None}
    assert store.epochs(run.id) == [event]


def test_a_reader_gets_what_came_after_the_seq_it_has(store: Store) -> None:
    [run] = add(store, "frozen")
    store.append(run.id, steps(5))
    assert [event.seq for event in store.events(run.id, after=4)] == [5, 6]
    assert [event.seq for event in store.events(run.id, after=1, limit=2)] == [2, 3]
    assert store.events(run.id, after=6) == []


def test_nan_is_refused_and_leaves_no_gap(store: Store) -> None:
    [run] = add(store, "frozen")
    with pytest.raises(ValueError, match="JSON"):
        store.append(run.id, [*steps(1), (0.0, "step", 1, 2, {"train/loss": float("nan")})])
    store.append(run.id, steps(1))
    assert seqs(store, run) == [1, 2]


def test_events_of_an_unknown_run_are_refused(store: Store) -> None:
    with pytest.raises(RunNotFoundError):
        store.append("12345678", steps(1))


def test_threads_leave_no_gap_and_no_duplicate(store: Store) -> None:
    [run] = add(store, "frozen")
    failures: list[Exception] = []

    def write() -> None:
        try:
            for _ in range(15):
                store.append(run.id, steps(2))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seqs(store, run) == list(range(1, 1 + 4 * 15 * 2 + 1))


WRITER = """
import sys
from engine.runs.store import Store

store = Store()
for number in range(25):
    for run_id in sys.argv[1:]:
        store.append(run_id, [(0.0, "step", 1, number, {"train/loss": 0.5})])
store.close()
"""


def test_processes_leave_no_gap_and_no_duplicate(store: Store) -> None:
    added = add(store, "frozen", "full", "full")
    ids = [run.id for run in added]
    orders = [ids, ids[::-1], ids[1:] + ids[:1]]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, *order]) for order in orders]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    for run in added:
        assert seqs(store, run) == list(range(1, 1 + 3 * 25 + 1))
        assert store.run(run.id).last_seq == 1 + 3 * 25


# ---- looking up


def test_a_run_is_found_by_its_id_or_a_unique_beginning(store: Store) -> None:
    one, other = add(store, "frozen", "full")
    rename(store, one.id, "aaaa1111")
    rename(store, other.id, "aabb2222")
    assert store.run("aaaa1111").name == "frozen"
    assert store.run("aab").name == "full"
    with pytest.raises(RunNotFoundError, match="Several runs start with 'aa'"):
        store.run("aa")


@pytest.mark.parametrize("unknown", ["", "zzz", "%", "_", "a%", "' OR 1=1 --"])
def test_what_is_no_run_is_refused(store: Store, unknown: str) -> None:
    add(store, "frozen")
    with pytest.raises(RunNotFoundError, match="There is no run"):
        store.run(unknown)


def test_runs_come_newest_first(store: Store) -> None:
    first = add(store, "frozen")
    second = add(store, "full")
    assert [run.id for run in store.all_runs()] == [second[0].id, first[0].id]
    store.set_status(first[0].id, "finished")
    assert [run.id for run in store.all_runs(["finished"])] == [first[0].id]


def test_runs_added_together_are_a_group_with_their_specs(store: Store) -> None:
    pair, [single] = add(store, "frozen", "full"), add(store, "frozen")
    assert pair[0].group_id == pair[1].group_id != single.group_id
    assert [run.spec.strategy.name for run in pair] == ["frozen", "full"]
    assert pair[0].spec == tiny_spec("photos")
    assert all(run.status == "queued" and run.is_active for run in pair)


def test_heads_tell_of_active_runs_and_of_those_asked_for(store: Store) -> None:
    done, forgotten, waiting = add(store, "frozen", "frozen", "full")
    store.set_status(done.id, "finished")
    store.set_status(forgotten.id, "finished")
    assert store.heads([done.id]) == {done.id: (2, "finished"), waiting.id: (1, "queued")}


# ---- statuses


def test_status_changes_only_from_an_allowed_one(store: Store) -> None:
    [run] = add(store, "frozen")
    assert not store.set_status(run.id, "stopping", only_from=["running"])
    assert store.run(run.id).status == "queued"
    assert store.set_status(run.id, "running", only_from=["queued"])
    assert store.set_status(run.id, "finished", summary={"seconds": 2.0})
    for late in ("interrupted", "failed", "stopped"):
        assert not store.set_status(run.id, late, "too late")  # type: ignore[arg-type]
    ended = store.run(run.id)
    assert (ended.status, ended.reason) == ("finished", "")
    assert ended.summary == {"seconds": 2.0}
    assert ended.ended_at is not None
    assert not ended.is_active
    told = [event.values["status"] for event in store.events(run.id) if event.kind == "status"]
    assert told == ["queued", "running", "finished"]


def test_status_of_an_unknown_run_is_not_changed(store: Store) -> None:
    assert not store.set_status("12345678", "running")


def test_facts_are_added_to_the_summary(store: Store) -> None:
    [run] = add(store, "frozen")
    store.add_to_summary(run.id, {"classes": 3})
    store.add_to_summary(run.id, {"val_images": 6})
    store.set_status(run.id, "finished", summary={"classes": 4})
    assert store.run(run.id).summary == {"classes": 4, "val_images": 6}


def test_a_waiting_run_stops_at_once_and_a_running_one_when_it_can(store: Store) -> None:
    waiting, running = add(store, "frozen", "full")
    store.set_status(running.id, "running")
    assert not store.append(running.id, steps(1))
    store.request_stop(waiting.id)
    store.request_stop(running.id)
    assert store.run(waiting.id).status == "stopped"
    assert store.run(running.id).status == "stopping"
    assert store.append(running.id, steps(1))


def test_a_run_that_has_ended_cannot_be_stopped(store: Store) -> None:
    [run] = add(store, "frozen")
    store.set_status(run.id, "finished")
    store.request_stop(run.id)
    assert store.run(run.id).status == "finished"


def test_claiming_takes_the_oldest_while_a_slot_is_free(store: Store) -> None:
    first, second, third = (add(store, "frozen")[0] for _ in range(3))
    assert store.num_waiting_before(third) == 2
    assert store.claim_next(2, "here") == (first.id, 0)
    assert store.claim_next(2, "here") == (second.id, 1)
    assert store.claim_next(2, "here") is None
    store.set_status(first.id, "finished")
    assert store.num_waiting_before(third) == 1
    assert store.claim_next(2, "here") == (third.id, 0)
    assert store.run(third.id).status == "running"
    assert store.claim_next(5, "here") is None


def test_stopping_runs_still_hold_their_slot(store: Store) -> None:
    first, _ = add(store, "frozen", "full")
    assert store.claim_next(1, "here") is not None
    store.request_stop(first.id)
    assert store.claim_next(1, "here") is None


def test_claims_of_many_processes_never_share_a_run(store: Store) -> None:
    added = [add(store, "frozen")[0].id for _ in range(6)]
    code = "from engine.runs.store import Store; print(*Store().claim_next(99, 'here'))"
    claimers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    claimed = [claimer.communicate(timeout=60)[0].split()[0] for claimer in claimers]
    assert sorted(claimed) == sorted(added[:3])


# ---- colours


def test_colours_count_up_within_a_temperature(store: Store) -> None:
    added = add(store, "frozen", "full", "frozen", "full") + add(store, "frozen")
    cold = [run.colour for run in added if run.spec.strategy.name == "frozen"]
    warm = [run.colour for run in added if run.spec.strategy.name == "full"]
    assert cold == [0, 1, 2]
    assert warm == [0, 1]


# ---- the database


def pragma(store: Store, name: str) -> str:
    with store.engine.connect() as connection:
        return str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())


def test_sqlite_keeps_no_write_ahead_log(sqlite_store: Store, thaw_home: Path) -> None:
    add(sqlite_store, "frozen")
    assert pragma(sqlite_store, "journal_mode") == "truncate"
    assert pragma(sqlite_store, "foreign_keys") == "1"
    assert not list(thaw_home.glob("*-wal"))
    assert not list(thaw_home.glob("*-shm"))


def test_an_old_write_ahead_log_is_given_up(thaw_home: Path) -> None:
    thaw_home.mkdir()
    connection = sqlite3.connect(thaw_home / "thaw.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    opened = Store()
    assert pragma(opened, "journal_mode") == "truncate"
    opened.close()


def test_runs_outlive_the_store_that_added_them(store: Store) -> None:
    [run] = add(store, "frozen")
    other = Store()
    assert other.run(run.id) == run
    other.close()


def test_a_store_of_a_newer_thaw_is_refused(store: Store, thaw_home: Path) -> None:
    with writing(store.engine) as connection:
        connection.execute(update(schema_versions).values(version=SCHEMA_VERSION + 1))
    newer = rf"made by a newer Thaw \(schema {SCHEMA_VERSION + 1}; .*update Thaw"
    with pytest.raises(StoreError, match=newer):
        Store()


def test_a_second_opening_writes_no_second_version(store: Store) -> None:
    Store().close()
    with store.engine.connect() as connection:
        assert connection.execute(schema_versions.select()).all() == [(SCHEMA_VERSION,)]


def unusable(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        open_database(url)
    return str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "thaw.db"
    file.write_bytes(b"no database at all " * 100)
    message = unusable(f"sqlite:///{file}")
    assert str(file) in message
    assert "not a database" in message
    assert file.read_bytes().startswith(b"no database")


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "thaw.db"
    open_database(f"sqlite:///{file}").dispose()
    content = bytearray(file.read_bytes())
    content[100:4000] = b"\xff" * 3900
    file.write_bytes(content)
    assert str(file) in unusable(f"sqlite:///{file}")


@pytest.mark.parametrize(
    "url",
    ["nonsense", "cuneiform://tablet", "sqlite:////no/such/folder/thaw.db", "sqlite:////"],
)
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    assert "cannot be opened" in unusable(url)


def test_a_missing_database_driver_is_refused_and_no_password_shown() -> None:
    message = unusable("oracle+cx_oracle://me:secret@localhost/thaw")
    assert "secret" not in message


def test_events_go_with_their_run(store: Store) -> None:
    [run] = add(store, "frozen")
    with writing(store.engine) as connection:
        connection.execute(runs.delete().where(runs.c.id == run.id))
    assert store.events(run.id) == []


def test_events_without_a_run_cannot_exist(store: Store) -> None:
    row = {"run_id": "lost", "seq": 1, "time": 0, "kind": "step", "epoch": 0, "step": 0}
    with pytest.raises(IntegrityError), writing(store.engine) as connection:
        connection.execute(insert(events), [row | {"values": "{}"}])


def test_watching_tells_what_others_wrote_and_nothing_else(sqlite_store: Store) -> None:
    store = sqlite_store
    changed = store.watch()
    assert changed()
    assert not changed()
    other = Store()
    [run] = other.add_runs([("Other", tiny_spec("photos"))])
    assert changed()
    assert not changed()
    store.append(run.id, [(0.0, "step", 1, 1, {})])
    assert changed()
    store.run(run.id)
    assert not changed()
