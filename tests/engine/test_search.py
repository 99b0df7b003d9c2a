"""A search: trials chosen, queued as runs, followed, pruned, stopped, and gone on with."""

import math
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from filelock import FileLock
from sqlalchemy import Pool, event

from engine.errors import SpecError, StoreError
from engine.home import thaw_home
from engine.runs import process as process_module
from engine.runs import queue as queue_module
from engine.runs import search as search_module
from engine.runs import search_study
from engine.runs.process import is_alive
from engine.runs.queue import LOCK_FILE as QUEUE_LOCK_FILE
from engine.runs.search import FAILURES, main, make_sampler
from engine.runs.search_space import SearchSpec
from engine.runs.search_study import (
    Search,
    Trial,
    all_searches,
    best_trial,
    count_states,
    driver_at_work,
    find_search,
    go_on,
    load_study,
    open_studies,
    start_search,
    stop_search,
    tend_searches,
    trials_of,
)
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from tests.engine.pretend_worker import PretendWorker, epoch_event
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

RATES = {"optimiser.lr": {"low": 1e-4, "high": 1e-2, "log": True}}


def search_spec(space: dict[str, Any], **settings: Any) -> SearchSpec:
    base = tiny_spec("photos", {"training.epochs": 4})
    return SearchSpec.parse({"base": base, "space": space, "pruning": False, **settings})


def steady(spec: RunSpec) -> list[float]:
    """Four epochs at an accuracy that falls with the distance of the rate from 1e-3."""
    distance = abs(spec.optimiser.lr - 1e-3)
    return [0.9 - distance * share for share in (4, 3, 2, 3)]


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    """Leaves out what costs time here and proves nothing: waiting for the disk at each commit."""

    def do_not_wait(connection: Any, *_: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Pool, "checkout", do_not_wait)
    yield
    event.remove(Pool, "checkout", do_not_wait)


@pytest.fixture
def store(either_database: str) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No process is started; what would have been is in the list."""
    names: list[str] = []
    monkeypatch.setattr(queue_module, "start_supervisor", lambda: None)
    monkeypatch.setattr(search_study, "start_driver", names.append)
    monkeypatch.setattr(search_module, "POLL_SECONDS", 0.02)
    return names


def drive(
    search: Search, accuracies: Any = steady, slots: int = 1, epoch_seconds: float = 0.0
) -> tuple[Search, list[Trial]]:
    """Drives a search to its end in this process, with a pretended worker."""
    with PretendWorker(accuracies, slots, epoch_seconds):
        main(search.id)
    return find_search(search.id), trials_of(search.id)


# ---- trials are runs


def test_every_trial_is_a_run_with_its_settings(store: Store, started: list[str]) -> None:
    search, trials = drive(start_search(search_spec(RATES, trials=4)))
    assert started == [search.id]
    assert search.status == "finished"
    assert [one.state for one in trials] == ["complete"] * 4
    runs = {run.id: run for run in store.all_runs()}
    assert {one.run_id for one in trials} == set(runs)
    for one in trials:
        run = runs[str(one.run_id)]
        assert run.spec.optimiser.lr == one.params["optimiser.lr"]
        assert f"{run.spec.optimiser.lr:.3g}" == f"{run.spec.optimiser.lr:.10g}"
        assert run.name == f"Search {search.id} #{one.number + 1} · Frozen"
        assert one.accuracy == max(steady(run.spec))
        assert (one.num_epochs, one.seconds) == (4, 6.0)


def test_the_best_trial_is_the_one_with_the_highest_accuracy(started: list[str]) -> None:
    _, trials = drive(start_search(search_spec(RATES, trials=6, sampler="random")))
    best = best_trial(trials)
    assert best is not None
    assert best.accuracy == max(one.accuracy or 0.0 for one in trials)


def test_of_equals_the_quickest_is_the_best() -> None:
    def trial(number: int, accuracy: float, seconds: float) -> Trial:
        return Trial(number, "complete", {}, None, accuracy, 1, seconds, "")

    best = best_trial([trial(0, 0.9, 8.0), trial(1, 0.9, 2.0), trial(2, 0.8, 1.0)])
    assert best is not None
    assert best.number == 1


def test_the_best_epoch_counts_not_the_last(started: list[str]) -> None:
    _, trials = drive(start_search(search_spec(RATES, trials=1)), lambda _: [0.5, 0.9, 0.6])
    assert trials[0].accuracy == 0.9


def test_each_strategy_gets_its_own_rate(store: Store, started: list[str]) -> None:
    spec = search_spec({"strategy.name": ["frozen", "full"]}, sampler="grid")
    drive(start_search(spec))
    rates = {run.spec.strategy.name: run.spec.optimiser.lr for run in store.all_runs()}
    assert rates == {name: STRATEGIES[name].default_lr for name in ("frozen", "full")}


def test_as_many_runs_wait_as_there_are_slots(
    store: Store, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_MAX_RUNS", "3")
    at_once = []

    def watched(spec: RunSpec) -> list[float]:
        deadline = time.monotonic() + 30
        # The first goes on until there are as many as there may be.
        while len(store.all_runs(("queued", "running"))) < 3 and not at_once:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        at_once.append(len(store.all_runs(("queued", "running"))))
        return steady(spec)

    search = start_search(search_spec(RATES, trials=7))
    _, trials = drive(search, watched, slots=3, epoch_seconds=0.1)
    assert count_states(trials)["complete"] == 7
    assert max(at_once) == 3


# ---- how settings are chosen


def test_a_grid_covers_everything_once(started: list[str]) -> None:
    space = {
        "strategy.name": ["frozen", "full"],
        "images.fit": ["crop", "pad", "squash"],
        "optimiser.lr": {"low": 1e-4, "high": 1e-2, "log": True, "points": 2},
    }
    search, trials = drive(start_search(search_spec(space, sampler="grid", trials=1)))
    tried = [tuple(one.params[name] for name in space) for one in trials]
    assert len(tried) == search.spec.num_trials == 12
    assert len(set(tried)) == 12
    assert search.status == "finished"


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_tries_the_same_settings(started: list[str], sampler: str) -> None:
    space = RATES | {"model.dropout": {"low": 0, "high": 0.5}, "images.fit": ["crop", "pad"]}
    tried = []
    for seed in (3, 3, 4):
        spec = search_spec(space, trials=6, sampler=sampler, seed=seed)
        _, trials = drive(start_search(spec))
        tried.append([one.params for one in trials])
    assert tried[0] == tried[1]
    assert tried[0] != tried[2]
    assert len({params["optimiser.lr"] for params in tried[0]}) == 6


def test_tpe_learns_where_good_settings_lie() -> None:
    def late_mean(sampler: str) -> float:
        spec = search_spec(RATES, trials=40, sampler=sampler)
        study = optuna.create_study(direction="maximize")
        for number in range(40):
            study.sampler = make_sampler(spec, number)
            trial = study.ask()
            rate = trial.suggest_float("optimiser.lr", 1e-7, 1.0, log=True)
            study.tell(trial, -abs(math.log10(rate) + 3))
        late = [one.value or 0.0 for one in study.trials[20:]]
        return sum(late) / len(late)

    assert late_mean("tpe") > late_mean("random") + 0.5


def test_the_same_settings_are_not_trained_twice(store: Store, started: list[str]) -> None:
    spec = search_spec({"images.fit": ["crop", "pad"]}, trials=8, sampler="random")
    _, trials = drive(start_search(spec))
    assert count_states(trials)["complete"] == 8
    assert len(store.all_runs()) == 2
    by_fit: dict[Any, set[Any]] = {}
    for one in trials:
        by_fit.setdefault(one.params["images.fit"], set()).add((one.run_id, one.accuracy))
    assert [len(results) for results in by_fit.values()] == [1, 1]
    assert "the same settings as trial" in trials[-1].reason


# ---- trials that go wrong


def test_a_failed_run_is_a_failed_trial_and_the_search_goes_on(started: list[str]) -> None:
    space = {"images.fit": ["crop", "pad", "squash"]}
    search, trials = drive(
        start_search(search_spec(space, sampler="grid")),
        lambda spec: None if spec.images.fit == "pad" else [0.5],
    )
    states = {one.params["images.fit"]: one.state for one in trials}
    assert states == {"crop": "complete", "pad": "failed", "squash": "complete"}
    assert search.status == "finished"
    [failed] = [one for one in trials if one.state == "failed"]
    assert failed.reason == "The training loss became NaN."


def test_settings_that_do_not_go_together_are_a_failed_trial(
    store: Store, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_pad(self: SearchSpec, params: dict[str, Any]) -> RunSpec:
        if params["images.fit"] == "pad":
            raise SpecError("These do not go together.")
        return self.base

    monkeypatch.setattr(SearchSpec, "trial_spec", refuse_pad)
    spec = search_spec({"images.fit": ["crop", "pad"]}, sampler="grid")
    search, trials = drive(start_search(spec))
    assert search.status == "finished"
    assert count_states(trials) == {
        "running": 0,
        "complete": 1,
        "pruned": 0,
        "stopped": 0,
        "failed": 1,
    }
    assert len(store.all_runs()) == 1
    assert {one.reason for one in trials} == {"", "These do not go together."}


def test_a_search_in_which_everything_fails_is_given_up(store: Store, started: list[str]) -> None:
    search, trials = drive(start_search(search_spec(RATES, trials=50)), lambda _: None)
    assert search.status == "failed"
    assert "The training loss became NaN." in search.reason
    assert len(trials) == FAILURES == len(store.all_runs())


def test_an_error_of_its_own_is_told_in_a_sentence(
    started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = start_search(search_spec(RATES, trials=2))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(search_module, "enqueue", broken)
    assert main(search.id) == 1
    failed = find_search(search.id)
    assert failed.status == "failed"
    assert "ZeroDivisionError" in failed.reason
    assert "driver.log" in failed.reason


# ---- pruning


@pytest.mark.parametrize("pruning", [True, False])
def test_a_hopeless_run_is_asked_to_stop(store: Store, started: list[str], pruning: bool) -> None:
    num_before = 0

    def the_third_is_hopeless(spec: RunSpec) -> list[float]:
        nonlocal num_before
        num_before += 1
        return [0.5, 0.6, 0.7, 0.8] if num_before < 3 else [0.1] * 200

    spec = search_spec(RATES, trials=3, pruning=pruning)
    _, trials = drive(start_search(spec), the_third_is_hopeless, epoch_seconds=0.01)
    first, second, last = trials
    run = store.run(str(last.run_id))
    assert first.state == second.state == "complete"
    if pruning:
        assert (last.state, run.status) == ("pruned", "stopped")
        assert 2 <= last.num_epochs < 200
        assert "median" in last.reason
        assert last.seconds == 1.5 * last.num_epochs
    else:
        assert (last.state, run.status, last.num_epochs) == ("complete", "finished", 200)


# ---- stopping, and going on


def test_a_search_that_is_stopped_ends_its_runs(store: Store, started: list[str]) -> None:
    search = start_search(search_spec(RATES, trials=5))
    with PretendWorker(lambda _: [0.5] * 10_000, epoch_seconds=0.01):
        driver = threading.Thread(target=main, args=(search.id,))
        driver.start()
        wait_for(lambda: any(one.num_epochs for one in trials_of(search.id)), 30, "an epoch")
        assert find_search(search.id).status == "running"
        stop_search(search.id)
        driver.join(30)
    assert not driver.is_alive()
    assert find_search(search.id).status == "stopped"
    [trial] = trials_of(search.id)
    assert trial.state == "stopped"
    assert trial.accuracy == 0.5
    [run] = store.all_runs()
    assert run.status == "stopped"


def test_a_trial_that_is_paused_waits_and_the_others_go_on(
    store: Store, started: list[str]
) -> None:
    search = start_search(search_spec(RATES, trials=3))
    with PretendWorker(lambda _: [0.5] * 100, epoch_seconds=0.01):
        driver = threading.Thread(target=main, args=(search.id,))
        driver.start()
        wait_for(lambda: any(one.num_epochs for one in trials_of(search.id)), 30, "an epoch")
        [first] = store.all_runs(("running",))
        store.request_pause(first.id)

        def others_are_done() -> bool:
            states = [one.state for one in trials_of(search.id)]
            return sorted(states) == ["complete", "complete", "running"]

        wait_for(others_are_done, 60, "two other trials")
        assert store.run(first.id).status == "paused"
        assert find_search(search.id).status == "running"
        store.reopen(first.id)
        driver.join(60)
    assert not driver.is_alive()
    assert find_search(search.id).status == "finished"
    assert [one.state for one in trials_of(search.id)] == ["complete"] * 3


def test_a_stopped_search_can_go_on(started: list[str]) -> None:
    search = start_search(search_spec(RATES, trials=3))
    stop_search(search.id)
    assert find_search(search.id).status == "stopping"
    stopped, trials = drive(search)
    assert (stopped.status, trials) == ("stopped", [])
    go_on(search.id)
    assert find_search(search.id).status == "running"
    done, trials = drive(search)
    assert (done.status, len(trials)) == ("finished", 3)


def test_stopping_one_trial_by_hand_lets_the_search_go_on(store: Store, started: list[str]) -> None:
    search = start_search(search_spec({"images.fit": ["crop", "pad"]}, sampler="grid"))
    with PretendWorker(lambda _: [0.5] * 300, epoch_seconds=0.01):
        driver = threading.Thread(target=main, args=(search.id,))
        driver.start()
        run = wait_for(lambda: store.all_runs(("running",)), 30, "a run")[0]
        wait_for(lambda: store.epochs(run.id), 30, "an epoch")
        store.request_stop(run.id)
        driver.join(60)
    assert find_search(search.id).status == "finished"
    states = {one.run_id: one.state for one in trials_of(search.id)}
    assert states.pop(run.id) == "stopped"
    assert list(states.values()) == ["complete"]


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


def drivers(search_id: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if drives(child, search_id)]


def drives(child: psutil.Process, search_id: str) -> bool:
    try:
        return child.cmdline()[-2:] == ["engine.runs.search", search_id]
    except psutil.Error:
        # It has just ended.
        return False


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


# ---- for real


def test_a_tiny_search_really_trains(store: Store, tiny_folder: Path) -> None:
    base = tiny_spec(tiny_folder)
    spec = SearchSpec.parse(
        {"base": base, "space": {"images.fit": ["squash", "pad"]}, "sampler": "grid"}
    )
    search = start_search(spec)
    try:
        done = wait_for(
            lambda: None if find_search(search.id).is_active else find_search(search.id),
            240,
            "the search to end",
        )
    finally:
        for driver in drivers(search.id):
            driver.kill()
        for run in store.all_runs():
            if run.pid and is_alive(run.pid, run.pid_started or 0.0):
                os.killpg(run.pid, signal.SIGKILL)
    assert (done.status, done.reason) == ("finished", "")
    trials = trials_of(search.id)
    assert [one.state for one in trials] == ["complete", "complete"]
    for one in trials:
        run = store.run(str(one.run_id))
        assert run.status == "finished"
        assert run.spec.images.fit == one.params["images.fit"]
        assert one.accuracy == run.summary["best_val_accuracy"]
        assert one.seconds == run.summary["seconds"]
    for child in process_module._STARTED:
        child.wait(30)
