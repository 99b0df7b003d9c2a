"""Pictures made worse, to see how a model that has never seen such does.

Strengths are those of ImageNet-C, whose pictures are 224 px; blur is scaled with the side.

Source: Hendrycks & Dietterich 2019 (Benchmarking neural network robustness to common corruptions
and perturbations).
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)
SIDE_OF_SOURCE = 224

Pixels = NDArray[np.float64]
# Pixels (H, W, 3) from 0 to 1, the severity counted from 0, a source of chance.
Corruption = Callable[[Pixels, int, np.random.Generator], Pixels]


def _noise(pixels: Pixels, severity: int, drawn: np.random.Generator) -> Pixels:
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[severity]
    return np.asarray(pixels + drawn.normal(0.0, deviation, pixels.shape))


def _blur(pixels: Pixels, severity: int, drawn: np.random.Generator) -> Pixels:
    radius = (1, 2, 3, 4, 6)[severity] * min(pixels.shape[:2]) / SIDE_OF_SOURCE
    return _pixels(_picture(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _contrast(pixels: Pixels, severity: int, drawn: np.random.Generator) -> Pixels:
    share = (0.4, 0.3, 0.2, 0.1, 0.05)[severity]
    means = pixels.mean(axis=(0, 1), keepdims=True)
    return np.asarray((pixels - means) * share + means)


def _jpeg(pixels: Pixels, severity: int, drawn: np.random.Generator) -> Pixels:
    quality = (25, 18, 15, 10, 7)[severity]
    written = io.BytesIO()
    _picture(pixels).save(written, "JPEG", quality=quality)
    with Image.open(written, formats=("JPEG",)) as picture:
        return _pixels(picture)


def _fog(pixels: Pixels, severity: int, drawn: np.random.Generator) -> Pixels:
    density, decay = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity]
    height, width = pixels.shape[:2]
    clouds = _clouds(max(height, width), decay, drawn)[:height, :width, None]
    brightest = pixels.max()
    fogged: Pixels = (pixels + density * clouds) * brightest / (brightest + density)
    return fogged


def _clouds(side: int, decay: float, drawn: np.random.Generator) -> Pixels:
    """Returns clouds (at least side x side) from 0 to 1, by midpoint displacement.

    Source: Fournier, Fussell & Carpenter 1982 (diamond-square), as in the source of this module.
    """
    size = 1 << max(1, (side - 1).bit_length())
    heights = np.zeros((size, size))
    step, wiggle = size, 100.0
    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        across = corners + np.roll(corners, -1, axis=0)
        middles = (across + np.roll(across, -1, axis=1)) / 4
        heights[half::step, half::step] = middles + _shift(middles.shape, wiggle, drawn)
        centres = heights[half::step, half::step]
        for own, axis in ((heights[::step, half::step], 1), (heights[half::step, ::step], 0)):
            sides = corners + np.roll(corners, -1, axis=axis)
            sides += centres + np.roll(centres, 1, axis=1 - axis)
            own[:] = sides / 4 + _shift(sides.shape, wiggle, drawn)
        step, wiggle = half, wiggle / decay
    heights -= heights.min()
    return np.asarray(heights / max(heights.max(), 1e-12))


def _shift(shape: tuple[int, ...], wiggle: float, drawn: np.random.Generator) -> Pixels:
    return drawn.uniform(-wiggle, wiggle, shape)


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "jpeg": _jpeg,
    "fog": _fog,
}


def corrupt(picture: Image.Image, kind: str, severity: int, seed: int = 0) -> Image.Image:
    """Returns a worse copy of a picture; the same seed makes it worse in the same way.

    Args:
        picture: in RGB, fitted to the side that a model sees.
        kind: noise, blur, contrast, jpeg or fog.
        severity: 1 to 5.
        seed: what is drawn at random, where anything is.

    Raises:
        ValueError: there is no such corruption or severity.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"a severity of {severity}")
    drawn = np.random.default_rng((seed, list(CORRUPTIONS).index(kind)))
    return _picture(CORRUPTIONS[kind](_pixels(picture), severity - 1, drawn))


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture, dtype=np.float64) / 255.0


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray((np.clip(pixels, 0.0, 1.0) * 255.0).round().astype(np.uint8))
