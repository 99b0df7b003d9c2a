"""`thaw experiment`, as a person or a script runs it."""

import json
from pathlib import Path

import pytest

from engine.runs.store import Store
from tests.engine.commands import thaw

TINY = (
    "--epochs",
    "1",
    "--image-size",
    "64",
    "--set",
    "device=cpu",
    "--set",
    "model.weights=random",
)


@pytest.mark.slow
def test_an_experiment_trains_what_is_asked_and_prints_one_document(tiny_folder: Path) -> None:
    chosen = ("--strategies", "frozen,full", "--seeds", "2", "--fractions", "0.5,1")
    done = thaw("experiment", "--data", str(tiny_folder), *chosen, *TINY, "--json", timeout=400)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    runs = [run["spec"] for run in told["runs"]]
    assert [run["strategy"]["name"] for run in runs] == ["frozen", "full"] * 4
    assert [run["seed"] for run in runs] == [0] * 4 + [1] * 4
    assert [run["data"]["train_fraction"] for run in runs] == [0.5, 0.5, 1.0, 1.0] * 2
    assert runs[0]["optimiser"]["lr"] != runs[1]["optimiser"]["lr"]
    assert len({run["fingerprint"] for run in told["runs"]}) == 2
    assert told["warnings"] == []
    assert len(told["ways"]) == 4
    assert all(way["seeds"] == [0, 1] for way in told["ways"])
    assert [front["cost"] for front in told["costs"]] == ["seconds", "parameters", "memory"]
    curves = told["learning_curves"]["curves"]
    assert [curve["label"] for curve in curves] == ["Frozen", "Full"]
    assert [point["train_images"] for point in curves[0]["points"]] == [9, 18]
    assert len(told["learning_curves"]["sentences"]) == 1
    # What is said of runs does not depend on who asks.
    again = json.loads(thaw("compare", *(run["run_id"] for run in told["runs"]), "--json").stdout)
    for part in ("ways", "pairs", "costs", "learning_curves"):
        assert again[part] == told[part]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--strategies", "frozen,thawed"), "There is no strategy thawed"),
        (("--strategies", "frozen,frozen"), "Frozen is named twice"),
        (("--recipes", "no-such"), "There is no recipe 'no-such'"),
        (("--fractions", "a,b"), "--fractions is 'a,b'"),
        (("--fractions", "0.5,2"), "data.train_fraction is 2.0"),
    ],
)
def test_what_is_no_experiment_is_refused_and_starts_no_run(
    arguments: tuple[str, ...], said: str, tiny_folder: Path
) -> None:
    done = thaw("experiment", "--data", str(tiny_folder), *arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Store().all_runs()


def test_recipes_are_ways_of_their_own(tiny_folder: Path) -> None:
    done = thaw(
        "experiment",
        *("--data", str(tiny_folder), "--recipes", "strategy-frozen", "--seeds", "1", *TINY),
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "Frozen" in done.stdout
    assert "Side by side again: thaw compare" in done.stdout
    [run] = Store().all_runs()
    assert run.name.startswith("Strategy: frozen")
