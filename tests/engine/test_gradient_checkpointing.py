"""What stages give is forgotten and computed again: the same numbers, with less memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import SpecError, TrainingError
from engine.events import Value
from engine.models.backbone import Backbone, build_backbone
from engine.models.gradient_checkpointing import forgetting
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

NAMES = (
    "efficientnet_lite0",
    "torchvision/resnet18",
    "torchvision/densenet121",
    "torchvision/swin_t",
    "timm/mobilenetv4_conv_small",
)
ON = {"training.gradient_checkpointing": True}


def built(name: str) -> tuple[Backbone, Tensor]:
    size = 64
    backbone = build_backbone(name, size, "random").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    return backbone.train(), images.to(memory_format=torch.channels_last)


def kept_bytes(backbone: Backbone, images: Tensor) -> int:
    """Returns how much a forward pass keeps for the way back, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        backbone(images)
    return sum(kept.values())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_and_statistics_are_the_same_bit_for_bit(name: str) -> None:
    results: list[dict[str, Tensor]] = []
    for forgets in (False, True):
        backbone, images = built(name)
        torch.manual_seed(3)  # of dropout and stochastic depth
        if forgets:
            with forgetting(backbone):
                features = backbone(images)
        else:
            features = backbone(images)
        features.square().mean().backward()
        gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
        results.append({**backbone.state_dict(), **{f"grad {n}": g for n, g in gradients.items()}})
        assert not any("forward" in module.__dict__ for module in backbone.modules())
    plain, forgetful = results
    assert plain.keys() == forgetful.keys()
    assert any(name.startswith("grad ") for name in plain)
    for key, tensor in plain.items():
        assert torch.equal(tensor, forgetful[key]), key


@pytest.mark.parametrize("name", ["efficientnet_lite0", "torchvision/resnet18"])
def test_less_is_kept_for_the_way_back(name: str) -> None:
    backbone, images = built(name)
    plain = kept_bytes(backbone, images)
    with forgetting(backbone):
        forgetful = kept_bytes(backbone, images)
    assert forgetful < plain / 2


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy.name": "full", "model.dropout": 0.2},
        {"strategy.name": "full", "training.accumulation": 2, "model.stochastic_depth": 0.2},
        {"strategy.name": "partial", "strategy.last_stages": 3},
        {"strategy.name": "gradual", "training.ema_decay": 0.9},
        {"strategy.name": "lora"},
        {"strategy.name": "frozen", "images.augmentation": "flip"},
    ],
    ids=lambda settings: settings["strategy.name"],
)
def test_a_run_has_the_same_numbers(
    tiny_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    told: list[list[Mapping[str, Value]]] = []
    for name, more in (("plain", {}), ("forgetful", ON)):
        folder = tmp_path / name
        folder.mkdir()
        recorder = Recorder()
        train(tiny_spec(tiny_folder, settings | more), folder, recorder)
        told.append([event.values for event in recorder.of_kind("epoch")])
    for plain, forgetful in zip(*told, strict=True):
        for metric in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            assert plain[metric] == forgetful[metric], metric


def test_stages_are_computed_again_on_the_way_back(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = nn.Conv2d.forward

    def note(self: nn.Conv2d, inputs: Tensor) -> Tensor:
        if torch.is_grad_enabled() and inputs.shape[0] > 2:
            calls.append(self)
        return real(self, inputs)

    monkeypatch.setattr(nn.Conv2d, "forward", note)
    counts = []
    for name, more in (("plain", {}), ("forgetful", ON)):
        calls.clear()
        (tmp_path / name).mkdir()
        spec = tiny_spec(tiny_folder, {"strategy.name": "full", "training.epochs": 1} | more)
        train(spec, tmp_path / name, Recorder())
        counts.append(len(calls))
    assert 1.5 * counts[0] < counts[1] <= 2 * counts[0]


class _Overwriting(nn.Module):
    """A stage that changes what it is given."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor) -> Tensor:
        return self.inner(inputs.mul_(2.0))  # type: ignore[no-any-return]


def test_a_stage_that_overwrites_its_input_is_refused() -> None:
    backbone, images = built("torchvision/resnet18")
    layer = backbone.network.layer2
    layer[0] = _Overwriting(layer[0])
    told = pytest.raises(TrainingError, match="overwrites its own intermediate results")
    with told, forgetting(backbone):
        backbone(images)


def test_it_does_not_go_with_compiling(tiny_folder: Path) -> None:
    with pytest.raises(SpecError, match="do not go together; switch one of them off"):
        tiny_spec(tiny_folder, ON | {"training.compile": True})
