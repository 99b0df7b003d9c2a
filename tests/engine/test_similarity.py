"""Linear CKA: what leaves it as it is, what it is for unrelated features, and by hand."""

import numpy as np
import pytest

from engine.insight.similarity import linear_cka


@pytest.fixture
def drawn() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("num", "features"), [(50, 8), (40, 300)])
def test_turned_scaled_and_shifted_features_are_the_same(
    drawn: np.random.Generator, num: int, features: int
) -> None:
    one = drawn.normal(size=(num, features)).astype(np.float32)
    turn, _ = np.linalg.qr(drawn.normal(size=(features, features)))
    assert linear_cka(one, one) == pytest.approx(1.0)
    assert linear_cka(one, 1e-6 * one @ turn + 3.0) == pytest.approx(1.0, abs=1e-4)
    assert linear_cka(one, one @ np.diag(np.linspace(0.1, 3.0, features))) != pytest.approx(1.0)


@pytest.mark.parametrize("features", [5, 500])
def test_unrelated_features_are_not_alike_however_many_there_are(
    drawn: np.random.Generator, features: int
) -> None:
    found = [
        linear_cka(drawn.normal(size=(60, features)), drawn.normal(size=(60, features)))
        for _ in range(200)
    ]
    assert abs(float(np.mean(np.array(found, dtype=float)))) < 0.01


def test_the_more_noise_the_less_alike(drawn: np.random.Generator) -> None:
    one = drawn.normal(size=(200, 20))
    noise = drawn.normal(size=(200, 20))
    found = [linear_cka(one, one + amount * noise) or 0.0 for amount in (0.0, 0.3, 1.0, 3.0)]
    assert found == sorted(found, reverse=True)
    # Signal and noise of the same strength: half of each product of two images is left.
    assert found[2] == pytest.approx(0.5, abs=0.07)


def test_with_many_images_it_is_the_textbooks_ratio(drawn: np.random.Generator) -> None:
    one = drawn.normal(size=(4000, 6))
    other = one @ drawn.normal(size=(6, 4)) + drawn.normal(size=(4000, 4))
    x, y = one - one.mean(axis=0), other - other.mean(axis=0)
    textbook = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert linear_cka(one, other) == pytest.approx(float(textbook), abs=0.005)


def test_nothing_is_said_where_nothing_can_be(drawn: np.random.Generator) -> None:
    one = drawn.normal(size=(3, 5))
    assert linear_cka(one, one) is None
    one = drawn.normal(size=(30, 5))
    assert linear_cka(one, np.ones((30, 5))) is None
