"""A backbone as an ordered list of stages, stem first.

Shapes: B images, C channels, H rows, W columns, D features.
"""

from collections import OrderedDict
from typing import Any

import timm
from torch import Tensor, nn

from engine.models.catalogue import BACKBONES, BackboneRecord
from engine.models.weights import bundled_weights_file, load_in_order


class Backbone(nn.Module):
    """A pre-trained network without its classifier, cut into stages.

    Strategies and caches need nothing of it but `stages`: each maps the output of the one before,
    and the last one's output is pooled to one vector an image.
    """

    def __init__(
        self, record: BackboneRecord, stages: OrderedDict[str, nn.Module], pool: nn.Module
    ):
        super().__init__()
        self.record = record
        self.stages = nn.ModuleDict(stages)
        self.pool = pool

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Returns features (B, D) of normalised images (B, 3, H, W)."""
        hidden = images_BCHW
        for stage in self.stages.values():
            hidden = stage(hidden)
        return self.pool(hidden)  # type: ignore[no-any-return]


def build_backbone(name: str) -> Backbone:
    """Returns the backbone with its pre-trained ImageNet weights.

    Args:
        name: a key of BACKBONES.

    Raises:
        WeightsError: the weights are missing or do not fit.
    """
    record = BACKBONES[name]
    network: Any = timm.create_model(record.architecture, pretrained=False)
    load_in_order(network, bundled_weights_file(record))
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    stages["stem"] = nn.Sequential(network.conv_stem, network.bn1)
    for index, block in enumerate(network.blocks, start=1):
        stages[f"block{index}"] = block
    stages["top"] = nn.Sequential(network.conv_head, network.bn2)
    return Backbone(record, stages, network.global_pool)
