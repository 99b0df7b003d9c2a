"""Herding: the chosen images stand for their class better than chance does."""

import numpy as np
import pytest

from engine.update.herding import herded


def _gap(features_ND: np.ndarray, places: np.ndarray) -> float:
    unit_ND = features_ND / np.linalg.norm(features_ND, axis=1, keepdims=True)
    return float(np.linalg.norm(unit_ND.mean(axis=0) - unit_ND[places].mean(axis=0)))


def test_the_first_is_the_nearest_to_the_mean() -> None:
    angles = np.array([0.0, 0.5, 0.6, 1.4])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1.0], [5.0], [2.0], [9.0]]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.linalg.norm(unit - unit.mean(axis=0), axis=1).argmin()
    assert herded(features, 1).tolist() == [nearest]


def test_each_choice_is_the_best_that_is_left() -> None:
    """Checked against trying all in turn."""
    features = np.random.default_rng(0).normal(size=(12, 5)) + 1.0
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    chosen: list[int] = []
    for place in herded(features, 6).tolist():
        gaps = {
            other: np.linalg.norm(unit.mean(axis=0) - unit[[*chosen, other]].mean(axis=0))
            for other in range(12)
            if other not in chosen
        }
        assert place == min(gaps, key=lambda other: gaps[other])
        chosen.append(place)


def test_a_smaller_choice_begins_a_larger_one() -> None:
    features = np.random.default_rng(1).normal(size=(40, 8))
    whole = herded(features, 40)
    assert sorted(whole.tolist()) == list(range(40))
    for num in (1, 7, 39):
        assert herded(features, num).tolist() == whole[:num].tolist()
    assert herded(features, 100).tolist() == whole.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_it_keeps_the_mean_better_than_chance(seed: int) -> None:
    random = np.random.default_rng(seed)
    features = random.normal(size=(200, 32)) + random.normal(size=32)
    drawn = [_gap(features, random.choice(200, 10, replace=False)) for _ in range(200)]
    assert _gap(features, herded(features, 10)) < min(drawn)


def test_images_without_features_are_no_fault() -> None:
    assert herded(np.zeros((3, 4)), 2).tolist() == [0, 1]
