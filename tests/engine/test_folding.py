"""Norms that are folded for as long as a backbone only evaluates."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.events import Value
from engine.models import folding
from engine.models.backbone import Backbone, build_backbone
from engine.models.folding import Folds
from engine.models.lora import add_adapters
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

# How many norms follow a convolution directly, of how many: all, all but those before a
# convolution, or none.
NAMES = {
    "efficientnet_lite0": (49, 49),
    "torchvision/resnet18": (20, 20),
    "torchvision/mobilenet_v2": (52, 52),
    "torchvision/densenet121": (59, 121),
    "torchvision/swin_t": (0, 0),
    "timm/mobilenetv4_conv_small": (None, None),
}


def built(name: str = "torchvision/resnet18") -> tuple[Backbone, Tensor]:
    """A backbone whose norms have statistics that matter, and images."""
    backbone = build_backbone(name, 64, "random").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 3, 64, 64, generator=generator)
    images = images.to(memory_format=torch.channels_last)
    with torch.no_grad():
        backbone.train()(images)
    return backbone.eval(), images


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_folded_backbone_gives_the_same_and_is_left_as_it_was(name: str) -> None:
    backbone, images = built(name)
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    plain = backbone(images)
    folds = Folds(backbone, images[:2])
    norms = [one for one in backbone.modules() if isinstance(one, nn.BatchNorm2d)]
    asked, of = NAMES[name]
    assert len(folds.pairs) == (len(norms) if asked is None else asked)
    assert of is None or len(norms) == of
    with folds.applied(backbone):
        folded = backbone(images)
    torch.testing.assert_close(folded, plain, rtol=1e-4, atol=1e-5 * float(plain.abs().max()))
    after = backbone.state_dict()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    assert torch.equal(backbone(images), plain)
    assert not any("forward" in one.__dict__ for one in backbone.modules())


def test_norms_do_not_run_where_they_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, images = built()
    folds = Folds(backbone, images)
    ran: list[nn.Module] = []
    monkeypatch.setattr(nn.BatchNorm2d, "forward", lambda self, x: ran.append(self) or x)
    with folds.applied(backbone), torch.no_grad():
        backbone(images)
    assert not ran
    with torch.no_grad():
        backbone(images)
    assert len(ran) == 20


def test_a_norm_that_is_training_is_left_alone() -> None:
    backbone, images = built()
    folds = Folds(backbone, images)
    backbone.train_stages({"layer4"})
    top = backbone.network.layer4
    count = int(top[0].bn1.num_batches_tracked)
    with folds.applied(backbone):
        assert "forward" in backbone.network.bn1.__dict__
        assert "forward" not in top[0].bn1.__dict__
        backbone(images)
    assert int(top[0].bn1.num_batches_tracked) == count + 1


def test_an_error_in_between_puts_everything_back() -> None:
    backbone, images = built()
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    folds = Folds(backbone, images)
    with pytest.raises(RuntimeError, match="midway"), folds.applied(backbone):
        raise RuntimeError("midway")
    after = backbone.state_dict()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    assert (
        backbone.network.conv1.weight is dict(backbone.named_parameters())["network.conv1.weight"]
    )


class _Twice(nn.Module):
    """Uses what a convolution gives beside the norm, as no fold can."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        given: Tensor = self.inner.conv1(images)  # type: ignore[operator]
        normed: Tensor = self.inner.bn1(given)  # type: ignore[operator]
        return (given + normed).mean(dim=(2, 3))


def test_a_convolution_whose_output_is_used_twice_is_not_folded() -> None:
    backbone, images = built()
    backbone.network = _Twice(backbone.network)
    assert folding._pairs(backbone, images) == (("network.inner.conv1", "network.inner.bn1"),)
    assert Folds(backbone, images).pairs == ()


def test_a_layer_that_is_used_twice_is_not_folded() -> None:
    backbone, images = built()
    block = backbone.network.layer1
    block[1].bn1 = block[0].bn1
    pairs = Folds(backbone, images).pairs
    assert len(pairs) == 18
    assert not any("layer1.0.bn1" in name or "layer1.1.bn1" in name for _, name in pairs)


def test_layers_with_adapters_are_not_folded() -> None:
    backbone, images = built()
    add_adapters(backbone.network, rank=2, scale=1.0, seed=0)
    with torch.no_grad():
        plain = backbone(images)
        folds = Folds(backbone, images)
        with folds.applied(backbone):
            assert torch.allclose(backbone(images), plain, rtol=1e-4, atol=1e-4)
    assert len(folds.pairs) < 20


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy.name": "frozen"},
        {"strategy.name": "full"},
        {"strategy.name": "partial", "training.ema_decay": 0.9},
        {"strategy.name": "wise_ft"},
    ],
    ids=lambda settings: settings["strategy.name"],
)
def test_a_run_has_the_same_numbers_without_folds(
    tmp_path: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
) -> None:
    told: list[list[Mapping[str, Value]]] = []
    for name in ("folded", "plain"):
        monkeypatch.setenv("THAW_HOME", str(tmp_path / name))
        if name == "plain":
            monkeypatch.setattr(Folds, "__init__", _no_folds)
        folder = tmp_path / name / "run"
        folder.mkdir(parents=True)
        recorder = Recorder()
        train(tiny_spec(tiny_folder, {"optimiser.name": "sgd", **settings}), folder, recorder)
        told.append([event.values for event in recorder.events if event.kind == "epoch"])
    assert told[0]
    for folded, plain in zip(*told, strict=True):
        for metric in ("train/loss", "val/loss", "val/accuracy", "val/f1"):
            assert folded[metric] == pytest.approx(plain[metric], rel=1e-5, abs=1e-5), metric


@pytest.mark.parametrize("name", ["frozen", "full"])
def test_features_and_validation_are_computed_folded(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    on: list[bool] = []
    real = Folds.applied

    @contextmanager
    def applied(self: Folds, backbone: Backbone) -> Iterator[None]:
        with real(self, backbone):
            on.append(True)
            yield
            on.append(False)

    monkeypatch.setattr(Folds, "applied", applied)
    real_forward = Backbone.forward

    def forward(self: Backbone, images_BCHW: Tensor) -> Tensor:
        if len(images_BCHW) > 2 and not self.training:
            assert on[-1], "pictures were evaluated without folding"
        return real_forward(self, images_BCHW)

    monkeypatch.setattr(Backbone, "forward", forward)
    train(tiny_spec(tiny_folder, {"strategy.name": name}), tmp_path, Recorder())
    assert on.count(False) == on.count(True) > 0


def _no_folds(self: Folds, backbone: Backbone, images_BCHW: Tensor) -> None:
    self.pairs = ()
