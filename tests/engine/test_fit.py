"""Crop, squash and pad: what of a picture ends up in the square, and where."""

import time

import numpy as np
import pytest
from PIL import Image

from engine.data.fit import fit_picture
from engine.models.catalogue import backbone_record
from engine.spec import Fit
from tests.engine.pictures import BLUE, GREEN, RED, corners, near

LITE0 = backbone_record("efficientnet_lite0")
SIZE = 56  # 56 / 0.875 = 64: crop shows the inner 7/8 of the shorter side.
GREY = (128, 128, 128)


def fitted(picture: Image.Image, fit: Fit, size: int = SIZE) -> Image.Image:
    return fit_picture(picture, size, fit, LITE0)


def three_bands(horizontal: bool) -> Image.Image:
    """Red, green and blue beside each other, 300 by 100 px; or below each other, 100 by 300."""
    picture = Image.new("RGB", (300, 100), GREEN)
    picture.paste(RED, (0, 0, 100, 100))
    picture.paste(BLUE, (200, 0, 300, 100))
    return picture if horizontal else picture.transpose(Image.Transpose.ROTATE_270)


def share(square: Image.Image, colour: tuple[int, int, int]) -> float:
    close = np.abs(np.asarray(square, dtype=int) - colour).max(axis=2) < 60
    return float(close.mean())


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize(
    "shape", [(300, 200), (200, 300), (57, 57), (20, 20), (1, 1), (1000, 3), (3, 1000), (97, 64)]
)
def test_the_result_is_always_the_square(fit: Fit, shape: tuple[int, int]) -> None:
    square = fitted(Image.new("RGB", shape, RED), fit)
    assert square.size == (SIZE, SIZE)
    assert square.mode == "RGB"


@pytest.mark.parametrize("horizontal", [True, False])
def test_crop_keeps_the_middle_and_the_shape(horizontal: bool) -> None:
    square = fitted(three_bands(horizontal), "crop")
    assert share(square, GREEN) == 1.0


def test_crop_shows_seven_eighths_of_the_shorter_side() -> None:
    picture = Image.new("RGB", (128, 128), GREEN)
    picture.paste(RED, (0, 0, 128, 4))  # an eighth of a side is cut off, a sixteenth at each end
    assert share(fitted(picture, "crop"), RED) == 0.0
    picture.paste(RED, (0, 0, 128, 8 + 8))
    assert share(fitted(picture, "crop"), RED) == pytest.approx(8 / 112, abs=0.02)


def test_crop_is_centred() -> None:
    picture = Image.new("RGB", (256, 128), GREEN)
    picture.paste(RED, (0, 0, 128, 128))
    assert share(fitted(picture, "crop"), RED) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 65_000), (65_000, 1), (40, 2000), (2001, 40)])
def test_the_middle_of_a_very_long_picture_is_cropped_in_no_time(shape: tuple[int, int]) -> None:
    picture = Image.new("RGB", shape, RED)
    middle = [side // 2 for side in shape]
    reach = min(shape)
    picture.paste(
        GREEN, (middle[0] - reach, middle[1] - reach, middle[0] + reach, middle[1] + reach)
    )
    started = time.process_time()
    assert share(fitted(picture, "crop"), GREEN) == 1.0
    assert time.process_time() - started < 5


@pytest.mark.parametrize("horizontal", [True, False])
def test_squash_shows_everything_distorted(horizontal: bool) -> None:
    square = fitted(three_bands(horizontal), "squash")
    for colour in (RED, GREEN, BLUE):
        assert share(square, colour) == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("horizontal", [True, False])
def test_pad_shows_everything_in_shape_between_grey_bars(horizontal: bool) -> None:
    square = fitted(three_bands(horizontal), "pad", size=60)
    assert share(square, GREY) == pytest.approx(2 / 3, abs=0.03)
    for colour in (RED, GREEN, BLUE):
        assert share(square, colour) == pytest.approx(1 / 9, abs=0.02)
    assert all(near(corner, GREY, tolerance=0) for corner in corners(square))
    middle = square.crop((0, 20, 60, 40) if horizontal else (20, 0, 40, 60))
    assert share(middle, GREY) == 0.0


def test_pad_colour_is_zero_after_normalisation() -> None:
    square = fitted(Image.new("RGB", (300, 100), RED), "pad")
    top = np.asarray(square, dtype=float)[0, 0] / 255
    normalised = (top - np.array(LITE0.mean)) / np.array(LITE0.std)
    assert np.abs(normalised).max() < 0.005


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_nothing_is_flipped(fit: Fit) -> None:
    picture = Image.new("RGB", (100, 100), GREEN)
    picture.paste(RED, (0, 0, 40, 40))
    picture.paste(BLUE, (60, 0, 100, 40))
    found = corners(fitted(picture, fit))
    assert all(near(c, e) for c, e in zip(found, [RED, BLUE, GREEN, GREEN], strict=True)), found
