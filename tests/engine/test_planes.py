"""Maps and numbers of features whose structure is known."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ortho_group
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier

from engine.insight.planes import (
    NUM_NEIGHBOURS,
    Method,
    directions,
    neighbours_say,
    on_plane,
    silhouettes,
    turned_like,
)

METHODS: tuple[Method, ...] = get_args(Method)
NUM, WIDTH = 60, 24


def blobs(apart: float, seed: int = 0, num_classes: int = 2) -> NDArray[np.float64]:
    """Features of classes, each about a direction of its own, as much apart as is said."""
    drawn = np.random.default_rng(seed)
    features_ND = 1.0 + drawn.normal(0.0, 0.3, (NUM, WIDTH))
    features_ND[np.arange(NUM), np.arange(NUM) % num_classes] += apart
    return features_ND


LABELS_N = np.arange(NUM) % 2


def turned(features_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = ortho_group.rvs(features_ND.shape[1], random_state=np.random.default_rng(3))
    return np.asarray(features_ND @ turn)


def distances(points_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(points_N2[:, None] - points_N2[None], axis=2))


@pytest.mark.parametrize("method", METHODS)
def test_two_groups_stay_two(method: Method) -> None:
    points_N2, _ = on_plane(directions(blobs(4.0)), method)
    assert points_N2.shape == (NUM, 2)
    middles = [points_N2[label == LABELS_N].mean(axis=0) for label in (0, 1)]
    nearest_N = np.linalg.norm(points_N2[:, None] - np.array(middles), axis=2).argmin(axis=1)
    assert (nearest_N == LABELS_N).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_repeat_gives_the_same_points(method: Method) -> None:
    one, other = (on_plane(directions(blobs(2.0)), method)[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_pca_gives_the_share_of_each_axis() -> None:
    directions_ND = directions(blobs(2.0))
    points_N2, shares = on_plane(directions_ND, "pca")
    centred_ND = directions_ND - directions_ND.mean(axis=0)
    values = np.linalg.svd(centred_ND, compute_uv=False) ** 2
    assert shares == pytest.approx(values[:2] / values.sum())
    assert np.linalg.norm(points_N2, axis=0) ** 2 == pytest.approx(values[:2])


def test_the_side_of_a_pca_axis_does_not_depend_on_chance() -> None:
    directions_ND = directions(blobs(2.0))
    points_N2, _ = on_plane(directions_ND, "pca")
    mirrored_N2, _ = on_plane(-directions_ND, "pca")
    furthest = np.abs(points_N2).argmax(axis=0)
    assert (points_N2[furthest, [0, 1]] > 0.0).all()
    np.testing.assert_allclose(mirrored_N2, points_N2, atol=1e-9)


def test_turning_the_features_changes_nothing_that_is_measured() -> None:
    features_ND = blobs(0.6)
    as_they_are, turned_ND = directions(features_ND), directions(turned(features_ND))
    said_N = neighbours_say(as_they_are, LABELS_N)
    assert 0.5 < (said_N == LABELS_N).mean() < 1.0
    np.testing.assert_array_equal(neighbours_say(turned_ND, LABELS_N), said_N)
    one, other = silhouettes(as_they_are, LABELS_N), silhouettes(turned_ND, LABELS_N)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one, other, atol=1e-9)
    plain_N2, plain_shares = on_plane(as_they_are, "pca")
    turned_N2, turned_shares = on_plane(turned_ND, "pca")
    assert turned_shares == pytest.approx(plain_shares)
    np.testing.assert_allclose(turned_N2, plain_N2, atol=1e-9)


def test_the_length_of_features_counts_for_nothing() -> None:
    features_ND = blobs(0.6)
    scaled_ND = features_ND * np.random.default_rng(1).uniform(0.1, 9.0, (NUM, 1))
    np.testing.assert_allclose(directions(scaled_ND), directions(features_ND))


def test_neighbours_say_what_scikit_learn_says() -> None:
    directions_ND = directions(blobs(0.5, num_classes=3))
    labels_N = np.arange(NUM) % 3
    said_N = neighbours_say(directions_ND, labels_N)
    expected = []
    for place in range(NUM):
        others = np.arange(NUM) != place
        likeness = KNeighborsClassifier(
            NUM_NEIGHBOURS, weights=lambda distances: 2.0 - distances**2 / 2
        ).fit(directions_ND[others], labels_N[others])
        expected.append(likeness.predict(directions_ND[place : place + 1])[0])
    np.testing.assert_array_equal(said_N, expected)
    assert len(set(said_N.tolist())) == 3


def test_without_structure_neighbours_guess() -> None:
    said_N = neighbours_say(directions(blobs(0.0)), LABELS_N)
    assert 0.25 < (said_N == LABELS_N).mean() < 0.75


def test_silhouettes_are_those_of_scikit_learn() -> None:
    directions_ND = directions(blobs(2.0))
    found = silhouettes(directions_ND, LABELS_N)
    assert found is not None
    assert found.mean() == pytest.approx(silhouette_score(directions_ND, LABELS_N))
    assert found.mean() > 0.2


def test_a_single_class_has_no_silhouette() -> None:
    assert silhouettes(directions(blobs(1.0)), np.zeros(NUM, dtype=int)) is None
    assert silhouettes(directions(blobs(1.0)), np.arange(NUM)) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(4, 24), (5, 1), (9, 3)])
def test_few_images_and_few_features_do(method: Method, shape: tuple[int, int]) -> None:
    features_ND = np.random.default_rng(0).normal(size=shape)
    points_N2, shares = on_plane(directions(features_ND), method)
    assert points_N2.shape == (shape[0], 2)
    assert np.isfinite(points_N2).all()
    assert sum(shares) <= 1.0 + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_features_that_are_all_the_same_lie_in_one_point(method: Method) -> None:
    points_N2, shares = on_plane(directions(np.zeros((6, 8))), method)
    assert not points_N2.any()
    assert not any(shares)
    assert len(neighbours_say(directions(np.zeros((6, 8))), np.arange(6) % 2)) == 6


def test_a_map_without_axes_is_turned_back_onto_another() -> None:
    points_N2 = np.random.default_rng(0).normal(size=(NUM, 2))
    angle = 1.1
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mirrored_N2 = points_N2 @ turn * [1.0, -1.0]
    back_N2 = turned_like(mirrored_N2, points_N2, "tsne")
    np.testing.assert_allclose(back_N2, points_N2, atol=1e-9)


def test_turning_changes_no_distance() -> None:
    one_N2, other_N2 = np.random.default_rng(0).normal(size=(2, NUM, 2))
    for method in METHODS:
        turned_N2 = turned_like(one_N2, other_N2, method)
        np.testing.assert_allclose(distances(turned_N2), distances(one_N2), atol=1e-9)


def test_an_axis_of_pca_is_turned_round_at_most() -> None:
    points_N2 = np.random.default_rng(0).normal(size=(NUM, 2))
    np.testing.assert_array_equal(turned_like(points_N2 * [-1, 1], points_N2, "pca"), points_N2)
