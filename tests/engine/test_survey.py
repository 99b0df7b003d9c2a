"""Surveys: every strategy over several seeds, side by side."""

import json
import statistics
from pathlib import Path

import pytest

from engine.insight.compare import report
from engine.insight.survey import markdown, survey, survey_specs
from engine.runs.store import Store
from engine.strategies import STRATEGIES
from tests.engine.commands import document, refusal, thaw
from tests.engine.specs import tiny_spec

TINY = ["--image-size", "64", "--epochs", "1", "--set", "training.batch_size=8"]


def finished(store: Store, name: str, seed: int, accuracy: float) -> None:
    spec = tiny_spec("photos", {"strategy.name": name, "seed": seed})
    [run] = store.add_runs([(f"{name} {seed}", spec)])
    values = {"val/accuracy": accuracy, "elapsed_seconds": 1.0}
    store.append(run.id, [(1.0, "epoch", 1, 3, values)])
    summary = {"seconds": 2.0 + seed, "cpu_seconds": 1.0, "trainable_parameters": 10}
    store.set_status(run.id, "finished", summary=summary)


def test_specs_share_all_but_strategy_rate_and_seed() -> None:
    named = survey_specs(tiny_spec("photos", {"seed": 5}), list(STRATEGIES), seeds=2)
    assert len(named) == 2 * len(STRATEGIES)
    assert {spec.seed for _, spec in named} == {5, 6}
    for _, spec in named:
        assert spec.optimiser.lr == STRATEGIES[spec.strategy.name].default_lr
        flat = spec.flat()
        base = tiny_spec("photos", {"seed": 5}).flat()
        differing = {path for path in flat if flat[path] != base[path]}
        assert differing <= {"strategy.name", "optimiser.lr", "seed"}


def test_rows_give_mean_deviation_and_what_failed() -> None:
    store = Store()
    for seed, accuracy in enumerate((0.6, 0.7, 0.8)):
        finished(store, "frozen", seed, accuracy)
    finished(store, "full", 0, 0.9)
    [bad] = store.add_runs([("full 1", tiny_spec("photos", {"strategy.name": "full", "seed": 1}))])
    store.set_status(bad.id, "failed", "no memory")
    rows = survey([report(store, run) for run in reversed(store.all_runs())])
    by_name = {row.strategy: row for row in rows}
    frozen, full = by_name["frozen"], by_name["full"]
    assert frozen.mean == pytest.approx(0.7)
    assert frozen.deviation == pytest.approx(statistics.stdev([0.6, 0.7, 0.8]))
    assert frozen.seconds == pytest.approx(3.0)
    assert full.deviation is None
    assert full.failures == (f"{bad.id} failed: no memory",)
    table = markdown(rows).splitlines()
    assert table[2].startswith("| Full (`full`) | 90.0 % | 2 | 1 | 10 |")
    assert table[3].startswith("| Frozen (`frozen`) | 70.0 % ± 10.0 | 3 | 1 | 10 |")


@pytest.mark.slow
def test_a_survey_trains_what_is_asked_and_prints_a_table(tiny_folder: Path) -> None:
    chosen = ["--strategies", "frozen,lora", "--seeds", "1"]
    done = thaw("survey", "--data", str(tiny_folder), *chosen, *TINY, "--json", timeout=240)
    answer = document(done)
    assert [row["strategy"] for row in answer["rows"]] == ["frozen", "lora"]
    assert all(row["accuracy"] is not None for row in answer["rows"])
    assert len(answer["runs"]) == 2
    frozen, lora = answer["rows"]
    assert lora["trained_parameters"] > frozen["trained_parameters"]


def test_an_unknown_strategy_is_refused(tiny_folder: Path) -> None:
    done = thaw("survey", "--data", str(tiny_folder), "--strategies", "frozen,thawed")
    assert "There is no strategy thawed; choose from frozen, full" in refusal(done)


def test_a_folder_that_cannot_be_used_starts_no_run(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    done = thaw("survey", "--data", str(tmp_path))
    assert str(tmp_path) in refusal(done)
    assert Store().all_runs() == []


def test_any_setting_can_be_set_by_its_name() -> None:
    listed = json.loads(thaw("settings", "--json").stdout)
    names = {row["name"] for row in listed}
    assert {"strategy.rank", "training.mixup", "optimiser.warmup"} <= names
    assert names == set(tiny_spec("photos").flat()) - {"steering"}
    assert all(row["meaning"] for row in listed)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("strategy.rank", "names no value; write --set name=value"),
        ("strategy.rank=0", "strategy.rank is '0'; it must be a whole number from 1 to 256"),
        ("strategy.depth=1", "strategy.depth is not a setting that Thaw knows"),
    ],
)
def test_a_bad_setting_is_refused(text: str, sentence: str, tiny_folder: Path) -> None:
    assert sentence in refusal(thaw("train", "--data", str(tiny_folder), "--set", text))
