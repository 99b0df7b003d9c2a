"""A search: trials chosen, queued as runs, followed, pruned, stopped and gone on with."""

import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from engine.errors import SpecError
from engine.runs import process as process_module
from engine.runs import search as search_module
from engine.runs.process import is_alive
from engine.runs.search import FAILURES, main, make_sampler
from engine.runs.search_space import SearchSpec
from engine.runs.search_study import (
    Trial,
    best_trial,
    count_states,
    find_search,
    go_on,
    start_search,
    stop_search,
    trials_of,
)
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from tests.engine.pretend_worker import PretendWorker
from tests.engine.searched import RATES, _quick, drive, drivers, search_spec, started, steady, store
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

__all__ = ["_quick", "started", "store"]


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
