"""Pictures reach each backbone as its own library would prepare them."""

from collections.abc import Callable

import pytest
import timm
import torch
from PIL import Image
from torchvision import models

from engine.data.decode import decode_image
from engine.data.scale import UNIT, known_scale, scale_warning
from engine.data.transforms import EvalTransform
from engine.models.catalogue import BackboneRecord, backbone_record
from engine.spec import Fit, ImageSpec
from tests.conftest import CLIPART

PICTURES = sorted((CLIPART / "val").glob("*/*"))[::8]
BACKBONES = (
    "torchvision/mobilenet_v2.IMAGENET1K_V2",
    "torchvision/resnet50.IMAGENET1K_V1",
    "torchvision/resnet50.IMAGENET1K_V2",
    "torchvision/vit_b_16.IMAGENET1K_SWAG_E2E_V1",
    "torchvision/efficientnet_b3",
    "torchvision/swin_v2_t",
    "timm/resnet50.a1_in1k",
    "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "timm/convnext_tiny.in12k_ft_in1k",
    "timm/mobilenetv3_large_100.ra_in1k",
    "timm/beitv2_base_patch16_224.in1k_ft_in22k_in1k",
    "timm/eva02_tiny_patch14_336.mim_in22k_ft_in1k",
)
# Where torchvision rescales, subtracts and divides in another order: single-precision rounding.
ROUNDING = 1e-5


def library_transform(record: BackboneRecord) -> Callable[[Image.Image], torch.Tensor]:
    if record.library == "torchvision":
        return models.get_model_weights(record.architecture)[record.tag].transforms()  # type: ignore[no-any-return]
    cfg = timm.models.get_pretrained_cfg(f"{record.architecture}.{record.tag}")
    config = timm.data.resolve_data_config(pretrained_cfg=cfg.to_dict())
    return timm.data.create_transform(**config)  # type: ignore[no-any-return]


def test_the_pictures_differ_in_shape() -> None:
    shapes = {decode_image(file).size for file in PICTURES}
    assert len(PICTURES) >= 10
    assert len(shapes) >= 8


@pytest.mark.parametrize("name", BACKBONES)
def test_evaluation_is_the_librarys_own(name: str) -> None:
    record = backbone_record(name)
    fit: Fit = "squash" if record.own_fit == "squash" else "crop"
    ours = EvalTransform(ImageSpec(size=record.default_size, fit=fit), record)
    theirs = library_transform(record)
    far_off = {}
    for file in PICTURES:
        picture = decode_image(file)
        difference = float((ours(picture, ()) - theirs(picture)).abs().max())
        if difference > ROUNDING:
            far_off[file.name] = difference
    assert not far_off


def test_inceptions_own_normalisation_is_the_librarys_two_in_one() -> None:
    """torchvision normalises with ImageNet's mean and turns that into -1..1 inside the network."""
    record = backbone_record("torchvision/inception_v3")
    theirs = models.get_model_weights("inception_v3").DEFAULT.transforms()
    inside = models.inception_v3(weights=None, init_weights=False, transform_input=True)
    ours = EvalTransform(ImageSpec(size=299, fit="crop"), record)
    for file in PICTURES[:4]:
        picture = decode_image(file)
        expected_BCHW = inside._transform_input(theirs(picture).unsqueeze(0))
        torch.testing.assert_close(ours(picture, ())[None], expected_BCHW, rtol=0, atol=1e-5)


def test_rescale_gives_zero_to_one_and_no_more() -> None:
    record = backbone_record("torchvision/resnet50")
    spec = ImageSpec(size=64, fit="squash", normalisation="rescale")
    image_CHW = EvalTransform(spec, record)(Image.new("RGB", (70, 70), (0, 255, 51)), ())
    expected = torch.tensor([0.0, 1.0, 0.2]).view(3, 1, 1).expand(3, 64, 64)
    torch.testing.assert_close(image_CHW, expected)
    assert known_scale(spec, record) == UNIT


def test_bars_are_zero_after_normalisation_whatever_the_scale() -> None:
    record = backbone_record("torchvision/resnet50")
    for normalisation in ("backbone", "rescale"):
        spec = ImageSpec.parse({"size": 64, "fit": "pad", "normalisation": normalisation})
        image_CHW = EvalTransform(spec, record)(Image.new("RGB", (100, 20), "white"), ())
        assert image_CHW[:, 0, :].abs().max() < 0.02


@pytest.mark.parametrize(
    ("normalisation", "name", "warns"),
    [
        ("backbone", "torchvision/resnet50", False),
        ("rescale", "torchvision/resnet50", True),
        ("dataset", "torchvision/resnet50", True),
        ("rescale", "efficientnet_lite0", True),
        ("rescale", "timm/mobilevit_s", False),  # pre-trained on 0..1
    ],
)
def test_a_scale_that_departs_from_the_pre_training_is_warned_of(
    normalisation: str, name: str, warns: bool
) -> None:
    record = backbone_record(name)
    warning = scale_warning(ImageSpec.parse({"normalisation": normalisation}), record)
    assert bool(warning) == warns
    if warns:
        assert f"{record.mean[0]:.3g}" in warning
    assert not scale_warning(ImageSpec.parse({"normalisation": normalisation}), record, "random")
