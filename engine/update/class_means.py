"""A head that gives each image to the class whose mean feature is nearest, without one step.

Source: Mensink et al. 2013; logits are those of classes that spread alike in all directions, so
that the nearest mean has the highest.

Shapes: B images, N of them in all, D features, K classes.
"""

from collections.abc import Callable, Sequence

import torch
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
        source: all training images.
        features: of a batch of it, as the layer is to take them.
        classes: names, in the order of the labels.

    Raises:
        DataError: a class has no image.
    """
    sums_KD, squares = torch.zeros(0), 0.0
    counts_K = torch.zeros(len(classes), dtype=torch.float64)
    for inputs, labels_B, _ in source.epoch(1):
        features_BD = features(inputs).double().cpu()
        if not sums_KD.numel():
            sums_KD = torch.zeros(len(classes), features_BD.shape[1], dtype=torch.float64)
        sums_KD.index_add_(0, labels_B.cpu(), features_BD)
        counts_K += torch.bincount(labels_B.cpu(), minlength=len(classes))
        squares += float(features_BD.square().sum())
    if (empty := [classes[k] for k in (counts_K == 0).nonzero().flatten().tolist()]) != []:
        raise DataError(
            f"The class {empty[0]!r} has no image left to take a mean of; put its images back, or "
            "choose a method that reads no earlier ones."
        )
    means_KD = sums_KD / counts_K[:, None]
    within = squares - float((counts_K * means_KD.square().sum(dim=1)).sum())
    variance = max(within / float(counts_K.sum() * means_KD.shape[1]), 1e-12)
    layer = nn.Linear(means_KD.shape[1], len(classes))
    layer.weight.copy_(means_KD / variance)
    layer.bias.copy_(-means_KD.square().sum(dim=1) / (2 * variance))
    return layer
