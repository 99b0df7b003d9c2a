"""Two sets of images held against each other: by hand, under a null, and where they differ."""

import numpy as np
import pytest
from scipy import stats

from engine.insight.two_samples import LEAST, Alikeness, _unbiased, alikeness

REPEATS = 60


def drawn(seed: int, nums: tuple[int, int], features: int, away: float = 0.0) -> Alikeness:
    """Returns what is said of two sets around one mean, the second moved by so much."""
    random = np.random.default_rng(seed)
    mean = random.normal(size=features)
    move = away * random.normal(size=features)
    first, second = (random.normal(size=(num, features)) + mean for num in nums)
    return alikeness(first, second + move)


def test_the_discrepancy_by_hand() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(9, 3))
    kernel = np.exp(-((points[:, None] - points[None]) ** 2).sum(axis=2))
    np.fill_diagonal(kernel, 0.0)
    is_second = np.array([0, 1, 0, 0, 1, 1, 0, 0, 1], dtype=bool)
    first, second = np.flatnonzero(~is_second), np.flatnonzero(is_second)
    within_first = np.mean([kernel[i, j] for i in first for j in first if i != j])
    within_second = np.mean([kernel[i, j] for i in second for j in second if i != j])
    across = np.mean([kernel[i, j] for i in first for j in second])
    [found] = _unbiased(kernel, is_second[None])
    assert found == pytest.approx(within_first + within_second - 2 * across)


@pytest.mark.parametrize(
    ("nums", "features"),
    [((40, 40), 64), pytest.param((70, 20), 256, marks=pytest.mark.slow)],
)
def test_sets_from_one_source_are_seldom_told_apart(nums: tuple[int, int], features: int) -> None:
    found = [drawn(seed, nums, features) for seed in range(REPEATS)]
    most = int(stats.binom.ppf(0.999, REPEATS, 0.05))
    assert sum(one.p < 0.05 for one in found) <= most
    assert sum(one.auc.low > 0.5 for one in found) <= most
    assert abs(np.mean([one.mmd for one in found])) < 0.01


def test_sets_that_differ_are_told_apart_the_more_the_surer() -> None:
    a_little, much = drawn(0, (60, 60), 64, 0.4), drawn(0, (60, 60), 64, 2.0)
    assert 0.5 < a_little.auc.value < much.auc.value
    assert much.auc.value > 0.99
    assert much.p == pytest.approx(0.001)
    assert much.mmd > a_little.mmd > 0


def test_the_classifier_is_judged_on_images_that_it_has_not_seen() -> None:
    """With more features than images it could learn any two sets by heart."""
    found = drawn(1, (25, 25), 2000)
    assert found.auc.low < 0.5 < found.auc.high


def test_the_same_sets_give_the_same_numbers() -> None:
    assert drawn(3, (20, 30), 16, 0.3) == drawn(3, (20, 30), 16, 0.3)


def test_the_length_of_features_does_not_count() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 30, 16)) + 1.0
    stretched = alikeness(first * random.uniform(0.1, 9.0, (30, 1)), second)
    assert stretched.mmd == pytest.approx(alikeness(first, second).mmd)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        drawn(0, (LEAST - 1, 50), 8)


def test_images_that_are_all_the_same_are_no_fault() -> None:
    found = alikeness(np.ones((12, 4)), np.ones((15, 4)))
    assert found.p == pytest.approx(1.0)
    assert found.auc.value == pytest.approx(0.5)
