"""A picture file as an upright RGB picture, whatever its format, depth or transparency."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
MAX_PIXELS = 120_000_000


def decode_image(path: Path, at_least: int | None = None) -> Image.Image:
    """Returns the picture as RGB, turned upright, transparency laid on white; see decode_file."""
    return decode_file(path, at_least)[0]


def decode_file(path: Path, at_least: int | None = None) -> tuple[Image.Image, str]:
    """Returns a picture as RGB, upright, transparency laid on white, and the format of its file.

    Args:
        path: the file.
        at_least: if given, a JPEG may be decoded at a reduced scale of which both sides are still
            at least this many px: several times faster for large photos.

    Raises:
        DataError: the file is not a picture, is damaged, or is larger than MAX_PIXELS. Its message
            is the bare reason, without the file's name.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"larger than {MAX_PIXELS // 1_000_000} megapixels")
            if at_least is not None:
                picture.draft("RGB", (at_least, at_least))
            picture.load()
            return _to_rgb(ImageOps.exif_transpose(picture)), str(picture.format)
    except Image.DecompressionBombError as error:
        raise DataError(f"larger than {MAX_PIXELS // 1_000_000} megapixels") from error
    except FileNotFoundError as error:
        raise DataError("not there") from error
    except PermissionError as error:
        raise DataError("may not be read") from error
    except UnidentifiedImageError as error:
        raise DataError("not a picture in a known format") from error
    except (DataError, MemoryError):
        raise
    except Exception as error:
        # Pillow's decoders raise whatever a damaged file makes them stumble over.
        reason = "truncated" if "truncated" in str(error).lower() else f"damaged ({error})"
        raise DataError(reason) from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        return _scale_deep_grey(picture).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _scale_deep_grey(picture: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    if picture.mode.startswith("I;16") or (picture.mode == "I" and values.max() > 255):
        values = values / 257.0
    elif picture.mode == "F" and values.min() >= 0.0 and values.max() <= 1.0:
        values = values * 255.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
