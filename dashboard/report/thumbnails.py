"""Small JPEGs as texts, so that a report carries its pictures with it."""

import base64
import stat
from io import BytesIO
from pathlib import Path

from PIL import Image

from engine.data.decode import decode_image
from engine.errors import DataError

SIDE = 112
QUALITY = 74


def thumbnail_address(path: str) -> str | None:
    """Returns a small JPEG of a picture as a `data:` address, or None where it cannot be read."""
    try:
        # Opening a pipe would wait for its other end.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        picture = decode_image(Path(path), at_least=SIDE)
    except (DataError, OSError, ValueError):
        return None
    picture.thumbnail((SIDE, SIDE))
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    file = BytesIO()
    # Nothing of the original goes along: no place, no date, no name of a camera.
    square.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
