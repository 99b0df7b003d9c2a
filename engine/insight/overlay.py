"""A map of where a model looks, laid over the picture as the model saw it. No torch here.

Shapes: H rows, W columns.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.data.decode import decode_image
from engine.data.fit import fit_picture
from engine.errors import DataError
from engine.insight.saliency_maps import SaliencyMap
from engine.models.catalogue import backbone_record
from engine.spec import RunSpec

SIDE = 320
# What speaks for the class is lit, and its picture shows through; all else is grey and in the dark.
# The ramp is told apart by lightness alone, so by anybody and on paper.
_STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_RAMP = ((30, 12, 69), (137, 34, 106), (212, 72, 66), (251, 155, 6), (252, 255, 164))
# Share of the ramp in a pixel, in the dark and where it is brightest.
_DARK, _LIT = 0.66, 0.4
_GREY = 0.75


def square_picture(path: str, spec: RunSpec, mean: tuple[float, float, float]) -> Image.Image:
    """Returns a picture as a run's model saw it, enlarged to SIDE px.

    Args:
        path: of its file.
        spec: of the run: its backbone, size and fit.
        mean: that pixels were normalised with.

    Raises:
        DataError: it cannot be read.
    """
    record = backbone_record(spec.model.backbone)
    try:
        picture = decode_image(Path(path), at_least=round(SIDE / record.crop_fraction))
    except DataError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    # At more pixels than the model saw, so that a person sees what is on it.
    return fit_picture(picture, max(SIDE, spec.images.size), spec.images.fit, record, mean)


def overlay(picture: Image.Image, found: SaliencyMap) -> Image.Image:
    """Returns the picture with the map over it: bright where there is evidence for the class.

    Args:
        picture: square, RGB.
        found: of that picture; one that is empty leaves it dimmed all over.
    """
    weights_HW1 = _stretched(found.grid, picture.size)[..., None]
    pixels_HW3 = np.asarray(picture, dtype=np.float64)
    grey_HW1 = pixels_HW3.mean(axis=2, keepdims=True)
    dimmed_HW3 = pixels_HW3 + _GREY * (1.0 - weights_HW1) * (grey_HW1 - pixels_HW3)
    share_HW1 = _DARK + (_LIT - _DARK) * weights_HW1
    mixed_HW3 = (1.0 - share_HW1) * dimmed_HW3 + share_HW1 * ramp(weights_HW1[..., 0])
    return Image.fromarray(mixed_HW3.round().clip(0, 255).astype(np.uint8))


def ramp(values_HW: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the colours (H, W, 3), 0 to 255, of values from 0 to 1."""
    channels = zip(*_RAMP, strict=True)
    return np.stack([np.interp(values_HW, _STOPS, one) for one in channels], axis=-1)


def _stretched(grid: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    cells = Image.fromarray(grid.astype(np.float32))
    smooth = np.asarray(cells.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    return smooth.clip(0.0, 1.0)
