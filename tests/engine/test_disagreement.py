"""Labels that contradict the others, and what stands apart, on numbers that are made up."""

import numpy as np
import pytest

from engine.training.disagreement import (
    LEAST_IN_CLASS,
    NUM_FOLDS,
    NUM_ROUNDS,
    contradicted,
    out_of_fold,
    standing_apart,
)


def clouds(num_each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of two classes that are told apart at a glance, and their labels."""
    generator = np.random.default_rng(seed)
    labels_N = np.repeat([0, 1], num_each)
    centres_KD = generator.normal(size=(2, 64))
    features_ND = centres_KD[labels_N] + 0.5 * generator.normal(size=(2 * num_each, 64))
    return features_ND.astype(np.float32), labels_N


def test_a_copy_does_not_betray_its_label() -> None:
    features_ND, labels_N = clouds(30)
    # Six times the same picture, all with the wrong label.
    features_ND[:6] = features_ND[0]
    labels_N[:6] = 1
    contents_N = np.arange(60)
    contents_N[:6] = 0
    together_NK = out_of_fold(features_ND, labels_N, contents_N)
    assert sorted(contradicted(together_NK, labels_N)) == list(range(6))
    apart = out_of_fold(features_ND, labels_N, np.arange(60))
    assert apart[:6, 1].min() > together_NK[:6, 1].max() + 0.2


def test_every_picture_is_judged_by_models_that_never_saw_it() -> None:
    features_ND, _ = clouds(60)
    # Labels that follow from nothing cannot be guessed by who has not seen them.
    labels_N = np.random.default_rng(1).integers(0, 2, 120)
    guessed_N = out_of_fold(features_ND, labels_N, np.arange(120)).argmax(axis=1)
    assert 0.3 < (guessed_N == labels_N).mean() < 0.7
    steps: list[int] = []
    probabilities_NK = out_of_fold(features_ND, labels_N, np.arange(120), steps.append)
    assert steps == [1] * NUM_FOLDS * NUM_ROUNDS
    assert np.allclose(probabilities_NK.sum(axis=1), 1.0)


def test_a_rare_class_is_not_taken_for_a_mistake() -> None:
    features_ND, labels_N = clouds(150)
    few = slice(0, 150 + LEAST_IN_CLASS)
    labels_N = labels_N[few]
    probabilities_NK = out_of_fold(features_ND[few], labels_N, np.arange(len(labels_N)))
    assert not len(contradicted(probabilities_NK, labels_N))


def test_what_stands_apart_is_measured_by_the_others() -> None:
    features_ND, _ = clouds(50)
    scores_N = standing_apart(np.concatenate([features_ND, -3 * features_ND[:1]]))
    assert scores_N.argmax() == 100
    assert scores_N[100] > 5
    assert np.median(scores_N) == pytest.approx(0.0, abs=1e-6)
    # Longer features in the same direction are no further away.
    scaled = standing_apart(features_ND * np.linspace(1, 9, 100, dtype=np.float32)[:, None])
    assert np.allclose(scaled, standing_apart(features_ND), atol=1e-3)


def test_pictures_without_any_difference_have_no_outlier() -> None:
    assert standing_apart(np.ones((30, 8), dtype=np.float32)).max() < 1.0
    assert np.isfinite(standing_apart(np.zeros((30, 8), dtype=np.float32))).all()
