"""A picture of any mode as RGB, some rows at a time, so that a large one takes no more memory."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BAND_PIXELS = 2_000_000

Box = tuple[int, int, int, int]


def to_rgb(picture: Image.Image) -> Image.Image:
    """Returns a new picture as RGB, depth scaled to 8 bits, transparency laid on white."""
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture.copy()
    convert = _conversion(picture)
    boxes = list(_bands(picture))
    if len(boxes) == 1:
        return convert(picture)
    found = Image.new("RGB", picture.size)
    for box in boxes:
        found.paste(convert(picture.crop(box)), box)
    return found


def _bands(picture: Image.Image) -> Iterator[Box]:
    rows = max(1, BAND_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        yield 0, top, picture.width, min(top + rows, picture.height)


def _conversion(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    if picture.mode.startswith("I") or picture.mode == "F":
        factor = _factor(picture)
        return lambda band: _scale_deep_grey(band, factor)
    if picture.has_transparency_data:
        return _lay_on_white
    return lambda band: band.convert("RGB")


def _lay_on_white(band: Image.Image) -> Image.Image:
    layer = band.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _factor(picture: Image.Image) -> float:
    """Returns what makes the values of deep grey ones of 0 to 255, by the range they are in."""
    if picture.mode.startswith("I;16"):
        return 1 / 257
    ranges = [(v.min(), v.max()) for v in (_values(picture.crop(box)) for box in _bands(picture))]
    least, most = min(low for low, _ in ranges), max(high for _, high in ranges)
    if picture.mode == "I" and most > 255:
        return 1 / 257
    return 255.0 if picture.mode == "F" and least >= 0.0 and most <= 1.0 else 1.0


def _scale_deep_grey(band: Image.Image, factor: float) -> Image.Image:
    values = np.clip(np.rint(_values(band) * factor), 0, 255)
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _values(band: Image.Image) -> NDArray[np.float64]:
    # Some of what is not a number is an error when it is copied.
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.asarray(band, dtype=np.float64))
