"""`thaw search` and `thaw searches`, as a person or a script runs them."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from engine.home import thaw_home
from engine.runs.queue import LOCK_FILE
from engine.runs.search_study import all_searches, find_search
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from tests.engine.commands import THAW, document, refusal, thaw
from tests.engine.pretend_worker import PretendWorker
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

OVER = ("--over", "optimiser.lr=1e-4..1e-2", "--over", "strategy.name=frozen,full")


def by_strategy(spec: RunSpec) -> list[float]:
    return [0.5, 0.6] if spec.strategy.name == "frozen" else [0.7, 0.9]


@pytest.fixture(autouse=True)
def _no_training(thaw_home: Path) -> Iterator[None]:
    """Holds the supervisor's lock, so that what a test pretends is all that trains."""
    thaw_home.mkdir()
    with FileLock(thaw_home / LOCK_FILE):
        yield


def test_a_search_prints_one_document(tiny_folder: Path) -> None:
    with PretendWorker(by_strategy):
        found = document(
            thaw("search", "--data", str(tiny_folder), *OVER, "--trials", "5", "--json")
        )
    assert found["status"] == "finished"
    assert (found["sampler"], found["pruning"], found["num_trials"]) == ("tpe", True, 5)
    assert len(found["trials"]) == 5
    best = found["best"]
    assert best["accuracy"] == max(one["accuracy"] for one in found["trials"])
    assert best["params"]["strategy.name"] == "full"
    assert best["command"].startswith("thaw train --spec ")
    assert best["run_id"] in best["command"]
    listed = document(thaw("searches", "--json"))
    assert [one["search_id"] for one in listed] == [found["search_id"]]
    assert "trials" not in listed[0]
    shown = document(thaw("searches", found["search_id"][:5], "--json"))
    assert shown == found
    read = thaw("searches", found["search_id"])
    for text in ("complete", "strategy.name", "Best: trial", best["command"]):
        assert text in read.stdout


def test_a_search_shows_its_trials_and_the_best_to_people(tiny_folder: Path) -> None:
    arguments = ("--over", "strategy.name=frozen,full", "--sampler", "grid", "--epochs", "2")
    with PretendWorker(by_strategy):
        shown = thaw("search", "--data", str(tiny_folder), *arguments)
    assert shown.returncode == 0, shown.stderr
    assert "2 of 2 trials (2 complete)" in shown.stdout
    assert "Best: trial" in shown.stdout
    assert "90.0 %" in shown.stdout
    specs = [run.spec for run in Store().all_runs()]
    assert {spec.training.epochs for spec in specs} == {2}
    assert {spec.optimiser.lr for spec in specs} == {
        STRATEGIES[name].default_lr for name in ("frozen", "full")
    }


def test_a_spec_file_and_options_over_it(tiny_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(tiny_spec(tiny_folder, {"seed": 5}).model_dump_json())
    arguments = ("--over", "images.fit=crop,pad", "--sampler", "grid", "--seed", "3", "--json")
    with PretendWorker(by_strategy):
        found = document(thaw("search", "--spec", str(file), *arguments, "--epochs", "7"))
    assert found["seed"] == 3
    assert found["base"]["seed"] == 5
    assert found["base"]["training"] == {
        **tiny_spec(tiny_folder).model_dump(mode="json")["training"],
        "epochs": 7,
    }


def test_a_recipe_and_the_rate_of_its_strategy(tiny_folder: Path) -> None:
    with PretendWorker(by_strategy):
        found = document(
            thaw(
                *("search", "--data", str(tiny_folder), "--recipe", "strategy-full"),
                *("--over", "images.fit=crop,pad", "--sampler", "grid", "--json"),
            )
        )
    assert found["base"]["strategy"]["name"] == "full"
    assert found["base"]["optimiser"]["lr"] == STRATEGIES["full"].default_lr


def test_ctrl_c_stops_the_search_and_its_run(tiny_folder: Path) -> None:
    command = [THAW, "search", "--data", str(tiny_folder), *OVER, "--no-pruning"]
    with PretendWorker(lambda _: [0.5] * 10_000, epoch_seconds=0.02):
        followed = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        store = Store()
        run = wait_for(lambda: store.all_runs(("running",)), 60, "a run")[0]
        wait_for(lambda: store.epochs(run.id), 30, "an epoch")
        followed.send_signal(signal.SIGINT)
        out, err = followed.communicate(timeout=60)
    assert followed.returncode == 1
    assert "Stopping" in err
    assert "stopped: 1 of 20 trials (1 stopped)" in out
    assert "no best one" in out
    assert store.run(run.id).status == "stopped"
    [search] = all_searches()
    assert search.status == "stopped"
    store.close()


def test_a_search_that_nobody_follows_can_be_stopped(tiny_folder: Path) -> None:
    with PretendWorker(lambda _: [0.5] * 10_000, epoch_seconds=0.02):
        followed = subprocess.Popen(
            [THAW, "search", "--data", str(tiny_folder), *OVER, "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        [search] = wait_for(all_searches, 60, "the search")
        said = document(thaw("searches", search.id, "--stop", "--json"))
        assert said["status"] in ("stopping", "stopped")
        out, _ = followed.communicate(timeout=60)
    assert json.loads(out)["status"] == find_search(search.id).status == "stopped"


# ---- bad input


def test_all_faults_are_told_at_once(tiny_folder: Path) -> None:
    said = refusal(
        thaw(
            *("search", "--data", str(tiny_folder), "--trials", "0", "--sampler", "best"),
            *("--over", "optimiser.lr=1..2", "--over", "images.fit=crop,round"),
        )
    )
    for text in (
        "trials is 0",
        "sampler is 'best'",
        "optimiser.lr is 2.0",
        "images.fit is 'round'",
    ):
        assert text in said


def test_texts_that_name_nothing_are_told_together(tiny_folder: Path) -> None:
    said = refusal(
        thaw(
            *("search", "--data", str(tiny_folder), "--over", "optimiser.lr"),
            *("--over", "images.fit=crop,pad", "--over", "images.fit=squash,pad"),
        )
    )
    assert "--over 'optimiser.lr' names nothing" in said
    assert "images.fit is named twice" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "thaw search --data DIR"),
        (("--data", "nowhere"), "There is no folder"),
        (("--data", "x", "--recipe", "soup"), "There is no recipe 'soup'"),
        (("--spec", "missing.json"), "missing.json cannot be read"),
    ],
)
def test_what_cannot_be_searched_queues_nothing(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(thaw("search", *arguments, *OVER, cwd=tmp_path))
    assert all_searches() == []
    assert Store().all_runs() == []


def test_nothing_to_search_over_is_refused(tiny_folder: Path) -> None:
    said = thaw("search", "--data", str(tiny_folder))
    assert said.returncode == 2
    assert "--over" in said.stderr


def test_no_searches_yet() -> None:
    assert document(thaw("searches", "--json")) == []
    assert "No searches yet" in thaw("searches").stdout
    assert "There is no search 'zzz'" in refusal(thaw("searches", "zzz"))
    assert thaw("searches", "--stop").returncode == 2
    assert not (thaw_home() / "searches").exists()
