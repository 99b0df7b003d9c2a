"""Small networks and pictures to measure the layers of."""

from typing import Any

import torch
from torch import Tensor

from engine.models.classifier import Classifier, build_classifier
from engine.spec import ModelSpec

RESNET = "torchvision/resnet18"


def made(backbone: str = RESNET, select: Any = "all") -> Classifier:
    model = build_classifier(ModelSpec(backbone=backbone, weights="random"), 3, seed=0, size=64)
    model.select(select)
    return model.eval()


def images(num: int = 6) -> Tensor:
    return torch.rand(num, 3, 64, 64, generator=torch.Generator().manual_seed(1))
