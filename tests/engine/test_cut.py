"""A backbone in two parts gives what it gives in one."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.models.backbone import Backbone, build_backbone
from engine.models.cut import Cut, CutError, as_inputs
from engine.training.features import find_cut, weights_digest

NAMES = (
    "efficientnet_lite0",
    "torchvision/resnet18",
    "torchvision/densenet121",
    "torchvision/swin_t",
    "torchvision/squeezenet1_1",
    "torchvision/shufflenet_v2_x0_5",
    "timm/mobilenetv4_conv_small",
)


LAST = ("layer3", "layer4")


def built(name: str = "torchvision/resnet18") -> tuple[Backbone, Tensor]:
    backbone = build_backbone(name, 64, "random").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, 64, 64, generator=generator)
    return backbone.eval(), images.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_both_parts_together_are_the_whole_at_every_stage(name: str) -> None:
    backbone, images = built(name)
    more = images.flip(0).repeat(2, 1, 1, 1)
    whole = backbone(more)
    for stage in [*list(backbone.stages)[1:], None]:
        cut = Cut(backbone, stage, images)
        inputs = cut.before(more)
        stored = inputs.permute(cut.axes).contiguous()
        assert stored.shape == (6, *cut.shape)
        assert torch.equal(cut.after(as_inputs(stored, cut.axes)), whole), stage


def test_only_the_second_part_runs_and_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, images = built()
    cut = Cut(backbone, "layer3", images)
    inputs = cut.before(images).detach()
    names = {module: name for name, module in backbone.network.named_modules()}
    ran: list[str] = []
    real = nn.Conv2d._conv_forward

    def note(self: nn.Conv2d, *args: Any) -> Tensor:
        ran.append(names[self])
        return real(self, *args)

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", note)
    backbone.requires_grad_(True)
    backbone.zero_grad()
    cut.after(inputs).sum().backward()
    assert ran == [
        name for m, name in names.items() if isinstance(m, nn.Conv2d) and name[:6] in LAST
    ]
    learnt = {name for name, p in backbone.network.named_parameters() if p.grad is not None}
    assert learnt == {n for n, _ in backbone.network.named_parameters() if n[:6] in LAST}
    assert cut.stages_before == {"stem", "layer1", "layer2"}


def test_gradients_are_those_of_the_whole() -> None:
    backbone, images = built()
    whole = copy.deepcopy(backbone)
    cut = Cut(backbone, "layer4", images)
    cut.after(cut.before(images).detach()).square().sum().backward()
    whole(images).square().sum().backward()
    for part, other in zip(
        backbone.network.layer4.parameters(), whole.network.layer4.parameters(), strict=True
    ):
        assert part.grad is not None
        assert torch.equal(part.grad, other.grad)


@torch.no_grad()
def test_a_copy_of_the_backbone_runs_the_second_part() -> None:
    backbone, images = built()
    cut = Cut(backbone, "layer4", images)
    average = copy.deepcopy(backbone)
    average.network.layer4[0].conv1.weight.mul_(1.5)
    inputs = cut.before(images)
    assert torch.equal(cut.after(inputs, average), average(images))
    assert not torch.equal(cut.after(inputs), average(images))


@torch.no_grad()
def test_the_backbone_is_left_as_it_was() -> None:
    backbone, images = built()
    backbone.train()
    backbone.network.layer1.eval()
    for number, parameter in enumerate(backbone.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    modes = [module.training for module in backbone.modules()]
    learns = [parameter.requires_grad for parameter in backbone.parameters()]
    state = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    cut = Cut(backbone, "layer3", images)
    cut.after(cut.before(images))
    assert [module.training for module in backbone.modules()] == modes
    assert [parameter.requires_grad for parameter in backbone.parameters()] == learns
    assert all(
        "forward" not in vars(module) and not module._forward_pre_hooks
        for module in backbone.modules()
    )
    assert all(
        torch.equal(state[name], tensor)
        for name, tensor in backbone.state_dict().items()
        if "batches" not in name and "running" not in name
    )


class Skipping(nn.Module):
    """Adds its first layer's output to its last one's: two tensors pass any cut but the first."""

    def __init__(self, whole: nn.Module):
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        first = self.whole.maxpool(self.whole.relu(self.whole.bn1(self.whole.conv1(x))))
        last = self.whole.layer4(self.whole.layer3(self.whole.layer2(self.whole.layer1(first))))
        return last.mean((2, 3)) + first.mean()


def test_what_hands_on_more_than_one_tensor_is_not_divided() -> None:
    backbone, images = built()
    skipping = Backbone(backbone.record, Skipping(backbone.network), backbone.origin)
    with pytest.raises(CutError):
        Cut(skipping, "layer3", images)


def test_a_cut_goes_down_to_where_it_can_be_and_is_worth_it() -> None:
    backbone, images = built("efficientnet_lite0")
    at = find_cut(backbone, "block6", images)
    assert at is not None
    assert at.stage == "block6"
    # What goes into the first blocks is larger than the pictures.
    assert find_cut(backbone, "block1", images) is None
    whole = find_cut(backbone, None, images)
    assert whole is not None
    assert whole.shape == (1280,)


def test_the_digest_of_weights_is_that_of_what_is_used_before_the_cut() -> None:
    backbone, _ = built()
    before = {stage: weights_digest(backbone, stage) for stage in ("layer3", "layer4", None)}
    assert len(set(before.values())) == 3
    with torch.no_grad():
        backbone.network.layer3[0].conv1.weight[0, 0, 0, 0] += 1e-6
    assert weights_digest(backbone, "layer3") == before["layer3"]
    assert weights_digest(backbone, "layer4") != before["layer4"]
    assert weights_digest(backbone, None) != before[None]
    stem = backbone.network.bn1
    stem.running_mean.add_(1e-6)
    assert weights_digest(backbone, "layer3") != before["layer3"]
