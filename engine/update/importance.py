"""How much the old images depend on each weight, and a pull to the old values by that.

Source: elastic weight consolidation (Kirkpatrick et al. 2017). The Fisher information is that of
labels which the model itself would give (Kunstner et al. 2019), not of the true ones.

Shapes: B images, K classes, O of them old.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.functional import cross_entropy

from engine.models.classifier import Classifier
from engine.training.reporter import Preparation
from engine.training.sources import Source

# Of old images that the importance is measured on; more of them change it little.
IMAGES = 200


class PullByImportance(nn.Module):
    """Half of the strength times the importance times the squared distance from the old weights."""

    def __init__(self, strength: float, importance: Mapping[Parameter, Tensor]):
        """Takes what matters, and keeps the weights as they are now."""
        super().__init__()
        self._strength = strength
        self._pulled = [
            (parameter, parameter.detach().clone(), weight)
            for parameter, weight in importance.items()
        ]

    def forward(self) -> Tensor:
        """Returns the penalty (); what is frozen now has no part in it."""
        away = [
            (weight * (parameter - start).square()).sum()
            for parameter, start, weight in self._pulled
            if parameter.requires_grad
        ]
        return 0.5 * self._strength * torch.stack(away).sum()


def importance(
    model: Classifier,
    num_old: int,
    stages: Collection[str],
    source: Source,
    seed: int,
    told: Preparation,
) -> dict[Parameter, Tensor]:
    """Returns the diagonal of the Fisher information of each old weight, its mean brought to 1.

    So a strength means the same for any backbone. Which weights learn is afterwards as before.

    Args:
        model: as it was kept, its head grown.
        num_old: classes that it knew; the new ones' logits have no part.
        stages: of the backbone that will ever learn.
        source: old images, as pictures.
        seed: decides the labels that are drawn.
        told: how many images are done.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    learnt = {p: p.requires_grad for p in model.parameters()}
    model.set_trainable(stages)
    model.eval()
    sums = {
        parameter: torch.zeros_like(parameter)
        for parameter in model.parameters()
        if parameter.requires_grad
    }
    generator = torch.Generator().manual_seed(seed)
    for images_BCHW, _, _ in source.epoch(1):
        for place in range(len(images_BCHW)):
            _add_squares(model, images_BCHW[place : place + 1], num_old, generator, sums)
            told.advance(1)
    for parameter, learns in learnt.items():
        parameter.requires_grad_(learns)
        parameter.grad = None
    return _of_mean_one(sums)


def _add_squares(
    model: Classifier,
    image_1CHW: Tensor,
    num_old: int,
    generator: torch.Generator,
    sums: Mapping[Parameter, Tensor],
) -> None:
    logits_1O = model(image_1CHW)[:, :num_old].float()
    drawn_1 = torch.multinomial(logits_1O.detach().softmax(dim=1).cpu()[0], 1, generator=generator)
    loss = cross_entropy(logits_1O, drawn_1.to(logits_1O.device))
    gradients = torch.autograd.grad(loss, list(sums), allow_unused=True)
    for total, gradient in zip(sums.values(), gradients, strict=True):
        if gradient is not None:
            total += gradient.square()


def _of_mean_one(sums: Mapping[Parameter, Tensor]) -> dict[Parameter, Tensor]:
    """Returns importances whose mean is 1; what nothing depends on, as new rows, is left out."""
    used = {parameter: total for parameter, total in sums.items() if bool(total.any())}
    if not used:
        return {}
    count = sum(total.numel() for total in used.values())
    mean = torch.stack([total.sum() for total in used.values()]).sum() / count
    return {parameter: total / mean for parameter, total in used.items()}
