"""Which images both, one or neither of two runs gets right."""

from collections.abc import Iterator

import numpy as np
import pytest

from engine.insight.images import (
    GROUPS,
    confident_mistakes,
    in_group,
    judged_images,
    taken_for,
)
from engine.runs.store import Store
from tests.engine.test_experiment import LABELS, NUM_IMAGES, drawn, ended


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def test_each_image_is_in_one_group(store: Store) -> None:
    first, second = drawn(0.8, 1), drawn(0.6, 2)
    images = judged_images([ended(store, first), ended(store, second, {"seed": 1})])
    assert len(images) == NUM_IMAGES
    counts = [len(in_group(images, group)) for group in GROUPS]
    expected = [first & second, first & ~second, second & ~first, ~first & ~second]
    assert counts == [int(one.sum()) for one in expected]
    [image] = [one for one in images if one.digest == "0007"]
    assert image.answers[0].is_right == first[7]
    assert image.label == "abc"[LABELS[7]]
    assert image.answers[0].probability == pytest.approx(0.8)
    assert image.answers[0].of_label == pytest.approx(0.8 if first[7] else 0.1)


def test_copies_of_the_data_in_another_order_fit_together(store: Store) -> None:
    right = drawn(0.7, 3)
    order = np.random.default_rng(4).permutation(NUM_IMAGES)
    images = judged_images([ended(store, right), ended(store, right, order=order)])
    assert len(images) == NUM_IMAGES
    assert {image.group for image in images} == {"both", "neither"}


def test_what_one_run_did_not_see_is_left_out(store: Store) -> None:
    right = drawn(0.7, 3)
    images = judged_images([ended(store, right), ended(store, right, order=np.arange(50))])
    assert len(images) == 50


def test_mistakes_come_with_the_most_confident_first(store: Store) -> None:
    images = judged_images([ended(store, drawn(0.7, 5))])
    wrong = confident_mistakes(images)
    assert len(wrong) == int((~drawn(0.7, 5)).sum())
    chances = [image.answers[0].probability for image in wrong]
    assert chances == sorted(chances, reverse=True)
    assert not any(image.answers[0].is_right for image in wrong)


def test_a_cell_of_the_confusion_matrix_is_its_images(store: Store) -> None:
    right = drawn(0.7, 6)
    images = judged_images([ended(store, right)])
    assert len(taken_for(images, "a", "b")) == int((~right & (LABELS == 0)).sum())
    assert len(taken_for(images, "a", "a")) == int((right & (LABELS == 0)).sum())
    assert taken_for(images, "a", "c") == []


def test_no_predictions_no_images(store: Store) -> None:
    from engine.insight.compare import RunReport
    from tests.engine.specs import tiny_spec

    [run] = store.add_runs([("waits", tiny_spec("photos"))])
    bare = RunReport(store.run(run.id), (), None)
    assert judged_images([]) == []
    assert judged_images([bare]) == []
    assert judged_images([ended(store, drawn(0.7, 1)), bare]) == []
