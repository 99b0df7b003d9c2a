"""Statistics of many samples at once are those of each sample by itself."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from engine.insight import resampled
from engine.insight.calibration import reliability
from engine.insight.intervals import NUM_RESAMPLES, estimate_over_seeds
from engine.insight.resampled import (
    calibration_error_of_samples,
    counts_of_samples,
    f1_of_samples,
)

NUM, CLASSES = 60, 7


def made(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels among which one class never comes."""
    drawn = np.random.default_rng(seed)
    probabilities_NK = drawn.dirichlet(np.ones(CLASSES), NUM).astype(np.float32)
    return probabilities_NK, drawn.integers(0, CLASSES - 1, NUM)


def samples(num: int = NUM, num_samples: int = 20) -> list[np.ndarray]:
    """The images of each sample, drawn one sample after the other."""
    drawn = np.random.default_rng(0)
    return [drawn.integers(0, num, num) for _ in range(num_samples)]


@pytest.mark.parametrize("portion", [1, 7 * NUM, 10**9])
def test_what_is_drawn_does_not_depend_on_the_portions(
    monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    monkeypatch.setattr(resampled, "MOST_NUMBERS", portion)
    counts_RN = np.concatenate(list(counts_of_samples(NUM, 20)))
    assert counts_RN.shape == (20, NUM)
    for counts_N, places in zip(counts_RN, samples(), strict=True):
        assert counts_N.tolist() == np.bincount(places, minlength=NUM).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_f1_is_scikit_learns_in_every_sample(seed: int) -> None:
    probabilities_NK, labels_N = made(seed)
    predicted_N = probabilities_NK.argmax(axis=1)
    [counts_RN] = counts_of_samples(NUM, 20)
    theirs = [
        f1_score(labels_N[places], predicted_N[places], average="macro") for places in samples()
    ]
    assert f1_of_samples(predicted_N, labels_N)(counts_RN) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_that_of_every_sample(seed: int) -> None:
    probabilities_NK, labels_N = made(seed)
    [counts_RN] = counts_of_samples(NUM, 20)
    each = [reliability(probabilities_NK[places], labels_N[places]).error for places in samples()]
    found = calibration_error_of_samples(probabilities_NK, labels_N)(counts_RN)
    assert found == pytest.approx(each)


def test_the_interval_is_that_of_samples_one_by_one() -> None:
    several = [made(seed) for seed in range(3)]
    found = estimate_over_seeds([calibration_error_of_samples(*one) for one in several], NUM)
    means = [
        np.mean([reliability(p[places], y[places]).error for p, y in several])
        for places in samples(num_samples=NUM_RESAMPLES)
    ]
    values = [reliability(*one).error for one in several]
    variance = np.var(means, ddof=1) + np.var(values, ddof=1) / 3
    assert found.value == pytest.approx(np.mean(values))
    half = found.high - found.value
    # Student's factor lies between those of two degrees of freedom and of many.
    assert 1.96 < half / variance**0.5 < 4.31
    assert found.value - found.low == pytest.approx(min(half, found.value))
