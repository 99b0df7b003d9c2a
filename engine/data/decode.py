"""A picture file as an upright RGB picture, whatever its format, depth or transparency.

Files come from strangers: a few bytes may say that they are a picture of a hundred megapixels, or
unpack to one, so what decoding may take of the memory is bounded, for all threads together.
"""

import logging
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from engine.data.colours import to_rgb
from engine.data.room import Room
from engine.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
MAX_PIXELS = 120_000_000
# Its decoder keeps two more pictures than others do.
MAX_PIXELS_OF = {"WEBP": 64_000_000}
BYTES_A_PIXEL = 8
BYTES_A_PIXEL_OF = {"WEBP": 20}
MOST_BYTES_AT_ONCE = 2 * 2**30
LONGEST_REASON = 120
NO_MEMORY = "takes more memory than there is"

_ROOM = Room(MOST_BYTES_AT_ONCE)

# Of what is odd in a file and does not stop it, Pillow tells on stderr; the verdict says the rest.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


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
        DataError: the file is not a picture, is damaged, or has more pixels than are read. Its
            message is the bare reason, in one line, without the file's name.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            file_format = str(picture.format)
            _require_size(picture, file_format)
            if at_least is not None:
                picture.draft("RGB", (at_least, at_least))
            per_pixel = BYTES_A_PIXEL_OF.get(file_format, BYTES_A_PIXEL)
            with _ROOM.taken(per_pixel * picture.width * picture.height):
                picture.load()
                # In place, or there are two of a large one.
                ImageOps.exif_transpose(picture, in_place=True)
                return to_rgb(picture), file_format
    except DataError:
        raise
    except Exception as error:
        raise DataError(_reason(error)) from error


def _require_size(picture: Image.Image, file_format: str) -> None:
    most = MAX_PIXELS_OF.get(file_format, MAX_PIXELS)
    if picture.width * picture.height > most:
        raise DataError(f"larger than {most // 1_000_000} megapixels")


def _reason(error: Exception) -> str:
    """Returns what to say; Pillow's decoders raise whatever a damaged file makes them stumble over.

    What they say of it may quote the file.
    """
    if isinstance(error, Image.DecompressionBombError):
        return f"larger than {MAX_PIXELS // 1_000_000} megapixels"
    if isinstance(error, FileNotFoundError):
        return "not there"
    if isinstance(error, PermissionError):
        return "may not be read"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a known format"
    if isinstance(error, MemoryError):
        return NO_MEMORY
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    if "truncated" in text.lower():
        return "truncated"
    return f"damaged ({text[:LONGEST_REASON] or type(error).__name__})"
