"""A store without room: a sentence, nothing lost, and a run that waits for a while."""

import errno
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from engine.errors import RunNotFoundError, StoreError
from engine.home import run_folder
from engine.runs import patience, worker
from engine.runs.store import Store
from engine.runs.worker import SPEC_FILE
from engine.runs.writer import EventWriter
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

STEP = {"train/loss": 0.5, "note": "x" * 3000}


class Disk:
    """SQLite itself says that there is no room for another page, while `full`."""

    def __init__(self, store: Store):
        self.full = False
        self.refused = 0
        event.listen(store.engine, "begin", self._begin)
        event.listen(store.engine, "rollback", self._rollback)

    def _begin(self, connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        most = pages if self.full else 1 << 30
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    def _rollback(self, connection: Connection) -> None:
        self.refused += self.full


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def disk(store: Store) -> Disk:
    return Disk(store)


def test_no_room_is_a_sentence_and_changes_nothing(store: Store, disk: Disk) -> None:
    [run] = store.add_runs([("run", tiny_spec("photos"))])
    before = store.events(run.id)
    disk.full = True
    with pytest.raises(StoreError, match=r"cannot be written \(database or disk is full\); free"):
        store.append(run.id, [(0.0, "step", 1, n, STEP) for n in range(1, 20)])
    disk.full = False
    assert store.events(run.id) == before
    assert store.run(run.id).last_seq == before[-1].seq
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_writer_waits_for_room_and_loses_nothing(
    store: Store, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.1)
    [run] = store.add_runs([("run", tiny_spec("photos"))])
    events = EventWriter(store, run.id)
    disk.full = True
    for step in range(1, 30):
        events.emit("step", 1, step, STEP)
    wait_for(lambda: disk.refused > 2, 30, "refused")
    for step in range(30, 40):
        events.emit("step", 1, step, STEP)
    disk.full = False
    events.close()
    assert [one.step for one in store.events_of_kind(run.id, "step")] == list(range(1, 40))


def test_a_writer_does_not_wait_for_ever(
    store: Store, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(patience, "NO_ROOM_SECONDS", 0.2)
    [run] = store.add_runs([("run", tiny_spec("photos"))])
    events = EventWriter(store, run.id)
    disk.full = True
    for step in range(1, 30):
        events.emit("step", 1, step, STEP)
    with pytest.raises(StoreError, match="disk is full"):
        events.close()


def test_a_run_that_is_gone_is_not_waited_for(store: Store) -> None:
    with pytest.raises(RunNotFoundError):
        patience.patiently(lambda: store.append("nonesuch", [(0.0, "step", 1, 1, STEP)]))


def test_a_file_that_cannot_be_written_ends_a_run_with_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the file with the traceback."""

    def no_room(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(worker, "write_text", no_room)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    [run] = store.add_runs([("run", tiny_spec("photos"))])
    store.claim_next(1, "here")
    assert worker.main(run.id) == 0
    ended = store.run(run.id)
    assert ended.status == "failed"
    assert ended.reason == (
        f"A file {run_folder(run.id) / SPEC_FILE} of the run cannot be read or written (No space "
        "left on device); free some room or mend its permissions, and resume the run."
    )
