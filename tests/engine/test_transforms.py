"""Preprocessing is the backbone's own; augmentation hangs on seed, epoch and image alone."""

from collections.abc import Callable

import pytest
import timm
import torch
from PIL import Image

from engine.data.decode import decode_image
from engine.data.transforms import EvalTransform, TrainTransform
from engine.models.catalogue import backbone_record
from engine.spec import Augmentation, Fit, ImageSpec
from tests.conftest import CLIPART
from tests.engine.pictures import quarters

LITE0 = backbone_record("efficientnet_lite0")
AUGMENTED: list[Augmentation] = ["flip", "standard"]
RANDOM = 8  # draws; that all of them agree by chance has a probability below 1 in 100


def train_transform(augmentation: Augmentation, fit: Fit = "squash") -> TrainTransform:
    return TrainTransform(ImageSpec(size=64, fit=fit, augmentation=augmentation), LITE0)


def timm_transform() -> Callable[[Image.Image], torch.Tensor]:
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    config = timm.data.resolve_data_config({}, model=model)
    return timm.data.create_transform(**config)  # type: ignore[no-any-return]


def test_the_catalogue_says_what_timm_says() -> None:
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    config = timm.data.resolve_data_config({}, model=model)
    assert config["mean"] == LITE0.mean
    assert config["std"] == LITE0.std
    assert config["interpolation"] == LITE0.interpolation
    assert config["crop_pct"] == LITE0.crop_fraction
    assert config["input_size"] == (3, LITE0.default_size, LITE0.default_size)


@pytest.mark.parametrize("name", ["birds", "bugs", "fruit", "vehicles"])
def test_evaluation_equals_timms_own_preprocessing(name: str) -> None:
    ours = EvalTransform(ImageSpec(size=224, fit="crop"), LITE0)
    theirs = timm_transform()
    differences = {}
    for file in sorted((CLIPART / "val" / name).iterdir()):
        picture = decode_image(file)
        differences[file.name] = float((ours(picture, ()) - theirs(picture)).abs().max())
    far_off = {file: difference for file, difference in differences.items() if difference > 1e-5}
    assert not far_off


def test_evaluation_is_normalised_and_ignores_the_seed() -> None:
    transform = EvalTransform(ImageSpec(size=64, fit="squash"), LITE0)
    image_CHW = transform(Image.new("RGB", (80, 70), (0, 255, 51)), (1, 2, 3))
    assert image_CHW.dtype == torch.float32
    assert image_CHW.shape == (3, 64, 64)
    expected = torch.tensor([-1.0, 1.0, -0.6]).view(3, 1, 1).expand(3, 64, 64)
    torch.testing.assert_close(image_CHW, expected)
    picture = quarters()
    assert torch.equal(transform(picture, (0, 1, 1)), transform(picture, (9, 9, 9)))


def test_without_augmentation_training_sees_what_evaluation_sees() -> None:
    spec = ImageSpec(size=64, fit="squash", augmentation="none")
    train, evaluation = TrainTransform(spec, LITE0), EvalTransform(spec, LITE0)
    assert torch.equal(train(quarters(), (0, 1, 2)), evaluation(quarters(), ()))
    assert train.decode_size == evaluation.decode_size


@pytest.mark.parametrize("augmentation", AUGMENTED)
def test_the_same_seed_gives_the_same_change(augmentation: Augmentation) -> None:
    transform = train_transform(augmentation)
    for position in range(RANDOM):
        first = transform(quarters(), (0, 1, position))
        torch.manual_seed(position)
        torch.rand(7)
        assert torch.equal(transform(quarters(), (0, 1, position)), first)


@pytest.mark.parametrize("augmentation", AUGMENTED)
@pytest.mark.parametrize("varied", [0, 1, 2], ids=["seed", "epoch", "position"])
def test_seed_epoch_and_position_each_change_the_picture(
    augmentation: Augmentation, varied: int
) -> None:
    transform = train_transform(augmentation)
    seen = []
    for value in range(RANDOM):
        key = [0, 1, 2]
        key[varied] = value
        seen.append(transform(quarters(), tuple(key)))
    assert any(not torch.equal(image, seen[0]) for image in seen)


@pytest.mark.parametrize("augmentation", AUGMENTED)
def test_the_global_generator_is_left_alone(augmentation: Augmentation) -> None:
    transform = train_transform(augmentation)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for position in range(3):
        transform(quarters(), (0, 1, position))
    assert torch.equal(torch.get_rng_state(), before)


def test_flip_mirrors_about_half_of_the_pictures_and_changes_nothing_else() -> None:
    transform = train_transform("flip")
    plain = EvalTransform(ImageSpec(size=64, fit="squash"), LITE0)(quarters(), ())
    mirrored = plain.flip(-1)
    assert not torch.equal(plain, mirrored)
    flipped = 0
    for position in range(60):
        image = transform(quarters(), (0, 1, position))
        is_mirrored = torch.equal(image, mirrored)
        assert is_mirrored or torch.equal(image, plain)
        flipped += is_mirrored
    assert 15 <= flipped <= 45


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_standard_keeps_size_and_range(fit: Fit) -> None:
    transform = train_transform("standard", fit)
    for position in range(RANDOM):
        image_CHW = transform(quarters(400, 300), (0, 1, position))
        assert image_CHW.shape == (3, 64, 64)
        assert float(image_CHW.abs().max()) <= 1.0 + 1e-6


def test_augmented_pictures_are_decoded_large_enough_for_the_crop() -> None:
    spec = ImageSpec(size=64, fit="crop", augmentation="standard")
    assert TrainTransform(spec, LITE0).decode_size >= 1.15 * 64 / 0.875 - 1
