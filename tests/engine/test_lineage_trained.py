"""A chain of three real updates: the matrix, the gate and what runs themselves measured agree."""

import shutil
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.home import run_folder
from engine.insight.updates import update_of
from engine.runs import worker
from engine.runs.store import Run, Store
from engine.spec import DataSpec, RunSpec
from engine.training.predictions import Predictions
from engine.update.adopting import adopt, standing_of
from engine.update.gate import Rule, judge
from engine.update.matrix import matrix_of
from engine.update.request import base_of_run, update_spec
from tests.conftest import CLIPART
from tests.engine.specs import tiny_spec

BATCHES = {
    "june": ("birds", "fruit"),
    "july": ("vehicles", "mammals"),
    "august": ("birds", "mammals"),
}
METHODS = {"june": "naive", "july": "replay", "august": "ncm"}


def train(store: Store, name: str, spec: RunSpec) -> Run:
    [run] = store.add_runs([(name, spec)])
    store.set_status(run.id, "running")
    worker.main(run.id)
    done = store.run(run.id)
    assert done.status == "finished", done.reason
    return done


def photos(folder: Path, place: int, classes: tuple[str, ...]) -> Path:
    """Eight pictures of each class that no other batch has."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        files = sorted((CLIPART / "train" / name).iterdir())[8 * place : 8 * place + 8]
        for file in files:
            shutil.copy(file, folder / name)
    return folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[str, list[str]]:
    home, data = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("data")
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THAW_HOME", str(home))
        store = Store()
        runs = [train(store, "base", tiny_spec(tiny_folder))]
        for place, (name, classes) in enumerate(BATCHES.items(), start=1):
            folder = photos(data / name, place, classes)
            spec = update_spec(
                base_of_run(runs[-1]), DataSpec(folder=str(folder)), METHODS[name], {}
            )
            runs.append(train(store, name, spec))
        store.close()
    signal.signal(signal.SIGTERM, handler)
    return str(home), [run.id for run in runs]


@pytest.fixture
def trained(
    chain: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Store, list[str]]]:
    home, ids = chain
    monkeypatch.setenv("THAW_HOME", home)
    store = Store()
    yield store, ids
    store.close()


def right(run_id: str, name: str = "predictions.npz") -> list[bool]:
    """Read by hand: which validation images a run tells right."""
    predicted = Predictions.load(run_folder(run_id), name)
    assert predicted is not None
    probabilities = predicted.probabilities_NK.tolist()
    return [
        row.index(max(row)) == label
        for row, label in zip(probabilities, predicted.labels_N.tolist(), strict=True)
    ]


def test_the_matrix_is_what_can_be_counted_in_the_files(
    trained: tuple[Store, list[str]],
) -> None:
    store, ids = trained
    found = matrix_of(standing_of(store, ids[-1]).family.chain(ids[-1]))
    assert found is not None
    assert found.notes == ()
    assert [batch.name for batch in found.batches[1:]] == ["june", "july", "august"]
    ends = [0]
    for batch in Manifest.from_file(run_folder(ids[-1]) / MANIFEST_FILE).batches:
        ends.append(ends[-1] + batch.num_val)
    for row, run_id in enumerate(ids):
        told = right(run_id)
        assert len(told) == ends[row + 1]
        for column in range(row + 1):
            part = told[ends[column] : ends[column + 1]]
            assert found.rows[row][column] == pytest.approx(sum(part) / len(part))
    for row, run_id in enumerate(ids[1:]):
        part = right(run_id, "before.npz")[ends[row + 1] : ends[row + 2]]
        assert found.rows[row][row + 1] == pytest.approx(sum(part) / len(part))
    metrics = found.metrics
    assert metrics is not None
    last = found.rows[-1]
    assert metrics.average_accuracy == pytest.approx(sum(one or 0.0 for one in last) / 4)


def test_a_model_says_the_same_in_its_own_run_and_before_its_update(
    trained: tuple[Store, list[str]],
) -> None:
    _, ids = trained
    for run_id, updated_by in pairwise(ids):
        own = right(run_id)
        assert right(updated_by, "before.npz")[: len(own)] == own


def test_the_matrix_is_what_runs_themselves_measured(trained: tuple[Store, list[str]]) -> None:
    store, ids = trained
    found = matrix_of(standing_of(store, ids[-1]).family.chain(ids[-1]))
    assert found is not None
    for row, run_id in enumerate(ids[1:], start=1):
        best = max(store.epochs(run_id), key=lambda event: event.values["val/accuracy"] or 0.0)
        assert best.values["val/new_accuracy"] == pytest.approx(found.rows[row][row])
        counts = [batch.num_val for batch in found.batches[:row]]
        old = sum(
            count * (found.rows[row][column] or 0.0) for column, count in enumerate(counts)
        ) / sum(counts)
        assert best.values["val/old_accuracy"] == pytest.approx(old)


def test_the_gate_judges_each_by_the_one_before(trained: tuple[Store, list[str]]) -> None:
    store, ids = trained
    lenient = Rule(most_forgotten=1.0, least_gained=0.0, confidence=0.6)
    for run_id in ids[1:]:
        update = update_of(store.run(run_id))
        assert update is not None
        found = judge(update, lenient)
        assert found.old.holds
        assert found.old.num_broken == len(update.broken_N)
        assert found.old.num_mended == len(update.mended_N)
        adopt(store, store.run(run_id), lenient, force=True)
    standing = standing_of(store, ids[0])
    assert standing.stack == tuple(ids)
