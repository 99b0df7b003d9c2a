"""Runs side by side: what each reached, what differs, and whether it is fair."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.insight.compare import compare_settings, fairness_warnings, report
from engine.runs.store import Run, Store
from tests.engine.specs import tiny_spec

# What the issue of the command line promises of `thaw train --json`.
RUN_KEYS = {
    "run_id",
    "status",
    "strategy",
    "backbone",
    "classes",
    "train_images",
    "val_images",
    "trainable_parameters",
    "total_parameters",
    "best_val_accuracy",
    "best_epoch",
    "seconds",
    "checkpoint",
    "epochs",
}
EPOCH_KEYS = {
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_f1",
    "lr",
    "seconds",
}


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def add(
    store: Store,
    accuracies: list[float],
    settings: dict[str, Any] | None = None,
    fingerprint: str = "same",
) -> Run:
    """A run that has told of epochs with these validation accuracies, ten seconds each."""
    [run] = store.add_runs([("tiny", tiny_spec("photos", settings))])
    if accuracies:
        store.add_to_summary(run.id, {"fingerprint": fingerprint})
    for epoch, accuracy in enumerate(accuracies, start=1):
        values = {
            **{f"train/{name}": 0.5 for name in ("loss", "accuracy", "f1")},
            **{f"val/{name}": 0.5 for name in ("loss", "f1")},
            "val/accuracy": accuracy,
            "lr/head": 1e-3,
            "seconds": 10.0,
            "elapsed_seconds": 10.0 * epoch,
            "images_per_second": 5.0,
            "peak_memory_mib": 100.0,
        }
        store.append(run.id, [(0.0, "epoch", epoch, 3 * epoch, values)])
    return store.run(run.id)


def test_what_was_steered_is_part_of_the_report(store: Store) -> None:
    run = add(store, [0.5, 0.75])
    act = {"act": "lr", "target": "head", "factor": 0.5, "sentence": "learning rate of head × 0.5"}
    store.append(run.id, [(0.0, "act", 1, 2, act)])
    assert report(store, run).to_dict()["acts"] == [
        {"epoch": 1, "step": 2, "kind": "lr", "target": "head", "factor": 0.5}
    ]
    assert report(store, add(store, [0.5])).to_dict()["acts"] == []


def test_best_is_the_first_of_equals(store: Store) -> None:
    one = report(store, add(store, [0.5, 0.75, 0.75, 0.25]))
    assert one.best_val_accuracy == 0.75
    assert one.best_epoch == 2
    assert one.seconds_to_best == 20.0
    assert one.seconds == 40.0


def test_a_run_without_epochs_has_nothing_to_show_yet(store: Store) -> None:
    one = report(store, add(store, []))
    assert one.best_val_accuracy is None
    assert one.best_epoch is None
    assert one.seconds_to_best is None
    assert one.seconds is None
    assert one.predictions() is None
    assert one.to_dict()["epochs"] == []


def test_an_accuracy_of_zero_is_a_result(store: Store) -> None:
    one = report(store, add(store, [0.0]))
    assert one.best_val_accuracy == 0.0
    assert one.best_epoch == 1


def test_the_document_has_the_promised_keys(store: Store) -> None:
    document = report(store, add(store, [0.5, 0.25])).to_dict()
    assert set(document) >= RUN_KEYS
    assert [epoch["epoch"] for epoch in document["epochs"]] == [1, 2]
    assert [epoch["val_accuracy"] for epoch in document["epochs"]] == [0.5, 0.25]
    assert all(set(epoch) >= EPOCH_KEYS for epoch in document["epochs"])


def test_settings_that_differ_come_first(store: Store) -> None:
    frozen = add(store, [0.5], {"optimiser.lr": 3e-3})
    full = add(store, [0.5], {"optimiser.lr": 3e-4, "strategy.name": "full"})
    rows = compare_settings([frozen, full])
    assert {row.name: row.values for row in rows[:2]} == {
        "strategy.name": ("frozen", "full"),
        "optimiser.lr": (3e-3, 3e-4),
    }
    assert [row.differs for row in rows] == [True, True] + [False] * (len(rows) - 2)
    assert {row.name for row in rows} == set(frozen.spec.flat())


def test_other_images_are_warned_of(store: Store) -> None:
    one, same, other = (
        report(store, add(store, [0.5], fingerprint=name)) for name in ("a", "a", "b")
    )
    assert fairness_warnings([one, same]) == []
    [warning] = fairness_warnings([one, same, other])
    assert "different images" in warning


def test_a_run_that_has_not_looked_at_its_images_is_not_warned_of(store: Store) -> None:
    waiting, done = report(store, add(store, [])), report(store, add(store, [0.5]))
    assert fairness_warnings([waiting, done]) == []
