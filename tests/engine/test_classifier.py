"""Head, backbone and which of them learns."""

from typing import Any

import pytest
import torch
from torch import nn

from engine.models.catalogue import backbone_record, head_parameters
from engine.models.classifier import Classifier, build_classifier, build_head, count_parameters
from engine.spec import ModelSpec

LITE0 = backbone_record("efficientnet_lite0")


@pytest.fixture(scope="module")
def model() -> Classifier:
    return build_classifier(ModelSpec(), num_classes=3, seed=0)


@pytest.mark.parametrize("settings", [{}, {"head": "mlp"}, {"head": "mlp", "hidden_units": 20}])
def test_the_catalogue_knows_a_heads_size(settings: dict[str, Any]) -> None:
    spec = ModelSpec(**settings)
    head = build_head(spec, LITE0.num_features, 7)
    assert count_parameters(head) == head_parameters(
        spec.head, LITE0.num_features, spec.hidden_units, 7
    )


def test_mlp_has_one_hidden_layer_of_128_with_relu_and_dropout() -> None:
    head = build_head(ModelSpec(head="mlp", dropout=0.3), 1280, 7)
    linear = [module for module in head if isinstance(module, nn.Linear)]
    assert [(one.in_features, one.out_features) for one in linear] == [(1280, 128), (128, 7)]
    assert any(isinstance(module, nn.ReLU) for module in head)
    assert {module.p for module in head if isinstance(module, nn.Dropout)} == {0.3}


def test_heads_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(99)
    first = build_classifier(ModelSpec(), 3, seed=4).head.state_dict()
    torch.rand(10)
    again = build_classifier(ModelSpec(), 3, seed=4).head.state_dict()
    other = build_classifier(ModelSpec(), 3, seed=5).head.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["1.weight"], other["1.weight"])


def test_set_trainable_frees_the_named_stages_and_the_head(model: Classifier) -> None:
    model.set_trainable(("block7", "top"))
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning
    inside = model.backbone.stage_tensor_names("block7") | model.backbone.stage_tensor_names("top")
    assert all(
        name.startswith("head.") or name.removeprefix("backbone.") in inside for name in learning
    )
    expected = head_parameters("linear", LITE0.num_features, 128, 3) + sum(
        stage.num_parameters for stage in LITE0.stages if stage.name in {"block7", "top"}
    )
    assert count_parameters(model, trainable_only=True) == expected


def test_freezing_drops_old_gradients(model: Classifier) -> None:
    model.set_trainable(LITE0.stage_names)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model.set_trainable(("top",))
    for name in model.backbone.stages:
        parameters = model.backbone.stage_parameters(name)
        has_gradient = [parameter.grad is not None for parameter in parameters]
        assert all(has_gradient) if name == "top" else not any(has_gradient)
    model.zero_grad()


def test_frozen_stages_stay_in_eval_mode_after_train(model: Classifier) -> None:
    model.train_stages(("top",))
    for name in model.backbone.stages:
        for held in model.backbone.stage_modules(name):
            assert all(module.training == (name == "top") for module in held.modules()), name
    assert model.head.training
    model.eval()
