"""Scores class by class, against scikit-learn and by hand; matrices on shared images."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint

from engine.data.manifest import MANIFEST_FILE
from engine.errors import DataError
from engine.home import run_folder
from engine.insight.class_comparison import class_comparison
from engine.insight.classes import (
    ClassScore,
    class_scores,
    confused_pairs,
    judgement,
    shared_matrices,
    shares_of_class,
)
from engine.insight.images import judged_images
from engine.runs.store import Store
from engine.training.predictions import confusion_counts
from tests.engine.test_experiment import LABELS, NUM_IMAGES, drawn, ended

NAMES = ("birds", "fruit", "boats", "hats")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def made(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True classes and named ones, more often right than not; the last class is never named."""
    drawn = np.random.default_rng(seed)
    labels = drawn.integers(0, len(NAMES), num)
    named = np.where(drawn.random(num) < 0.6, labels, drawn.integers(0, len(NAMES) - 1, num))
    return labels, np.where(named == len(NAMES) - 1, 0, named)


def test_counts_and_scores_are_scikit_learns() -> None:
    labels, named = made(200, 1)
    counts = confusion_counts(labels, named, len(NAMES))
    assert np.array_equal(counts, confusion_matrix(labels, named, labels=range(len(NAMES))))
    theirs = precision_recall_fscore_support(
        labels, named, labels=range(len(NAMES)), zero_division=0.0
    )
    for ours, precision, recall, f1, support in zip(
        class_scores(NAMES, counts), *theirs, strict=True
    ):
        assert (0.0 if ours.precision is None else ours.precision.value) == pytest.approx(precision)
        assert ours.recall is not None
        assert ours.recall.value == pytest.approx(recall)
        assert ours.f1 == pytest.approx(f1)
        assert ours.num_images == support
    assert class_scores(NAMES, counts)[3].precision is None


def test_intervals_are_wilsons() -> None:
    labels, named = made(90, 2)
    for one in class_scores(NAMES, confusion_counts(labels, named, len(NAMES))):
        assert one.recall is not None
        low, high = proportion_confint(one.num_right, one.num_images, 0.05, method="wilson")
        assert (one.recall.low, one.recall.high) == pytest.approx((low, high))


def test_a_class_without_images_and_names_has_no_scores() -> None:
    counts = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    assert class_scores(NAMES[:3], counts)[2] == ClassScore("boats", 0, 0, 0, None, None, None)
    assert shares_of_class(counts).tolist() == [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert class_scores(NAMES[:3], counts)[0].to_dict()["right"] == 3


def test_the_most_confused_pairs_come_first_and_the_diagonal_is_left_out() -> None:
    first = np.array([[9, 1, 0], [2, 5, 0], [0, 0, 4]])
    second = np.array([[7, 3, 0], [0, 6, 1], [0, 0, 4]])
    pairs = confused_pairs(NAMES[:3], [first, second])
    assert [(one.label, one.named, one.counts) for one in pairs] == [
        ("birds", "fruit", (1, 3)),
        ("fruit", "birds", (2, 0)),
        ("fruit", "boats", (0, 1)),
    ]
    assert pairs[0].shares == (0.1, 0.3)
    assert confused_pairs(NAMES[:3], [np.diag([3, 2, 1])]) == []
    assert first[0, 0] == 9


def test_the_difference_is_on_shared_images_alone(store: Store) -> None:
    first, second = drawn(0.8, 1), drawn(0.6, 2)
    reports = [ended(store, first), ended(store, second, {"seed": 1}, order=np.arange(60))]
    shared = shared_matrices(judged_images(reports), "abc")
    assert shared.num_images == 60
    assert [int(one.sum()) for one in shared.matrices] == [60, 60]
    expected = [int(one[:60][LABELS[:60] == 0].sum()) for one in (first, second)]
    assert [int(one[0, 0]) for one in shared.matrices] == expected
    assert shared.difference()[0, 0] == expected[1] - expected[0]
    assert shared.difference().sum() == 0
    assert shared.to_dict()["images"] == 60


def test_a_class_that_only_one_run_knows_comes_last(store: Store) -> None:
    images = judged_images([ended(store, drawn(0.8, 1))])
    shared = shared_matrices(images, ("c", "a"))
    assert shared.classes == ("c", "a", "b")
    assert shared.matrices[0][2].sum() == (LABELS == 1).sum()
    assert shared_matrices([], ("a", "b")).matrices == ()


def test_what_a_run_says_is_read_from_its_folder(store: Store) -> None:
    right = drawn(0.7, 3)
    one = ended(store, right)
    found = judgement(one)
    assert found is not None
    assert found.classes == ("a", "b", "c")
    assert int(np.trace(found.counts_KK)) == int(right.sum())
    assert int(found.counts_KK.sum()) == NUM_IMAGES
    (run_folder(one.run.id) / MANIFEST_FILE).unlink()
    with pytest.raises(DataError, match="train it again"):
        judgement(one)


def test_all_of_it_is_plain_data(store: Store) -> None:
    first, second = drawn(0.8, 1), drawn(0.6, 2)
    reports = [ended(store, first), ended(store, second, {"seed": 1}, order=np.arange(60))]
    found = json.loads(json.dumps(class_comparison(reports)))
    assert [one["run_id"] for one in found["runs"]] == [one.run.id for one in reports]
    assert found["runs"][0]["confusion"] == judgement(reports[0]).counts_KK.tolist()  # type: ignore[union-attr]
    assert found["runs"][0]["two_classes"] is None
    assert sum(found["runs"][1]["reliability"]["images"]) == 60
    assert found["shared"]["images"] == 60
    wrong = int((~first[:60]).sum() + (~second[:60]).sum())
    assert sum(sum(pair["counts"]) for pair in found["most_confused"]) == wrong
    assert class_comparison([]) == {"runs": [], "shared": None, "most_confused": []}
