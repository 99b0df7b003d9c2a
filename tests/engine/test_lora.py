"""Adapters change nothing before they have learnt, only themselves after, and can be merged."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torchvision import models

from engine.models.backbone import Backbone, build_backbone
from engine.models.lora import (
    adaptable,
    adapter_parameters,
    adapters,
    add_adapters,
    lora_unit,
    merge_adapters,
    merged_state_dict,
)

RANK, SCALE, SEED = 4, 2.0, 3
NETWORKS = {
    "efficientnet_lite0": "pretrained",
    "torchvision/resnet18": "random",
    "timm/vit_tiny_patch16_224": "random",
}
# What merged and unmerged features may differ by, as a share of the largest feature.
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=NETWORKS)
def untouched(request: pytest.FixtureRequest) -> Backbone:
    name = request.param
    return build_backbone(name, weights=NETWORKS[name]).eval().requires_grad_(False)


@pytest.fixture
def adapted(untouched: Backbone) -> Backbone:
    backbone = copy.deepcopy(untouched)
    add_adapters(backbone.network, RANK, SCALE, SEED)
    return backbone


@pytest.fixture(scope="module")
def images_BCHW() -> Tensor:
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def step(backbone: Backbone, images_BCHW: Tensor) -> None:
    """Takes one optimiser step on the adapters alone."""
    optimiser = torch.optim.Adam(adapter_parameters(backbone), lr=0.01)
    backbone(images_BCHW).square().mean().backward()
    optimiser.step()


def difference(features_BD: Tensor, others_BD: Tensor) -> float:
    """The largest difference, as a share of the largest feature."""
    return float((features_BD - others_BD).abs().max() / others_BD.abs().max())


@torch.no_grad()
def test_outputs_are_identical_before_training(
    untouched: Backbone, adapted: Backbone, images_BCHW: Tensor
) -> None:
    assert adapters(adapted)
    assert torch.equal(adapted(images_BCHW), untouched(images_BCHW))


@torch.no_grad()
def test_outputs_are_identical_in_channels_last(
    untouched: Backbone, adapted: Backbone, images_BCHW: Tensor
) -> None:
    layout = torch.channels_last
    images_BCHW = images_BCHW.to(memory_format=layout)
    plain = copy.deepcopy(untouched).to(memory_format=layout)  # type: ignore[call-overload]
    adapted.to(memory_format=layout)  # type: ignore[call-overload]
    assert torch.equal(adapted(images_BCHW), plain(images_BCHW))


def test_a_step_changes_outputs_and_adapters_and_nothing_else(
    untouched: Backbone, adapted: Backbone, images_BCHW: Tensor
) -> None:
    step(adapted, images_BCHW)
    learnt = [adapter for _, adapter in adapters(adapted)]
    assert all(bool(adapter.B_OR.any()) for adapter in learnt)
    with torch.no_grad():
        assert not torch.equal(adapted(images_BCHW), untouched(images_BCHW))
    own = {n: list(adapted.stage_parameters(n)) for n in adapted.stages}
    for name, parameters in own.items():
        for ours, theirs in zip(parameters, untouched.stage_parameters(name), strict=True):
            assert torch.equal(ours, theirs)
            assert ours.grad is None
    for (name, ours), theirs in zip(adapted.named_buffers(), untouched.buffers(), strict=True):
        assert torch.equal(ours, theirs), name


def test_merged_and_unmerged_outputs_agree(
    untouched: Backbone, adapted: Backbone, images_BCHW: Tensor
) -> None:
    step(adapted, images_BCHW)
    with torch.no_grad():
        unmerged_BD = adapted(images_BCHW)
        assert difference(unmerged_BD, untouched(images_BCHW)) > 10 * TOLERANCE
        merge_adapters(adapted)
        merged_BD = adapted(images_BCHW)
    assert difference(merged_BD, unmerged_BD) < TOLERANCE


def test_merging_leaves_a_plain_network(untouched: Backbone, adapted: Backbone) -> None:
    merge_adapters(adapted)
    assert not adapters(adapted)
    assert not any(is_parametrized(module) for module in adapted.modules())
    assert [type(m) for m in adapted.modules()] == [type(m) for m in untouched.modules()]
    assert set(adapted.state_dict()) == set(untouched.state_dict())


def test_the_merged_state_dict_goes_into_a_fresh_backbone(
    untouched: Backbone, adapted: Backbone, images_BCHW: Tensor
) -> None:
    step(adapted, images_BCHW)
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    tensors = merged_state_dict(adapted)
    after = adapted.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(tensor.requires_grad for tensor in tensors.values())

    fresh = build_backbone(untouched.record.name, weights="random", seed=SEED).eval()
    fresh.load_state_dict(tensors, strict=True)
    with torch.no_grad():
        assert difference(fresh(images_BCHW), adapted(images_BCHW)) < TOLERANCE


def test_the_merged_state_dict_is_that_of_the_merged_network(adapted: Backbone) -> None:
    for parameter in adapter_parameters(adapted):
        nn.init.normal_(parameter, std=0.1)
    foreseen = {name: tensor.clone() for name, tensor in merged_state_dict(adapted).items()}
    merge_adapters(adapted)
    merged = adapted.state_dict()
    assert set(foreseen) == set(merged)
    assert all(torch.equal(foreseen[name], merged[name]) for name in merged)


def test_without_adapters_the_state_dict_is_the_networks_own(untouched: Backbone) -> None:
    own = untouched.state_dict()
    merged = merged_state_dict(untouched)
    assert list(merged) == list(own)
    assert all(merged[name].data_ptr() == own[name].data_ptr() for name in own)


def test_learnable_numbers_are_rank_times_the_unit(untouched: Backbone, adapted: Backbone) -> None:
    learnable = sum(parameter.numel() for parameter in adapter_parameters(adapted))
    assert learnable == RANK * lora_unit(untouched) == RANK * lora_unit(adapted)
    assert all(parameter.requires_grad for parameter in adapter_parameters(adapted))


def test_a_deep_copy_lives_by_itself(adapted: Backbone, images_BCHW: Tensor) -> None:
    copied = copy.deepcopy(adapted)
    with torch.no_grad():
        before_BD = adapted(images_BCHW)
        assert torch.equal(copied(images_BCHW), before_BD)
    step(copied, images_BCHW)
    merge_adapters(copied)
    with torch.no_grad():
        assert torch.equal(adapted(images_BCHW), before_BD)
        assert not torch.equal(copied(images_BCHW), before_BD)
    assert len(adapters(adapted)) == len(adaptable(adapted))


def test_stages_keep_their_parameters_and_name_their_adapters(
    untouched: Backbone, adapted: Backbone
) -> None:
    there = {id(parameter) for parameter in adapted.parameters()}
    theirs = {id(parameter) for parameter in adapter_parameters(adapted)}
    held = [id(p) for name in adapted.stages for p in adapted.stage_parameters(name)]
    assert set(held) == there - theirs
    assert len(held) == len(list(untouched.parameters()))
    of_stages = [id(p) for name in adapted.stages for p in adapted.stage_adapter_parameters(name)]
    assert sorted(of_stages) == sorted(theirs)
    names = [name for stage in adapted.stages for name in adapted.stage_tensor_names(stage)]
    assert sorted(names) == sorted(adapted.state_dict())


def test_an_adapter_belongs_to_the_stage_of_its_weight(adapted: Backbone) -> None:
    for name in adapted.stages:
        shapes = [p.shape for p in adapted.stage_adapter_parameters(name)]
        held = {id(parameter) for parameter in adapted.stage_parameters(name)}
        weights = [weight for weight, _ in adapters(adapted) if id(weight) in held]
        assert shapes == [
            shape
            for weight in weights
            for shape in ((RANK, weight[0].numel()), (len(weight), RANK))
        ]


def test_grouped_convolutions_get_none() -> None:
    backbone = build_backbone("efficientnet_lite0")
    convolutions = {m for m in backbone.modules() if isinstance(m, nn.Conv2d)}
    grouped = {convolution for convolution in convolutions if convolution.groups > 1}
    assert grouped
    add_adapters(backbone.network, RANK, SCALE, SEED)
    assert {m for m in convolutions if is_parametrized(m)} == convolutions - grouped
    assert not any(is_parametrized(module) for module in grouped)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_joint_projection_of_attention_has_one(mode: Callable[[], Any]) -> None:
    """In eval mode without gradients PyTorch's attention takes a path of its own."""
    network = models.VisionTransformer(32, 8, 2, 2, hidden_dim=16, mlp_dim=32).eval()
    network.heads = nn.Identity()
    images_BCHW = torch.randn(2, 3, 32, 32)
    with mode():
        plain_BK = network(images_BCHW)
    joint = [one.tensor for one in adaptable(network)].count("in_proj_weight")
    assert joint == 2
    add_adapters(network, RANK, SCALE, SEED)
    with mode():
        assert torch.equal(network(images_BCHW), plain_BK)
    for parameter in adapter_parameters(network):
        nn.init.normal_(parameter, std=0.1)
    with mode():
        unmerged_BK = network(images_BCHW)
        assert not torch.equal(unmerged_BK, plain_BK)
    merge_adapters(network)
    with mode():
        torch.testing.assert_close(network(images_BCHW), unmerged_BK)


def test_a_weight_that_two_layers_share_gets_none() -> None:
    network = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5))
    network[1].weight = network[0].weight
    assert [one.module for one in adaptable(network)] == [network[2]]


def test_the_seed_decides_the_adapters_and_the_global_generator_stays_as_it_was() -> None:
    def matrices(seed: int) -> list[Tensor]:
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 5))
        add_adapters(network, RANK, SCALE, seed)
        return [adapter.A_RI for _, adapter in adapters(network)]

    torch.manual_seed(1)
    first = matrices(7)
    second = matrices(7)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, matrices(8), strict=True))

    network = nn.Linear(8, 5)
    state = torch.get_rng_state()
    add_adapters(network, RANK, SCALE, SEED)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_change_is_the_scaled_product_of_both_matrices() -> None:
    network = nn.Conv2d(3, 8, 3)
    original = network.weight.detach().clone()
    add_adapters(network, RANK, SCALE, SEED)
    ((weight, adapter),) = adapters(network)
    nn.init.normal_(adapter.B_OR)
    product = torch.einsum("or,ri->oi", adapter.B_OR, adapter.A_RI).view(8, 3, 3, 3)
    torch.testing.assert_close(network.weight, original + SCALE * product)
    assert torch.equal(weight, original)


def test_a_layer_by_itself_can_be_merged() -> None:
    layer = nn.Linear(4, 3)
    add_adapters(layer, RANK, SCALE, SEED)
    assert set(merged_state_dict(layer)) == {"weight", "bias"}


def test_adapters_are_added_only_once() -> None:
    network = nn.Linear(4, 3)
    add_adapters(network, RANK, SCALE, SEED)
    with pytest.raises(ValueError, match="already"):
        add_adapters(network, RANK, SCALE, SEED)


def test_a_layer_learns_with_and_without_its_weight() -> None:
    """Freezing is the trainer's doing: adapters leave `requires_grad` as they find it."""
    for learns in (True, False):
        network = nn.Linear(4, 3)
        network.weight.requires_grad_(learns)
        add_adapters(network, RANK, SCALE, SEED)
        network(torch.ones(1, 4)).sum().backward()
        ((weight, adapter),) = adapters(network)
        assert (weight.grad is not None) == learns
        assert adapter.B_OR.grad is not None
