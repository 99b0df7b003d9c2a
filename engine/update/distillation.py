"""The old model as a teacher of the new one, on the classes that it knows.

Source: Learning without Forgetting (Li & Hoiem 2016); the factor T² keeps gradients of one size
(Hinton et al. 2015).

Shapes: B images, K classes, O of them old.
"""

import copy

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from engine.models.classifier import Classifier
from engine.training.feeding import Inputs
from engine.training.loop import Forward
from engine.training.passes import after_cut


class Distillation:
    """How far the answers of a model have gone from those of the model that it was."""

    def __init__(self, model: Classifier, weight: float, temperature: float):
        """Takes a copy of the model as it is now.

        Args:
            model: on the device of the run; gives the old classes' logits alone.
            weight: factor on the divergence.
            temperature: what logits are divided by.
        """
        self._teacher = copy.deepcopy(model).eval().requires_grad_(False)
        self._weight = weight
        self._temperature = temperature
        self._forward: Forward = self._teacher

    def runs_on(self, inputs: Inputs | None) -> None:
        """Says what the batches are that it will be asked about: pictures where None.

        What lies before a cut must be the same in both models.
        """
        self._forward = self._teacher if inputs is None else after_cut(inputs, self._teacher)

    def __call__(self, inputs: Tensor, logits_BK: Tensor) -> Tensor:
        """Returns what is added to a batch's loss ()."""
        with torch.no_grad():
            taught_BO = self._forward(inputs).float()
        t = self._temperature
        learnt_BO = logits_BK[:, : taught_BO.shape[1]]
        apart = kl_div(
            log_softmax(learnt_BO / t, dim=1),
            log_softmax(taught_BO / t, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        return self._weight * t * t * apart
