"""Optimisers over named parameter groups that all exist from the first step on."""

from collections.abc import Collection

from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

from engine.models.classifier import Classifier
from engine.spec import OptimiserSpec


def build_optimiser(
    spec: OptimiserSpec, model: Classifier, stage_names: Collection[str]
) -> Optimizer:
    """Returns an optimiser over the head and the stages that learn at any time in the run.

    Each group has a `name` (backbone or head). Biases and the weights of norm layers are in groups
    of their own, without weight decay.

    Args:
        spec: optimiser, learning rate, weight decay and momentum.
        model: its groups are taken from here.
        stage_names: stages that some phase trains.
    """
    learning = [
        parameter
        for name in model.backbone.stages
        if name in stage_names
        for parameter in model.backbone.stage_parameters(name)
    ]
    groups = [
        *_groups("backbone", learning, spec.weight_decay),
        *_groups("head", list(model.head.parameters()), spec.weight_decay),
    ]
    if spec.name == "sgd":
        return SGD(groups, lr=spec.lr, momentum=spec.momentum)
    return (AdamW if spec.name == "adamw" else Adam)(groups, lr=spec.lr)


def _groups(name: str, parameters: list[Parameter], weight_decay: float) -> list[dict[str, object]]:
    split = {
        weight_decay: [parameter for parameter in parameters if parameter.ndim > 1],
        0.0: [parameter for parameter in parameters if parameter.ndim <= 1],
    }
    if weight_decay == 0.0:
        split = {0.0: parameters}
    return [
        {"params": members, "name": name, "weight_decay": decay}
        for decay, members in split.items()
        if members
    ]


def learning_rates(optimiser: Optimizer) -> dict[str, float]:
    """Returns the present learning rate of each named group, as `lr/<name>`."""
    return {f"lr/{group['name']}": float(group["lr"]) for group in optimiser.param_groups}
