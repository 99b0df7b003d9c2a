"""A pull of the weights to where they began, added to the loss.

Source: L2-SP (Li et al. 2018).
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from engine.models.classifier import Classifier
from engine.strategies import Pull


class PullToStart(nn.Module):
    """Half the squared distance of the backbone from its first weights, and of the head from 0.

    Where a model is updated, what its head knew is pulled to that.
    """

    def __init__(self, pull: Pull, model: Classifier, known: Collection[Parameter] = ()):
        """Keeps the weights as they are now.

        Args:
            pull: how strong it is.
            model: whose weights they are.
            known: parameters of the head that something was learnt by before.
        """
        super().__init__()
        self._pull = pull
        self._pairs: list[tuple[Parameter, Tensor]] = [
            (parameter, parameter.detach().clone())
            for parameters in model.learning.values()
            for parameter in parameters
        ]
        names = {id(parameter) for parameter in known}
        self._head = [
            (parameter, parameter.detach() * (1.0 if id(parameter) in names else 0.0))
            for parameter in model.head.parameters()
        ]

    def forward(self) -> Tensor:
        """Returns the penalty (); stages that are frozen now have no part in it."""
        away = [
            (parameter - start).square().sum()
            for parameter, start in self._pairs
            if parameter.requires_grad
        ]
        head = [(parameter - start).square().sum() for parameter, start in self._head]
        penalty = 0.5 * self._pull.head * torch.stack(head).sum()
        return penalty + 0.5 * self._pull.backbone * torch.stack(away).sum() if away else penalty
