"""How strong the gradient is that each stage learns along."""

import math

import torch
from torch.nn.utils import get_total_norm

from engine.models.classifier import Classifier
from engine.training.layer_names import GRAD_NORM
from engine.training.optimisers import HEAD


@torch.no_grad()
def gradient_norms(model: Classifier, scale: float = 1.0) -> dict[str, float]:
    """Returns the Euclidean norm of the gradient of each stage that has one, and of the head.

    Stages that are frozen, or lie before what an epoch runs, have none and are left out; so are
    gradients that are no finite numbers, along which no step is taken in mixed precision.

    Args:
        model: its gradients are those of a whole batch, added up.
        scale: what the loss was multiplied by.

    Returns:
        `grad_norm/<stage>` and `grad_norm/head`, in four digits.
    """
    groups = (*model.learning.items(), (HEAD, list(model.head.parameters())))
    norms = {}
    for name, parameters in groups:
        gradients = [one.grad for one in parameters if one.grad is not None]
        if gradients:
            norms[name] = get_total_norm(gradients)
    if not norms:
        return {}
    # Looked at together: each look by itself would wait for a GPU.
    found = (torch.stack(list(norms.values())) / scale).tolist()
    return {
        GRAD_NORM + name: float(f"{norm:.4g}")
        for name, norm in zip(norms, found, strict=True)
        if math.isfinite(norm)
    }
