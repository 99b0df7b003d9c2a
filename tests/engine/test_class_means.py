"""Nearest class means: as sure as they are right."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import optimize
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.insight.calibration import reliability
from engine.update.class_means import class_means, fitted_scale


class Given:
    """A source of features that are there, in batches of 100."""

    def __init__(self, features_ND: Tensor, labels_N: Tensor):
        self._features_ND, self._labels_N = features_ND, labels_N

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        numbers_N = torch.arange(len(self._labels_N))
        yield from zip(
            self._features_ND.split(100),
            self._labels_N.split(100),
            numbers_N.split(100),
            strict=True,
        )


def layer_of(features_ND: Tensor, labels_N: Tensor) -> torch.nn.Linear:
    names = [str(k) for k in range(int(labels_N.max()) + 1)]
    return class_means(Given(features_ND, labels_N), lambda batch: batch, names)  # type: ignore


@pytest.fixture(scope="module")
def digits() -> list[Tensor]:
    """Digits' pixels to learn from and to judge by, then the labels of both."""
    pictures_ND, labels_N = load_digits(return_X_y=True)
    split = train_test_split(pictures_ND, labels_N, test_size=0.5, random_state=0)
    return [torch.from_numpy(part) for part in split]


def test_it_is_as_sure_as_it_is_right(digits: list[Tensor]) -> None:
    train_ND, val_ND, labels_N, val_labels_N = digits
    with torch.no_grad():
        logits_NK = layer_of(train_ND.float(), labels_N)(val_ND.float())
    means_KD = torch.stack([train_ND[labels_N == k].mean(dim=0) for k in range(10)])
    variance = float((train_ND - means_KD[labels_N]).square().mean())
    spread_alike_NK = -torch.cdist(val_ND, means_KD).square() / (2 * variance)

    def error(logits_NK: Tensor) -> float:
        return reliability(logits_NK.softmax(dim=1).numpy(), val_labels_N.numpy()).error

    assert error(logits_NK) < 0.04
    assert error(spread_alike_NK) > 0.08
    assert cross_entropy(logits_NK, val_labels_N) < 0.7 * cross_entropy(
        spread_alike_NK, val_labels_N
    )


def test_features_told_twice_make_it_no_surer(digits: list[Tensor]) -> None:
    train_ND, val_ND, labels_N, _ = digits
    once = layer_of(train_ND.float(), labels_N)(val_ND.float()).softmax(dim=1)
    twice = layer_of(train_ND.float().repeat(1, 2), labels_N)(val_ND.float().repeat(1, 2))
    torch.testing.assert_close(twice.softmax(dim=1), once, rtol=1e-3, atol=1e-4)


def test_each_image_is_judged_by_means_that_it_is_no_part_of() -> None:
    """Against means that are worked out anew for each image."""
    random = np.random.default_rng(0)
    labels_N = np.repeat([0, 1, 2], [4, 6, 1])
    features_ND = random.normal(size=(11, 5)) + labels_N[:, None]
    means_KD = np.stack([features_ND[labels_N == k].mean(axis=0) for k in range(3)])
    distances_NK = ((features_ND[:, None] - means_KD) ** 2).sum(axis=2) / 2

    apart_NK = distances_NK.copy()
    for n, k in enumerate(labels_N[:10]):
        others_N = (labels_N == k) & (np.arange(11) != n)
        apart_NK[n, k] = ((features_ND[n] - features_ND[others_N].mean(axis=0)) ** 2).sum() / 2
    judged_NK = torch.from_numpy(apart_NK[:10])
    likely_NK = (torch.eye(3, dtype=torch.float64)[labels_N[:10]] * 10 + 1) / 13
    best = optimize.minimize_scalar(
        lambda scale: float(cross_entropy(-scale * judged_NK, likely_NK)), bounds=(0, 10)
    )

    counts_K = torch.tensor([4.0, 6.0, 1.0], dtype=torch.float64)
    scale = fitted_scale(torch.from_numpy(distances_NK), torch.from_numpy(labels_N), counts_K)
    assert scale == pytest.approx(best.x, rel=1e-3)


def test_few_images_that_are_far_apart_do_not_make_it_certain() -> None:
    features_ND = torch.tensor([[0.0], [0.1], [9.0], [9.1]])
    with torch.no_grad():
        logits_NK = layer_of(features_ND, torch.tensor([0, 0, 1, 1]))(features_ND)
    # As Laplace has it: of 4 that were right, the next one is with 5 in 6.
    assert logits_NK.softmax(dim=1).max(dim=1).values.numpy() == pytest.approx(5 / 6, abs=0.02)


def test_one_image_a_class_is_enough() -> None:
    features_ND = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    with torch.no_grad():
        logits_NK = layer_of(features_ND, torch.tensor([0, 1]))(features_ND)
    shares_NK = logits_NK.softmax(dim=1)
    assert shares_NK.argmax(dim=1).tolist() == [0, 1]
    assert shares_NK.max() < 0.9


def test_images_that_are_all_alike_are_told_by_chance() -> None:
    with torch.no_grad():
        logits_NK = layer_of(torch.zeros(4, 3), torch.tensor([0, 0, 1, 1]))(torch.zeros(1, 3))
    assert logits_NK.softmax(dim=1).tolist() == [[0.5, 0.5]]
