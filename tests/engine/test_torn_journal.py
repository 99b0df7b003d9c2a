"""A store whose last transaction was cut off anywhere, as by a power cut: sound, nothing lost."""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.runs.store import Store
from tests.engine.specs import tiny_spec

NAME = "thaw.db"
JOURNAL = "thaw.db-journal"
HEADER_BYTES = 700
SAMPLE = 150
OPENED_BY_THAW = 25


@dataclass(frozen=True)
class Moment:
    """A store as a power cut in the middle of a transaction finds it.

    `finished` are the losses that had been told of by then.
    """

    before: bytes
    database: bytes
    journal: bytes
    finished: list[float]


def url(folder: Path) -> str:
    return f"sqlite:///{folder / NAME}"


def told(store: Store) -> list[float]:
    [run] = store.all_runs()
    return [float(one.values["train/loss"] or 0) for one in store.events_of_kind(run.id, "step")]


def moment(folder: Path, spills: bool) -> Moment:
    """Copies a store in the middle of a transaction.

    Args:
        folder: to work in.
        spills: some pages of the transaction are in the database already, as at a commit that has
            begun to write them; the journal holds what they were.
    """
    store = Store(url(folder))
    [run] = store.add_runs([("run", tiny_spec("photos"))])
    steps = [(float(n), "step", 1, n, {"train/loss": 1 / n}) for n in range(1, 400)]
    store.append(run.id, steps[:200])  # type: ignore[arg-type]
    finished = told(store)
    store.close()
    before = (folder / NAME).read_bytes()
    connection = sqlite3.connect(folder / NAME, isolation_level=None)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    # Pages that do not fit are written before the commit.
    connection.execute(f"PRAGMA cache_size = {2 if spills else 2000}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE events SET \"values\" = '{}' WHERE seq > 5")
    connection.execute("UPDATE runs SET last_seq = 999, status = 'failed'")
    found = Moment(before, (folder / NAME).read_bytes(), (folder / JOURNAL).read_bytes(), finished)
    connection.execute("ROLLBACK")
    connection.close()
    assert (found.database != before) == spills
    assert len(found.journal) > 4096
    return found


def put(folder: Path, database: bytes, journal: bytes) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / NAME).write_bytes(database)
    (folder / JOURNAL).write_bytes(journal)


def require_sound(folder: Path, finished: list[float], by_thaw: bool) -> None:
    if by_thaw:
        store = Store(url(folder))
        assert told(store) == finished
        assert store.all_runs()[0].status == "queued"
        store.close()
    connection = sqlite3.connect(folder / NAME)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [[count]] = connection.execute(
            "SELECT count(*) FROM events WHERE kind = 'step' AND \"values\" LIKE '%train/loss%'"
        ).fetchall()
        assert count == len(finished)
    finally:
        connection.close()


def places(size: int, page: int = 4096 + 8) -> list[int]:
    """Every byte of the header, both sides of each page, and more in between."""
    edges = [512 + page * n + side for n in range(size // page + 1) for side in (-1, 0, 1)]
    spread = range(HEADER_BYTES, size, max(1, size // SAMPLE))
    return sorted({end for end in (*range(HEADER_BYTES), *edges, *spread, size) if end <= size})


def test_a_journal_that_ends_anywhere_takes_nothing_back_that_was_finished(tmp_path: Path) -> None:
    """It is being written: no page of the database has been touched before it is on disk."""
    (tmp_path / "made").mkdir()
    cut_off = moment(tmp_path / "made", spills=False)
    ends = places(len(cut_off.journal))
    assert len(ends) > HEADER_BYTES
    for number, end in enumerate(ends):
        put(tmp_path / "torn", cut_off.database, cut_off.journal[:end])
        by_thaw = number % (len(ends) // OPENED_BY_THAW) == 0
        require_sound(tmp_path / "torn", cut_off.finished, by_thaw)


def test_pages_that_are_half_written_are_put_back(tmp_path: Path) -> None:
    """The journal is on disk, and the transaction's pages are written up to anywhere."""
    (tmp_path / "made").mkdir()
    cut_off = moment(tmp_path / "made", spills=True)
    length = min(len(cut_off.before), len(cut_off.database))
    for number, end in enumerate(range(0, length, max(1, length // 200) + 7)):
        database = cut_off.database[:end] + cut_off.before[end:]
        put(tmp_path / "torn", database, cut_off.journal)
        require_sound(tmp_path / "torn", cut_off.finished, by_thaw=number % 10 == 0)


def test_a_store_that_is_cut_is_a_sentence(tmp_path: Path) -> None:
    """No transaction does that; a disk that fails does."""
    (tmp_path / "made").mkdir()
    whole = moment(tmp_path / "made", spills=False).before
    # A single byte is an empty database to SQLite, as is none.
    for end in [*range(2, 130), *range(4096, len(whole), 4096)]:
        put(tmp_path / "torn", whole[:end], b"")
        with pytest.raises(StoreError, match=r"cannot be opened \(") as caught:
            Store(url(tmp_path / "torn"))
        assert "\n" not in str(caught.value)
