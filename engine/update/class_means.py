"""A head that gives each image to the class whose mean feature is nearest, without one step.

Source: Mensink et al. 2013; logits are those of classes that spread alike in all directions, so
that the nearest mean has the highest. Features that go together make such logits far too sure of
themselves: their one scale is fitted as a temperature is (Guo et al. 2017), each image judged by
means that it is no part of.

Shapes: B images, N of them in all, D features, K classes.
"""

import math
from collections.abc import Callable, Sequence

import torch
from scipy import optimize
from torch import Tensor, nn

from engine.errors import DataError
from engine.training.loop import Forward, Learner
from engine.training.sources import Source


class Beholder(Learner):
    """A learner that takes no step: an epoch only says how well its images are told."""

    def learn(self, forward: Forward, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean loss () and logits (B, K) of a batch."""
        with torch.no_grad():
            return self.loss(forward, inputs, targets)

    def descend(self, step: int, measures: bool = False) -> dict[str, float]:
        """Leaves the weights as they are; nothing is measured of gradients."""
        return {}


@torch.no_grad()
def class_means(
    source: Source, features: Callable[[Tensor], Tensor], classes: Sequence[str]
) -> nn.Linear:
    """Returns the layer that gives the logits of nearest class means.

    Args:
        source: all training images; read twice.
        features: of a batch of it, as the layer is to take them.
        classes: names, in the order of the labels.

    Raises:
        DataError: a class has no image.
    """
    sums_KD = torch.zeros(0)
    counts_K = torch.zeros(len(classes), dtype=torch.float64)
    for inputs, labels_B, _ in source.epoch(1):
        features_BD = features(inputs).double().cpu()
        if not sums_KD.numel():
            sums_KD = torch.zeros(len(classes), features_BD.shape[1], dtype=torch.float64)
        sums_KD.index_add_(0, labels_B.cpu(), features_BD)
        counts_K += torch.bincount(labels_B.cpu(), minlength=len(classes))
    if (empty := [classes[k] for k in (counts_K == 0).nonzero().flatten().tolist()]) != []:
        raise DataError(
            f"The class {empty[0]!r} has no image left to take a mean of; put its images back, or "
            "choose a method that reads no earlier ones."
        )
    means_KD = sums_KD / counts_K[:, None]
    distances, labels = [], []
    for inputs, labels_B, _ in source.epoch(1):
        features_BD = features(inputs).double().cpu()
        distances.append(torch.cdist(features_BD, means_KD).square() / 2)
        labels.append(labels_B.cpu())
    scale = fitted_scale(torch.cat(distances), torch.cat(labels), counts_K)
    layer = nn.Linear(means_KD.shape[1], len(classes))
    layer.weight.copy_(scale * means_KD)
    layer.bias.copy_(-scale * means_KD.square().sum(dim=1) / 2)
    return layer


def fitted_scale(distances_NK: Tensor, labels_N: Tensor, counts_K: Tensor) -> float:
    """Returns the factor of distances with which their negatives are the likeliest logits.

    What is likely is smoothed as Laplace's rule has it, so that images that are told without a
    fault make the logits sure of themselves only as far as there are many.

    Args:
        distances_NK: half the squared distance from each image to each mean.
        labels_N: the class of each image.
        counts_K: how many images each mean is of.
    """
    own = torch.nn.functional.one_hot(labels_N, len(counts_K)).bool()
    # A mean without one of its n images is n / (n - 1) times as far from that one.
    apart_K = torch.where(counts_K > 1, counts_K / (counts_K - 1).clamp(min=1), 1.0).square()
    distances_NK = torch.where(own, distances_NK * apart_K, distances_NK)
    if (judged_N := counts_K[labels_N] > 1).any():
        distances_NK, own = distances_NK[judged_N], own[judged_N]
    num, num_classes = distances_NK.shape
    likely_NK = (own.double() * num + 1) / (num + num_classes)
    size = float(distances_NK.mean()) or 1.0

    def surprise(log_scale: float) -> float:
        logits_NK = -math.exp(log_scale) / size * distances_NK
        return float(torch.nn.functional.cross_entropy(logits_NK, likely_NK))

    found = optimize.minimize_scalar(surprise, bounds=(-12.0, 12.0), method="bounded")
    return math.exp(found.x) / size
