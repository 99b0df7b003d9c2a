"""The bundled backbone is the real pre-trained network, cut into stages that add up to it."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from engine.data.decode import decode_image
from engine.errors import WeightsError
from engine.models.backbone import Backbone, build_backbone
from engine.models.catalogue import backbone_record
from engine.models.weights import load_in_order
from engine.models.weights_files import weights_file
from tests.conftest import CLIPART

LITE0 = backbone_record("efficientnet_lite0")

# Of validation pictures: the four ImageNet classes of the highest logits, and those logits, as the
# published weights give them on the published architecture with the published preprocessing.
KNOWN_LOGITS = {
    "beverages/teacup_bw.jpg": {968: 8.0771, 504: 5.7744, 967: 5.4857, 969: 4.9593},
    "beverages/mug.jpg": {504: 8.0105, 968: 7.1947, 899: 6.6035, 438: 5.9044},
    "birds/plush_tux_anita_01.jpg": {145: 7.9609, 680: 6.1376, 836: 4.6703, 804: 4.2705},
    "fruit/strawberry_jonathan_diet_01.jpg": {949: 8.0577, 790: 4.8192, 945: 4.5425, 641: 3.8922},
    "vehicles/old_car_lumen_design_st_r.jpg": {751: 8.6681, 817: 7.6260, 864: 5.4586, 511: 5.3607},
}
WHAT_IT_SHOWS = {
    "beverages/teacup_bw.jpg": "cup",
    "beverages/mug.jpg": "coffee mug",
    "birds/plush_tux_anita_01.jpg": "king penguin",
    "fruit/strawberry_jonathan_diet_01.jpg": "strawberry",
    "vehicles/old_car_lumen_design_st_r.jpg": "racer",
}


@pytest.fixture(scope="module")
def network() -> Any:
    """timm's whole network, classifier included, with the bundled weights."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    file = weights_file(LITE0)
    assert file is not None
    load_in_order(network, file)
    return network.eval()


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build_backbone("efficientnet_lite0").eval()


@pytest.fixture(scope="module")
def images_BCHW() -> Tensor:
    """The pictures of KNOWN_LOGITS, preprocessed by timm."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    return torch.stack([transform(decode_image(CLIPART / "val" / file)) for file in KNOWN_LOGITS])


@torch.inference_mode()
def test_known_logits_of_real_pictures(network: Any, images_BCHW: Tensor) -> None:
    for logits_K, (file, known) in zip(network(images_BCHW), KNOWN_LOGITS.items(), strict=True):
        highest = logits_K.topk(len(known))
        assert highest.indices.tolist() == list(known), file
        assert highest.values.tolist() == pytest.approx(list(known.values()), rel=1e-3), file


@torch.inference_mode()
def test_the_top_class_is_what_the_picture_shows(network: Any, images_BCHW: Tensor) -> None:
    names = timm.data.ImageNetInfo()
    for logits_K, (file, shown) in zip(network(images_BCHW), WHAT_IT_SHOWS.items(), strict=True):
        assert shown in names.index_to_description(int(logits_K.argmax())), file


@torch.inference_mode()
def test_features_are_timms_pooled_features(
    network: Any, backbone: Backbone, images_BCHW: Tensor
) -> None:
    expected_BD = network.global_pool(network.forward_features(images_BCHW))
    features_BD = backbone(images_BCHW)
    assert features_BD.shape == (len(images_BCHW), LITE0.num_features)
    torch.testing.assert_close(features_BD, expected_BD, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("size", [64, 97, 160])
def test_other_sizes_give_the_same_number_of_features(backbone: Backbone, size: int) -> None:
    assert backbone(torch.zeros(2, 3, size, size)).shape == (2, LITE0.num_features)


def test_stage_parameter_counts_are_the_models(backbone: Backbone) -> None:
    counted = {
        name: sum(parameter.numel() for parameter in backbone.stage_parameters(name))
        for name in backbone.stages
    }
    assert counted == {stage.name: stage.num_parameters for stage in LITE0.stages}
    assert tuple(counted) == LITE0.stage_names
    assert LITE0.num_parameters == sum(counted.values())


def test_stages_partition_the_backbones_parameters(network: Any, backbone: Backbone) -> None:
    in_stages = [id(p) for name in backbone.stages for p in backbone.stage_parameters(name)]
    assert len(set(in_stages)) == len(in_stages)
    assert set(in_stages) == {id(parameter) for parameter in backbone.parameters()}
    classifier = sum(parameter.numel() for parameter in network.classifier.parameters())
    everything = sum(parameter.numel() for parameter in network.parameters())
    assert everything - classifier == LITE0.num_parameters


def test_stages_carry_every_tensor_of_the_network(network: Any, backbone: Backbone) -> None:
    theirs = [t for name, t in network.state_dict().items() if not name.startswith("classifier")]
    ours = list(backbone.state_dict().values())
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def refused(model: nn.Module, file: Path) -> str:
    """The refusal's message; not one tensor of the model may have changed."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_in_order(model, file)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    return str(caught.value)


@pytest.fixture
def fresh() -> nn.Module:
    return timm.create_model("tf_efficientnet_lite0", pretrained=False)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_a_truncated_weights_file_is_refused(fresh: nn.Module, tmp_path: Path, kept: float) -> None:
    published = weights_file(LITE0)
    assert published is not None
    whole = published.read_bytes()
    file = tmp_path / "cut.pth"
    file.write_bytes(whole[: int(len(whole) * kept)])
    assert "cannot be read" in refused(fresh, file)


def test_weights_of_another_network_are_refused(fresh: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save(timm.create_model("tf_efficientnet_lite1", pretrained=False).state_dict(), file)
    assert "does not fit EfficientNet" in refused(fresh, file)


def test_one_tensor_of_another_shape_is_enough(fresh: nn.Module, tmp_path: Path) -> None:
    weights = fresh.state_dict()
    weights["classifier.bias"] = torch.zeros(10)
    file = tmp_path / "ten-classes.pth"
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, file)
    assert "does not fit EfficientNet" in refused(fresh, file)


def test_a_file_that_holds_no_tensors_is_refused(fresh: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "numbers.pth"
    torch.save({"epoch": 3, "state_dict": {}}, file)
    assert refused(fresh, file)


class Intruder:
    """Runs a command when it is unpickled without care."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def test_a_weights_file_cannot_run_programs(fresh: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "intruder.pth"
    torch.save({"conv": Intruder(tmp_path / "intruded")}, file)
    assert "cannot be read" in refused(fresh, file)
    assert not (tmp_path / "intruded").exists()
