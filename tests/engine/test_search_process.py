"""A search is a process that may be killed, kept in the file of the runs."""

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from engine.errors import StoreError
from engine.home import thaw_home
from engine.runs import process as process_module
from engine.runs import search as search_module
from engine.runs import search_study
from engine.runs.queue import LOCK_FILE as QUEUE_LOCK_FILE
from engine.runs.search import main
from engine.runs.search_study import (
    all_searches,
    driver_at_work,
    find_search,
    load_study,
    open_studies,
    start_search,
    stop_search,
    tend_searches,
    trials_of,
)
from engine.runs.store import Store
from tests.engine.pretend_worker import PretendWorker, epoch_event
from tests.engine.searched import RATES, _quick, drive, drivers, search_spec, started, steady, store
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

__all__ = ["_quick", "started", "store"]


@pytest.fixture
def sqlite_store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


# ---- one process a search; it may be killed


@pytest.fixture
def no_training(store: Store) -> Iterator[None]:
    """Holds the supervisor's lock, so that real processes start no real training."""
    with FileLock(thaw_home() / QUEUE_LOCK_FILE):
        yield
    for child in process_module._STARTED:
        if child.poll() is None:
            child.kill()
        child.wait(60)


@pytest.mark.usefixtures("no_training")
def test_a_killed_driver_is_followed_by_another_that_goes_on(store: Store) -> None:
    search = start_search(search_spec(RATES, trials=3, sampler="random"))
    [run] = wait_for(lambda: store.all_runs(("queued",)), 60, "the first trial's run")
    claimed = store.claim_next(1, "elsewhere.example")
    assert claimed is not None
    store.append(run.id, [epoch_event(1, 0.5)])
    wait_for(lambda: trials_of(search.id)[0].num_epochs == 1, 30, "the first epoch")
    [driver] = drivers(search.id)
    assert driver_at_work(search.id)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(60)
    assert not driver_at_work(search.id)
    store.append(run.id, [epoch_event(2, 0.7)])
    store.set_status(run.id, "finished", summary={"seconds": 3.0})
    tend_searches()
    with PretendWorker(steady):
        wait_for(lambda: not find_search(search.id).is_active, 60, "the end of the search")
    assert find_search(search.id).status == "finished"
    trials = trials_of(search.id)
    assert [one.state for one in trials] == ["complete"] * 3
    assert (trials[0].accuracy, trials[0].num_epochs, trials[0].seconds) == (0.7, 2, 3.0)
    assert len(store.all_runs()) == 3
    alone = start_search(search_spec(RATES, trials=3, sampler="random"))
    with PretendWorker(steady):
        wait_for(lambda: not find_search(alone.id).is_active, 60, "the end of the search")
    assert [one.params for one in trials_of(alone.id)] == [one.params for one in trials]


@pytest.mark.usefixtures("no_training")
def test_only_one_process_drives_a_search(store: Store) -> None:
    search = start_search(search_spec(RATES, trials=2))
    wait_for(lambda: store.all_runs(("queued",)), 60, "the first trial's run")
    search_study.start_driver(search.id)
    wait_for(lambda: len(drivers(search.id)) == 2, 60, "a second process")
    with PretendWorker(steady):
        wait_for(lambda: not find_search(search.id).is_active, 60, "the end of the search")
        wait_for(lambda: not drivers(search.id), 30, "both processes to leave")
    assert len(trials_of(search.id)) == len(store.all_runs()) == 2


def test_a_trial_that_was_asked_for_but_not_queued_is_queued(
    store: Store, started: list[str]
) -> None:
    spec = search_spec({"images.fit": ["crop", "pad"]}, sampler="grid")
    search = start_search(spec)
    with open_studies() as storage:
        load_study(storage, search.id).ask()
    search, trials = drive(search)
    assert search.status == "finished"
    assert {one.params["images.fit"] for one in trials} == {"crop", "pad"}
    assert [one.state for one in trials] == ["complete", "complete"]


def test_a_run_that_was_queued_but_not_taken_down_is_found(
    store: Store, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = start_search(search_spec(RATES, trials=1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search_module, "_Followed", killed)
        patch.setattr(search_module, "RUN_ID", "lost")
        with pytest.raises(KeyboardInterrupt):
            main(search.id)
    assert trials_of(search.id)[0].run_id is None
    search, [trial] = drive(search)
    assert trial.state == "complete"
    assert [run.id for run in store.all_runs()] == [trial.run_id]


def test_looking_starts_the_process_of_a_search_that_has_none(started: list[str]) -> None:
    search = start_search(search_spec(RATES, trials=1))
    tend_searches()
    assert started == [search.id, search.id]
    drive(search)
    tend_searches()
    assert len(started) == 2


def test_a_search_of_another_machine_is_left_alone(
    started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_search(search_spec(RATES, trials=1))
    monkeypatch.setattr(search_study, "host_name", lambda: "elsewhere.example")
    tend_searches()
    assert len(started) == 1


# ---- where it is kept


def test_searches_are_listed_newest_first(started: list[str]) -> None:
    assert all_searches() == []
    first = start_search(search_spec(RATES, trials=1))
    second = start_search(search_spec(RATES, trials=2))
    assert [one.id for one in all_searches()] == [second.id, first.id]
    assert find_search(first.id[:6]).spec == first.spec
    assert trials_of(first.id) == []


@pytest.mark.parametrize("search_id", ["zzz", ""])
def test_an_unknown_search_is_a_sentence(started: list[str], search_id: str) -> None:
    with pytest.raises(StoreError, match="There is no search"):
        find_search(search_id)
    with pytest.raises(StoreError, match="There is no search"):
        stop_search(search_id)


def test_looking_for_searches_where_there_are_none_changes_nothing(sqlite_store: Store) -> None:
    assert all_searches() == []
    with sqlite3.connect(thaw_home() / "thaw.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "studies" not in tables


def test_a_study_lies_in_the_file_of_the_runs_whose_journal_stays_as_it_was(
    sqlite_store: Store, started: list[str]
) -> None:
    search, _ = drive(start_search(search_spec(RATES, trials=3)))
    file = thaw_home() / "thaw.db"
    with sqlite3.connect(file) as connection:
        names = connection.execute("SELECT study_name FROM studies").fetchall()
        assert connection.execute("PRAGMA journal_mode").fetchone() in [("delete",), ("truncate",)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert names == [(f"thaw-{search.id}",)]
    # SQLite's file format: 1 is a rollback journal, 2 a write-ahead log.
    assert file.read_bytes()[18:20] == b"\x01\x01"
    with sqlite_store.engine.connect() as connected:
        mode = connected.exec_driver_sql("PRAGMA journal_mode").scalar()
    assert mode == "truncate"
    assert not list(thaw_home().glob("thaw.db-wal"))


def test_a_study_and_the_runs_are_written_at_the_same_time(
    store: Store, started: list[str]
) -> None:
    """Four writers of runs and one of a study: each waits its turn, none is refused."""
    search = start_search(search_spec(RATES, trials=1))
    runs = store.add_runs([(f"writer {n}", tiny_spec("photos")) for n in range(4)])
    faults: list[BaseException] = []

    def write(run_id: str) -> None:
        own = Store()
        try:
            for epoch in range(1, 41):
                own.append(run_id, [epoch_event(epoch, 0.5)])
        except Exception as error:
            faults.append(error)
        finally:
            own.close()

    writers = [threading.Thread(target=write, args=(run.id,)) for run in runs]
    for writer in writers:
        writer.start()
    with open_studies() as storage:
        study = load_study(storage, search.id)
        for _ in range(10):
            trial = study.ask()
            trial.suggest_float("optimiser.lr", 1e-4, 1e-2)
            for epoch in range(1, 4):
                trial.report(0.5, epoch)
            study.tell(trial, 0.5)
    for writer in writers:
        writer.join()
    assert faults == []
    assert [len(store.epochs(run.id)) for run in runs] == [40] * 4
    assert find_search(search.id).num_asked == 10


def test_a_store_that_is_none_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bad.db").write_text("no database " * 200)
    monkeypatch.setenv("THAW_DATABASE_URL", f"sqlite:///{tmp_path / 'bad.db'}")
    with pytest.raises(StoreError):
        all_searches()
