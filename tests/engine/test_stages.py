"""Stages partition a network, in the order of use, under names that a person recognises."""

import pytest
import torch
from torch import nn

from engine.models.backbone import Backbone, build_backbone
from engine.models.catalogue import backbone_record
from engine.models.stages import MAX_STAGES, MIN_STAGES, find_stages
from tests.engine.networks import order_of_use, partition_faults

# Of each kind of network one, small enough to be built in a moment.
SMALL = (
    "efficientnet_lite0",
    "torchvision/alexnet",
    "torchvision/densenet121",
    "torchvision/googlenet",
    "torchvision/inception_v3",
    "torchvision/mnasnet0_5",
    "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_small",
    "torchvision/regnet_y_400mf",
    "torchvision/resnet50",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_1",
    "torchvision/swin_t",
    "timm/convnext_atto",
    "timm/levit_128s",
    "timm/mobilevit_xxs",
    "timm/test_vit",
    "timm/vit_tiny_patch16_224",
    "timm/xcit_nano_12_p16_224",
)


@pytest.fixture(scope="module", params=SMALL)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return build_backbone(request.param, weights="random")


def test_stages_are_what_the_catalogue_says(backbone: Backbone) -> None:
    counted = [
        (stage.name, stage.label, sum(p.numel() for p in backbone.stage_parameters(stage.name)))
        for stage in backbone.stages.values()
    ]
    known = [(s.name, s.label, s.num_parameters) for s in backbone.record.stages]
    assert counted == known
    assert MIN_STAGES <= len(counted) <= MAX_STAGES


def test_stages_partition_the_parameters(backbone: Backbone) -> None:
    assert partition_faults(backbone) == []


def test_stages_hold_every_tensor_once(backbone: Backbone) -> None:
    names = [name for stage in backbone.stages for name in backbone.stage_tensor_names(stage)]
    assert len(names) == len(set(names))
    learnable = {name for name, _ in backbone.named_parameters()}
    assert learnable <= set(names)


def test_stages_come_in_the_order_of_their_use(backbone: Backbone) -> None:
    assert order_of_use(backbone) == list(backbone.stages)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("torchvision/resnet50", "stem layer1 layer2 layer3 layer4"),
        ("torchvision/vgg16", "stem block1 block2 block3 block4 top"),
        ("efficientnet_lite0", "stem block1 block2 block3 block4 block5 block6 block7 top"),
        (
            "timm/vit_base_patch16_224",
            "stem block1-2 block3-4 block5-6 block7-8 block9-10 block11-12",
        ),
        ("timm/convnext_tiny", "stem stage1 stage2 stage3 stage4"),
    ],
)
def test_names_are_those_that_people_know(name: str, stages: str) -> None:
    assert " ".join(backbone_record(name).stage_names) == stages


def test_labels_are_words() -> None:
    labels = {s.name: s.label for s in backbone_record("timm/vit_base_patch16_224").stages}
    assert labels["stem"] == "Stem"
    assert labels["block3-4"] == "Blocks 3–4"
    assert backbone_record("torchvision/resnet50").stages[1].label == "Layer 1"


def test_position_embeddings_lie_in_the_stem() -> None:
    backbone = build_backbone("timm/test_vit", weights="random")
    assert "pos_embed" in backbone.stages["stem"].tensors
    assert "network.pos_embed" in backbone.stage_tensor_names("stem")


def test_a_network_of_many_equal_blocks_is_portioned() -> None:
    network = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(40)))
    stages = find_stages(network)
    assert len(stages) <= MAX_STAGES
    assert [path for stage in stages for path in stage.modules] == [str(i) for i in range(40)]


def test_frozen_stages_and_what_lies_between_are_in_eval_mode() -> None:
    backbone = build_backbone("torchvision/vgg11_bn", weights="random")
    names = list(backbone.stages)
    backbone.train_stages(names[-1:])
    training = {name for name, module in backbone.network.named_modules() if module.training}
    inside = tuple(backbone.stages[names[-1]].modules)
    assert training
    assert all(name.startswith(inside) for name in training)
    backbone.train_stages(names)
    assert all(module.training for module in backbone.modules())


@pytest.mark.parametrize("name", ["torchvision/mobilenet_v2", "torchvision/mobilenet_v3_small"])
def test_the_librarys_dropout_goes_with_its_classifier(name: str) -> None:
    backbone = build_backbone(name, weights="random")
    assert not [m for m in backbone.modules() if isinstance(m, nn.Dropout) and m.p > 0]


@pytest.mark.parametrize("name", ["torchvision/inception_v3", "torchvision/googlenet"])
@pytest.mark.parametrize("size", [96, 150, 224])
def test_inception_trains_on_pictures_below_its_own_size(name: str, size: int) -> None:
    backbone = build_backbone(name, size, weights="random")
    backbone.train_stages(list(backbone.stages))
    features_BD = backbone(torch.rand(2, 3, size, size))
    assert features_BD.shape == (2, backbone.record.num_features)
    features_BD.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
