"""A person's own file of weights: taken where it fits, reported, and never half-loaded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from engine.errors import WeightsError
from engine.models.backbone import build_backbone
from engine.models.classifier import build_classifier
from engine.models.weights_files import checkpoint_facts
from engine.spec import ModelSpec
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader
from tests.engine.specs import tiny_spec

NAME = "torchvision/squeezenet1_1"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def five_classes() -> Tensors:
    torch.manual_seed(5)
    return dict(models.squeezenet1_1(weights=None, num_classes=5).state_dict())


def backbone_of(file: Path, name: str = NAME) -> Any:
    return build_backbone(name, 64, str(file))


def assert_taken(backbone: Any, tensors: Tensors) -> None:
    taken = backbone.network.state_dict()
    assert taken
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in taken.items())


def test_a_state_dict_of_another_class_count_gives_its_backbone(
    five_classes: Tensors, tmp_path: Path
) -> None:
    torch.save(five_classes, tmp_path / "mine.pth")
    backbone = backbone_of(tmp_path / "mine.pth")
    assert_taken(backbone, five_classes)
    report = backbone.origin.match
    assert report.left_out == ("classifier.1.weight", "classifier.1.bias")
    assert report.num_matched == report.num_expected == len(five_classes) - 2
    assert "classifier.1.weight" in backbone.origin.sentence
    assert f"{report.num_matched} of the backbone's {report.num_expected}" in report.sentence()


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "backbone."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_wrappers_of_training_scripts_are_seen_through(
    five_classes: Tensors, tmp_path: Path, prefix: str, wrapper: str | None
) -> None:
    renamed: Any = {prefix + name: tensor for name, tensor in five_classes.items()}
    torch.save(renamed if wrapper is None else {wrapper: renamed, "epoch": 3}, tmp_path / "m.pth")
    assert_taken(backbone_of(tmp_path / "m.pth"), five_classes)


def test_safetensors_are_read(five_classes: Tensors, tmp_path: Path) -> None:
    save_file(five_classes, tmp_path / "mine.safetensors")
    assert_taken(backbone_of(tmp_path / "mine.safetensors"), five_classes)


def test_a_checkpoint_of_thaw_gives_its_backbone_and_name(tmp_path: Path) -> None:
    spec = ModelSpec(backbone=NAME, weights="random")
    model = build_classifier(spec, num_classes=2, seed=3, size=64)
    run = tiny_spec("photos").model_copy(update={"model": spec})
    best = BestCheckpoint(tmp_path / "best.safetensors", model)
    scale = (0.5, 0.5, 0.5)
    spec_data = run.model_dump(mode="json")
    best.take(CheckpointHeader(spec_data, ("a", "b"), 1, 0.5, scale, scale), frozenset())
    best.write()
    facts = checkpoint_facts(str(best.file))
    assert facts is not None
    assert (facts.backbone, facts.size) == (model.backbone.record.name, 64)
    assert facts.mean == facts.std == scale
    backbone = backbone_of(best.file)
    assert_taken(backbone, dict(model.backbone.network.state_dict()))
    assert set(backbone.origin.match.left_out) == {"head.1.weight", "head.1.bias"}


def test_any_other_file_names_no_backbone(five_classes: Tensors, tmp_path: Path) -> None:
    save_file(five_classes, tmp_path / "mine.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    for name in ("mine.safetensors", "text.safetensors", "gone.safetensors", "x" * 300):
        assert checkpoint_facts(str(tmp_path / name)) is None
    assert checkpoint_facts("~nosuchuser/a.safetensors") is None


def test_a_file_of_another_backbone_is_refused_with_what_did_not_match(
    five_classes: Tensors, tmp_path: Path
) -> None:
    torch.save(dict(models.resnet18(weights=None).state_dict()), tmp_path / "resnet.pth")
    with pytest.raises(WeightsError) as caught:
        backbone_of(tmp_path / "resnet.pth")
    said = str(caught.value)
    assert "does not fit torchvision/squeezenet1_1" in said
    assert "0 of the backbone's" in said
    assert "missing" in said


@pytest.mark.parametrize("fault", ["missing", "misshapen"])
def test_one_tensor_that_does_not_fit_is_enough(
    five_classes: Tensors, tmp_path: Path, fault: str
) -> None:
    if fault == "missing":
        del five_classes["features.4.squeeze.bias"]
    else:
        five_classes["features.4.squeeze.bias"] = torch.zeros(3)
    torch.save(five_classes, tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"features\.4\.squeeze\.bias"):
        backbone_of(tmp_path / "mine.pth")


def test_a_file_made_for_another_picture_size_is_refused_with_the_size(tmp_path: Path) -> None:
    name = "timm/vit_tiny_patch16_224"
    torch.save(build_backbone(name, 160, "random").network.state_dict(), tmp_path / "vit.pth")
    assert build_backbone(name, 160, str(tmp_path / "vit.pth")).origin.match is not None
    with pytest.raises(WeightsError, match=r"pos_embed.*other picture sizes.*at 96 px"):
        build_backbone(name, 96, str(tmp_path / "vit.pth"))
