"""What happened in a run's stages as plain tables, from what the run told."""

import time

import pytest

from engine.events import Value
from engine.insight.compare import report
from engine.insight.layers import (
    gradient_histories,
    layer_history,
    layers_document,
)
from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, finish
from tests.engine.commands import document, refusal, thaw

FIRST: dict[str, Value] = {"cka_images": 60}
SECOND: dict[str, Value] = {
    "cka_images": 60,
    "drift/block7": 0.02,
    "drift_statistics/block7": 0.1,
    "cka/block7": 0.8,
    "cka/top": None,
}
GRADIENTS: dict[str, Value] = {"grad_norm/block7": 2.0, "grad_norm/head": 3.0}


@pytest.fixture
def store(thaw_home: object) -> Store:
    return Store()


def moved(store: Store) -> Run:
    run = add_run(store, "partial")
    return finish(store, run, (0.5, 0.6), layers=(FIRST, SECOND), gradients=GRADIENTS)


def test_a_stage_that_is_not_named_is_as_it_was(store: Store) -> None:
    history = layer_history(report(store, moved(store)))
    assert history is not None
    assert (history.epochs, history.num_images) == ((1, 2), 60)
    stages = {one.name: one for one in history.stages}
    assert next(iter(stages)) == "stem"
    assert (stages["stem"].drift, stages["stem"].cka) == ((0.0, 0.0), (1.0, 1.0))
    assert stages["block7"].drift == (0.0, 0.02)
    assert stages["block7"].statistics == (0.0, 0.1)
    assert stages["block7"].change == (0.0, pytest.approx(0.2))
    assert stages["top"].cka == (1.0, None)
    assert history.num_untold == 1
    assert not history.only_statistics


def test_stages_whose_statistics_alone_moved_are_known(store: Store) -> None:
    told: dict[str, Value] = {"cka_images": 60, "drift/stem": 0.0, "drift_statistics/stem": 0.3}
    run = finish(store, add_run(store), (0.5,), layers=(told | {"cka/stem": 1.0000001},))
    history = layer_history(report(store, run))
    assert history is not None
    [stem] = history.only_statistics
    assert stem.name == "stem"
    # Beyond 1 by rounding.
    assert stem.change == (0.0,)


def test_a_run_of_an_earlier_release_has_no_history(store: Store) -> None:
    run = finish(store, add_run(store), (0.5, 0.6))
    assert layer_history(report(store, run)) is None
    assert layers_document(store, report(store, run)) is None
    assert gradient_histories(store, run) == ()


def test_gradients_are_summed_up_by_epoch(store: Store) -> None:
    run = moved(store)
    event = (time.time(), "step", 2, 99, {"grad_norm/block7": 8.0, "grad_norm/top": None})
    store.append(run.id, [event])  # type: ignore[list-item]
    block, head = gradient_histories(store, run)
    assert (block.label, head.label) == ("Block 7", "Head")
    assert block.steps[-1] == 99
    told = block.to_dict()
    assert told["epochs"] == [1, 2]
    assert told["mean"] == [2.0, pytest.approx(3.0)]
    assert told["greatest"] == [2.0, 8.0]


def test_the_command_prints_the_last_epoch_and_all_of_them_as_json(store: Store) -> None:
    run = moved(store)
    shown = thaw("layers", run.id)
    assert shown.returncode == 0
    [block] = [line for line in shown.stdout.splitlines() if line.strip().startswith("Block 7")]
    assert [text in block for text in ("2 %", "10 %", "0.2000", "2")] == [True] * 4
    [stem] = [line for line in shown.stdout.splitlines() if line.strip().startswith("Stem")]
    assert stem.split()[1:] == ["0", "0", "0", "none"]
    found = document(thaw("layers", run.id, "--json"))
    assert found == layers_document(store, report(store, run))
    assert found["run_id"] == run.id
    assert len(found["stages"]) == 9
    assert [one["stage"] for one in found["gradients"]] == ["block7", "head"]


@pytest.mark.parametrize(
    ("accuracies", "said"), [((), "has not completed an epoch"), ((0.5,), "by an earlier Thaw")]
)
def test_the_command_says_why_there_is_nothing(
    store: Store, accuracies: tuple[float, ...], said: str
) -> None:
    run = finish(store, add_run(store), accuracies)
    assert said in refusal(thaw("layers", run.id))
