"""Confidence against accuracy: torchmetrics' number, and one by hand."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from engine.insight.calibration import reliability


@pytest.mark.parametrize(("num", "classes", "sharpness"), [(97, 9, 3.0), (500, 2, 1.0), (30, 4, 9)])
def test_the_error_is_torchmetrics(num: int, classes: int, sharpness: float) -> None:
    drawn = torch.Generator().manual_seed(num)
    logits = sharpness * torch.randn(num, classes, generator=drawn)
    labels = torch.randint(0, classes, (num,), generator=drawn)
    probabilities = logits.softmax(dim=1)
    theirs = multiclass_calibration_error(probabilities, labels, classes, n_bins=15, norm="l1")
    ours = reliability(probabilities.numpy(), labels.numpy()).error
    assert ours == pytest.approx(float(theirs), abs=1e-5)


def test_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.88, 0.12], [0.35, 0.65], [0.0, 1.0]])
    found = reliability(probabilities, np.array([0, 1, 1, 1]), num_bins=10)
    assert found.edges_B == pytest.approx([0.7, 0.9, 1.0])
    assert found.counts_B.tolist() == [1, 2, 1]
    assert found.confidence_B == pytest.approx([0.65, 0.89, 1.0])
    assert found.accuracy_B == pytest.approx([1.0, 0.5, 1.0])
    assert found.error == pytest.approx((0.35 + 2 * 0.39 + 0.0) / 4)
