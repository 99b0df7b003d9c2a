"""How a picture of any shape becomes a square."""

import math

from PIL import Image, ImageOps

from engine.models.catalogue import BackboneRecord
from engine.spec import Fit

# Of what is longer the ends are cut off before it is enlarged, or a line of 1 x 65,000 px would
# become a picture of four gigapixels; the square shows the middle of it anyway.
MOST_SHAPE = 16

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def fit_picture(
    picture: Image.Image,
    size: int,
    fit: Fit,
    backbone: BackboneRecord,
    bar_colour: tuple[float, float, float] | None = None,
) -> Image.Image:
    """Returns the picture as a square of `size` px.

    Args:
        picture: RGB.
        size: side of the square in px.
        fit: `crop` resizes the shorter side to size / crop_fraction and keeps the centre, as the
            backbone's own evaluation does; `squash` distorts; `pad` adds bars in the colour that
            becomes zero after normalisation.
        backbone: gives interpolation and crop fraction.
        bar_colour: RGB on a 0..1 scale, what becomes zero; the backbone's mean where None.
    """
    resampling = _RESAMPLING[backbone.interpolation]
    if fit == "squash":
        return picture.resize((size, size), resampling)
    if fit == "pad":
        red, green, blue = (round(255 * channel) for channel in bar_colour or backbone.mean)
        return ImageOps.pad(picture, (size, size), resampling, color=(red, green, blue))
    # Rounded as timm and torchvision do, so that not a pixel differs from their evaluation.
    shorter = math.floor(size / backbone.crop_fraction + 1e-6)
    picture = _without_ends(picture)
    width, height = (int(shorter * side / min(picture.size)) for side in picture.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return picture.resize((width, height), resampling).crop((left, top, left + size, top + size))


def _without_ends(picture: Image.Image) -> Image.Image:
    most = MOST_SHAPE * min(picture.size)
    if max(picture.size) <= most:
        return picture
    # The same at both ends, so that the middle stays the middle.
    left, top = (max(0, side - most) // 2 for side in picture.size)
    return picture.crop((left, top, picture.width - left, picture.height - top))
