"""Where models look: Grad-CAM against what it is by definition, on made and on real networks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

from engine.errors import DataError, SpecError, WeightsError
from engine.home import run_folder
from engine.insight.explaining import read_order
from engine.insight.overlay import overlay, ramp, square_picture
from engine.insight.saliency import class_maps, explain
from engine.insight.saliency_maps import Question, SaliencyMap, known_maps, work_key
from engine.models.backbone import Backbone, build_backbone
from engine.models.classifier import Classifier, build_classifier
from engine.spec import ModelSpec
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader
from engine.training.reporter import StopTrainingError
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

SIDE = 64
CLASSES = ("red", "blue")
HALF = (0.5, 0.5, 0.5)


class Made(nn.Module):
    """A backbone of one convolution, whose features are means over the picture."""

    def __init__(self, num: int = 4) -> None:
        super().__init__()
        self.stages: dict[str, object] = {}
        self.network = nn.Sequential(
            nn.Conv2d(3, num, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)  # type: ignore[no-any-return]


def made_model(head: nn.Module) -> Classifier:
    torch.manual_seed(1)
    model = nn.Module.__new__(Classifier)
    nn.Module.__init__(model)
    model.backbone = Made()  # type: ignore[assignment]
    model.head = head
    return model.eval()


def test_of_a_mean_and_a_linear_head_it_is_the_class_activation_map() -> None:
    """There Grad-CAM is CAM (Zhou et al. 2016): the head's weights times the last map."""
    head = nn.Linear(4, 2)
    model = made_model(head)
    image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    found = class_maps(model, image, [0, 1])
    assert found.layer == "1"
    last_map = model.backbone.network[:2](image[None])[0]
    for place, one in enumerate(found.maps):
        cam = torch.einsum("c,chw->hw", head.weight[place], last_map).relu()
        expected = cam / cam.max() if cam.max() > 0 else cam
        assert torch.allclose(one, expected.detach(), atol=1e-5)
    assert found.logits_K.softmax(0).sum() == pytest.approx(1.0)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_nothing_that_speaks_for_a_class_is_an_empty_map() -> None:
    head = nn.Linear(4, 2)
    with torch.no_grad():
        head.weight[0].fill_(-1.0)
        head.weight[1].fill_(1.0)
    model = made_model(head)
    against, speaking = class_maps(model, torch.rand(3, SIDE, SIDE), [0, 1]).maps
    assert not against.any()
    assert float(speaking.max()) == 1.0


def test_a_network_without_a_map_says_so() -> None:
    model = made_model(nn.Linear(3 * 4 * 4, 2))
    model.backbone.network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    found = class_maps(model, torch.rand(3, SIDE, SIDE), [0, 1])
    assert "no map of the picture" in found.reason
    assert [one.numel() for one in found.maps] == [0, 0]
    assert found.layer == ""


# ---- networks of the catalogue, taught that one corner decides


def corner_images(num: int, seed: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Noise, but for a patch at the top left that is red or blue; which it is, is the class."""
    drawn = torch.Generator().manual_seed(seed)
    images = 0.5 * torch.randn(num, 3, side, side, generator=drawn)
    labels = torch.arange(num) % 2
    patch = side // 4
    images[:, :, :patch, :patch] = -1.0
    for place, label in enumerate(labels.tolist()):
        images[place, 2 * label, :patch, :patch] = 2.0
    return images, labels


def taught(backbone: Backbone, steps: int, rate: float, side: int = SIDE) -> Classifier:
    """A model that tells the two corners apart, every weight of it trained."""
    model = build_classifier(
        ModelSpec(backbone=backbone.record.name, dropout=0.0), 2, 0, side, backbone
    )
    model.requires_grad_(True).train()
    optimiser = torch.optim.AdamW(model.parameters(), rate)
    for step in range(steps):
        images, labels = corner_images(16, step, side)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def share_in_corner(map_hw: Tensor) -> float:
    """Share of a map that lies in its upper left quarter."""
    rows, columns = map_hw.shape
    corner = map_hw[: (rows + 1) // 2, : (columns + 1) // 2]
    return float(corner.sum() / map_hw.sum())


def mean_share(model: Classifier, side: int = SIDE) -> float:
    """Mean share in the corner over pictures that it gets right, for their own class."""
    images, labels = corner_images(8, 999, side)
    found = [class_maps(model, one, [int(label)]) for one, label in zip(images, labels, strict=True)]
    right = [
        one
        for one, label in zip(found, labels.tolist(), strict=True)
        if int(one.logits_K.argmax()) == label
    ]
    assert len(right) >= 7
    maps = [one.maps[0] for one in right if one.maps[0].any()]
    assert len(maps) >= 4
    assert all(0.0 <= float(one.min()) and float(one.max()) == 1.0 for one in maps)
    return float(np.mean([share_in_corner(one) for one in maps]))


TAUGHT = [
    ("efficientnet_lite0", "pretrained", 12, 1e-3, 128),
    ("torchvision/resnet18.IMAGENET1K_V1", "random", 16, 1e-3, 128),
    ("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "random", 40, 5e-4, 64),
]


@pytest.mark.parametrize(("name", "weights", "steps", "rate", "side"), TAUGHT)
def test_the_map_lies_in_the_corner_that_decides(
    name: str, weights: str, steps: int, rate: float, side: int
) -> None:
    model = taught(build_backbone(name, side, weights), steps, rate, side)
    learnt = mean_share(model, side)
    # The corner is a quarter of the picture, or what of the cells reaches into it.
    assert learnt > 0.6
