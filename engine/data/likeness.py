"""Pictures that look the same though their files differ: scaled, recompressed, slightly changed.

Perceptual hashes (pHash, Zauner 2010) find candidates, which are then compared pixel by pixel at a
small size: plain drawings share hashes that look nothing like each other.

Shapes: N pictures, P pairs.
"""

from collections.abc import Sequence
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.data.decode import decode_image
from engine.errors import DataError

# Of the 64 bits of a hash. Of 640 drawings and photos that were halved, or cut by 1 % on each side,
# and recompressed, 98 % differ in no more.
MOST_BITS = 8
HASHED_SIDE = 128
SIDE = 16
# Of pixels at that size. Of the same pictures 98 % have more; the most alike among those that are
# different pictures, two drawings of one candy, have 0.962.
LEAST_CORRELATION = 0.97
# Of 255, where there is next to nothing to correlate.
MOST_DIFFERENCE = 3.0
LEAST_SPREAD = 4.0
MOST_SHAPE = 1.1
# Rows of hashes that are compared with all others at once.
BLOCK = 256


def perceptual_hash(picture: Image.Image) -> str:
    """Returns the 64 bits of a picture's pHash, in hex."""
    # Hashing a large picture costs as much as decoding it.
    small = picture.copy()
    small.thumbnail((HASHED_SIDE, HASHED_SIDE), Image.Resampling.BOX)
    return str(imagehash.phash(small))


def find_alike(
    paths: Sequence[Path], likenesses: Sequence[str], same: Sequence[str]
) -> list[tuple[int, int]]:
    """Returns the pairs (P) of pictures that look the same, as positions, the first the smaller.

    Args:
        paths: of N files.
        likenesses: perceptual hash of each.
        same: digest of each content; files of one content are not compared with each other.
    """
    return [
        (i, j)
        for i, j in _candidates(likenesses)
        if same[i] != same[j] and look_the_same(paths[i], paths[j])
    ]


def _candidates(likenesses: Sequence[str]) -> list[tuple[int, int]]:
    hashes_N = np.array([int(one, 16) for one in likenesses], dtype=np.uint64)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(hashes_N), BLOCK):
        block = hashes_N[start : start + BLOCK]
        bits = np.bitwise_count(block[:, None] ^ hashes_N[None, start:])
        rows, columns = np.nonzero(bits <= MOST_BITS)
        later = columns > rows
        pairs += zip((start + rows[later]).tolist(), (start + columns[later]).tolist(), strict=True)
    return pairs


def look_the_same(one: Path, other: Path) -> bool:
    """Returns whether two pictures are alike pixel by pixel, at a small size."""
    try:
        first, second = decode_image(one, HASHED_SIDE), decode_image(other, HASHED_SIDE)
    except DataError:
        return False
    shapes = [picture.width / picture.height for picture in (first, second)]
    if max(shapes) / min(shapes) > MOST_SHAPE:
        return False
    pixels = [_pixels(picture) for picture in (first, second)]
    if min(one.std() for one in pixels) < LEAST_SPREAD:
        return float(np.abs(pixels[0] - pixels[1]).mean()) <= MOST_DIFFERENCE
    return float(np.corrcoef(pixels[0], pixels[1])[0, 1]) >= LEAST_CORRELATION


def _pixels(picture: Image.Image) -> NDArray[np.float64]:
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).ravel()
