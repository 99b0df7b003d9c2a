"""Metrics of continual learning against matrices that were worked out by hand."""

import numpy as np
import pytest

from engine.insight.forgetting import continual

NAN = np.nan


def test_three_batches_by_hand() -> None:
    found = continual(np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.5, 0.85, 0.6]]))
    assert found.average_accuracy == pytest.approx((0.5 + 0.85 + 0.6) / 3)
    assert found.backward_transfer == pytest.approx(((0.5 - 0.9) + (0.85 - 0.8)) / 2)
    # Of the first batch 0.9 was the best; of the second 0.8, so that it gained.
    assert found.forgetting_of == pytest.approx((0.4, -0.05))
    assert found.forgetting == pytest.approx((0.4 - 0.05) / 2)


def test_the_best_before_may_be_later_than_the_first() -> None:
    found = continual(np.array([[0.6, NAN, NAN], [0.8, 0.5, NAN], [0.7, 0.5, 0.9]]))
    assert found.forgetting_of == pytest.approx((0.1, 0.0))
    assert found.backward_transfer == pytest.approx(((0.7 - 0.6) + 0.0) / 2)


def test_what_was_not_learnt_yet_does_not_count() -> None:
    lower = np.array([[0.9, NAN], [0.4, 0.7]])
    full = np.array([[0.9, 0.99], [0.4, 0.7]])
    assert continual(lower) == continual(full)


def test_one_batch_forgets_nothing() -> None:
    found = continual(np.array([[0.75]]))
    assert (found.average_accuracy, found.backward_transfer, found.forgetting) == (0.75, None, None)


@pytest.mark.parametrize(
    "matrix", [np.empty((0, 0)), np.ones((2, 3)), np.array([[0.9, NAN], [NAN, 0.5]])]
)
def test_matrices_that_are_none_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"matrix of accuracies|is missing"):
        continual(matrix)
