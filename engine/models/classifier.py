"""A backbone with a head on it.

Shapes: B images, C channels, H rows, W columns, D features, K classes.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from engine.models.backbone import Backbone, build_backbone
from engine.models.catalogue import Select
from engine.models.depth import set_stochastic_depth
from engine.models.select import selected_parameters
from engine.spec import BatchNormMode, ModelSpec


class Classifier(nn.Module):
    """Backbone, then head: images in, logits out."""

    def __init__(self, backbone: Backbone, head: nn.Sequential):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.select("all")

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Returns logits (B, K) of normalised images (B, 3, H, W)."""
        return self.head(self.backbone(images_BCHW))  # type: ignore[no-any-return]

    def select(self, select: Select) -> None:
        """Says which parameters of a stage learn when it does; all others never do."""
        self.learning = selected_parameters(self.backbone, select)
        self.backbone.requires_grad_(False)

    def set_trainable(self, stage_names: Collection[str]) -> None:
        """Lets the named stages and the head learn, and freezes the others.

        A frozen stage keeps no gradient from an earlier phase, which the optimiser would apply.
        """
        for name, parameters in self.learning.items():
            for parameter in parameters:
                parameter.requires_grad_(name in stage_names)
                if name not in stage_names:
                    parameter.grad = None

    def train_stages(
        self, stage_names: Collection[str], batch_norm: BatchNormMode = "follow"
    ) -> None:
        """Puts the named stages and the head in training mode, all others in eval mode.

        Args:
            stage_names: stages that learn.
            batch_norm: what BatchNorm's statistics do: follow the stage, stay frozen, or update.
        """
        self.train()
        self.backbone.train_stages(stage_names)
        if batch_norm == "follow":
            return
        for module in self.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train(batch_norm == "update")


def build_head(spec: ModelSpec, num_features: int, num_classes: int) -> nn.Sequential:
    """Returns a head that maps features (B, D) to logits (B, K)."""
    if spec.head == "linear":
        return nn.Sequential(nn.Dropout(spec.dropout), nn.Linear(num_features, num_classes))
    return nn.Sequential(
        nn.Dropout(spec.dropout),
        nn.Linear(num_features, spec.hidden_units),
        nn.ReLU(),
        nn.Dropout(spec.dropout),
        nn.Linear(spec.hidden_units, num_classes),
    )


def build_classifier(
    spec: ModelSpec,
    num_classes: int,
    seed: int,
    size: int | None = None,
    backbone: Backbone | None = None,
) -> Classifier:
    """Returns a backbone under a fresh head.

    The generator is seeded just before the head is built, so that every strategy with the same
    seed starts from the same head.

    Args:
        spec: backbone, its weights and the head.
        num_classes: logits to give.
        seed: decides the head's first weights, and the backbone's where they are random.
        size: side of the pictures in px; the backbone's own where None.
        backbone: the one that the spec names, where it is built already.

    Raises:
        WeightsError: the backbone's weights are missing or do not fit.
        SpecError: the backbone takes no pictures of this size, or has no blocks that stochastic
            depth could skip.
    """
    if backbone is None:
        backbone = build_backbone(spec.backbone, size, spec.weights, seed)
    if spec.stochastic_depth:
        set_stochastic_depth(backbone.network, spec.stochastic_depth, spec.backbone)
    torch.manual_seed(seed)
    return Classifier(backbone, build_head(spec, backbone.record.num_features, num_classes))


def count_parameters(model: nn.Module, trainable_only: bool = False) -> int:
    """Returns the number of learnable numbers in a model."""
    return sum(
        parameter.numel()
        for parameter in model.parameters()
        if parameter.requires_grad or not trainable_only
    )
