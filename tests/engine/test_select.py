"""What a Select means: which parameters of a stage learn."""

from typing import get_args

import pytest
import timm
import torch
from timm import layers
from timm.layers.grn import GlobalResponseNorm
from torch import nn
from torch.nn import Parameter

from engine.models.backbone import Backbone, build_backbone
from engine.models.catalogue import Select
from engine.models.lora import adapter_parameters, add_adapters
from engine.models.select import bias_parameters, is_norm, norm_parameters, selected_parameters

NETWORKS = ("efficientnet_lite0", "torchvision/resnet18", "timm/vit_tiny_patch16_224")


@pytest.fixture(scope="module", params=NETWORKS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    backbone = build_backbone(request.param, weights="random")
    add_adapters(backbone.network, rank=2, scale=1.0, seed=0)
    return backbone


def ids(selected: dict[str, list[Parameter]]) -> set[int]:
    return {id(parameter) for parameters in selected.values() for parameter in parameters}


def numbers(selected: dict[str, list[Parameter]]) -> int:
    return sum(p.numel() for parameters in selected.values() for p in parameters)


@pytest.mark.parametrize("select", get_args(Select))
def test_every_stage_is_there_and_nothing_comes_twice(backbone: Backbone, select: Select) -> None:
    selected = selected_parameters(backbone, select)
    assert list(selected) == list(backbone.stages)
    assert len(ids(selected)) == sum(len(parameters) for parameters in selected.values())


def test_own_parameters_and_adapters_are_all_there_are(backbone: Backbone) -> None:
    own = ids(selected_parameters(backbone, "all"))
    beside = ids(selected_parameters(backbone, "adapters"))
    assert not own & beside
    assert own | beside == {id(parameter) for parameter in backbone.parameters()}
    assert beside == {id(parameter) for parameter in adapter_parameters(backbone)}


def test_all_is_what_a_stage_holds(backbone: Backbone) -> None:
    for name, parameters in selected_parameters(backbone, "all").items():
        held = list(backbone.stage_parameters(name))
        assert [id(p) for p in parameters] == [id(p) for p in held]
    assert numbers(selected_parameters(backbone, "all")) == backbone.record.num_parameters


@pytest.mark.parametrize("select", ["norms", "biases"])
def test_norms_and_biases_lie_in_the_stage_that_holds_them(
    backbone: Backbone, select: Select
) -> None:
    selected = selected_parameters(backbone, select)
    for name, parameters in selected.items():
        held = {id(parameter) for parameter in backbone.stage_parameters(name)}
        assert {id(parameter) for parameter in parameters} < held
    find = norm_parameters if select == "norms" else bias_parameters
    assert ids(selected) == {id(parameter) for parameter in find(backbone.network)}


def test_without_adapters_none_are_selected() -> None:
    backbone = build_backbone("torchvision/resnet18", weights="random")
    selected = selected_parameters(backbone, "adapters")
    assert list(selected) == list(backbone.stages)
    assert not numbers(selected)


def test_known_counts_of_resnet18() -> None:
    """Its convolutions have no bias, so half of the norms' 9,600 numbers are all its biases."""
    backbone = build_backbone("torchvision/resnet18", weights="random")
    norms = selected_parameters(backbone, "norms")
    assert numbers(norms) == 9_600
    assert sum(p.numel() for p in norms["stem"]) == 2 * 64
    assert numbers(selected_parameters(backbone, "biases")) == 4_800
    assert numbers(selected_parameters(backbone, "all")) == 11_176_512


def test_known_counts_of_a_vision_transformer() -> None:
    """Width 192; a block has two norms, and biases of qkv, projection and a 4x wider MLP."""
    backbone = build_backbone("timm/vit_tiny_patch16_224", weights="random")
    assert numbers(selected_parameters(backbone, "norms")) == (2 * 12 + 1) * 2 * 192
    biases = 192 + 12 * (2 + 3 + 1 + 4 + 1) * 192 + 192  # of patches, blocks and the last norm
    assert numbers(selected_parameters(backbone, "biases")) == biases


def test_biases_of_attention_count() -> None:
    attention = nn.MultiheadAttention(8, 2)
    assert sum(p.numel() for p in bias_parameters(attention)) == 3 * 8 + 8
    beit = timm.create_model("beit_base_patch16_224", num_classes=0, depth=1)
    names = {id(p): name.rpartition(".")[2] for name, p in beit.named_parameters()}
    assert {names[id(p)] for p in bias_parameters(beit)} == {"bias", "q_bias", "v_bias"}


def test_a_table_of_position_biases_is_no_bias() -> None:
    levit = timm.create_model("levit_128s", num_classes=0)
    tables = {id(p) for name, p in levit.named_parameters() if name.endswith("attention_biases")}
    assert tables
    assert not tables & {id(p) for p in bias_parameters(levit)}


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(8),
        nn.InstanceNorm2d(8, affine=True),
        nn.GroupNorm(2, 8),
        nn.LayerNorm(8),
        nn.RMSNorm(8),
        layers.LayerNorm2d(8),
        layers.BatchNormAct2d(8),
        layers.BatchNormAct2d(8, act_layer=nn.PReLU),
        layers.GroupNormAct(8, 2),
        layers.RmsNorm(8),
        layers.RmsNorm2d(8),
        layers.SimpleNorm2d(8),
        layers.EvoNorm2dS0(8),
        layers.EvoNorm2dB0(8),
        layers.FilterResponseNormAct2d(8),
        GlobalResponseNorm(8),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_norms_of_both_libraries_are_known(norm: nn.Module) -> None:
    assert is_norm(norm)
    held = {id(parameter) for parameter in norm.parameters(recurse=False)}
    assert held
    assert {id(parameter) for parameter in norm_parameters(nn.Sequential(norm))} == held


def test_a_block_with_a_norm_in_it_is_none() -> None:
    block = layers.ConvNormAct(3, 8)
    assert not is_norm(block)
    assert {id(p) for p in norm_parameters(block)} == {id(block.bn.weight), id(block.bn.bias)}


def test_a_layer_is_none() -> None:
    for layer in (nn.Linear(4, 4), nn.Conv2d(3, 8, 3), layers.LayerScale(8), nn.PReLU()):
        assert not is_norm(layer)


def test_selected_parameters_are_the_ones_that_compute(backbone: Backbone) -> None:
    """Changing any kind changes what comes out, and putting it back undoes that."""
    backbone.eval()
    images_BCHW = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain_BD = backbone(images_BCHW)
        for select in get_args(Select):
            selected = selected_parameters(backbone, select)
            chosen = [p for parameters in selected.values() for p in parameters]
            kept = [parameter.clone() for parameter in chosen]
            for parameter in chosen:
                parameter.add_(0.01)
            assert not torch.equal(backbone(images_BCHW), plain_BD), select
            for parameter, before in zip(chosen, kept, strict=True):
                parameter.copy_(before)
            assert torch.equal(backbone(images_BCHW), plain_BD), select
