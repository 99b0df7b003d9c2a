"""A pull of the weights to where they began, added to the loss.

Source: L2-SP (Li et al. 2018).
"""

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from engine.models.classifier import Classifier
from engine.strategies import Pull


class PullToStart(nn.Module):
    """Half the squared distance of the backbone from its first weights, and of the head from 0."""

    def __init__(self, pull: Pull, model: Classifier):
        super().__init__()
        self._pull = pull
        self._pairs: list[tuple[Parameter, Tensor]] = [
            (parameter, parameter.detach().clone())
            for parameters in model.learning.values()
            for parameter in parameters
        ]
        self._head = list(model.head.parameters())

    def forward(self) -> Tensor:
        """Returns the penalty (); stages that are frozen now have no part in it."""
        away = [
            (parameter - start).square().sum()
            for parameter, start in self._pairs
            if parameter.requires_grad
        ]
        size = torch.stack([parameter.square().sum() for parameter in self._head]).sum()
        penalty = 0.5 * self._pull.head * size
        return penalty + 0.5 * self._pull.backbone * torch.stack(away).sum() if away else penalty
