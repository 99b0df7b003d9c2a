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
# Of smaller pictures too little is seen to tell: two handwritten digits may be as alike as copies.
LEAST_SIDE = 48
MOST_PAIRS = 20
MOST_TRIED = 100


def perceptual_hash(picture: Image.Image) -> str:
    """Returns the 64 bits of a picture's pHash, in hex; nothing of one that is very small."""
    if min(picture.size) < LEAST_SIDE:
        return ""
    # Hashing a large picture costs as much as decoding it; nor is there room for a second one.
    factor = max(1, max(picture.size) // (2 * HASHED_SIDE))
    small = picture.reduce(factor)
    small.thumbnail((HASHED_SIDE, HASHED_SIDE), Image.Resampling.BOX)
    return str(imagehash.phash(small))


def find_alike(
    paths: Sequence[Path], likenesses: Sequence[str], same: Sequence[str]
) -> list[tuple[int, int]]:
    """Returns pairs (P) of pictures that look the same, as positions, the first the smaller.

    A picture is compared with the next MOST_TRIED whose hashes are near, and makes MOST_PAIRS pairs
    at most: blank pages or the frames of a film are near to all others.

    Args:
        paths: of N files.
        likenesses: perceptual hash of each; empty for those that are like none.
        same: digest of each content; the first of each stands for all of them.
    """
    # Of copies the first stands for all; that they are the same is known already.
    first = {digest: index for index, digest in reversed(list(enumerate(same)))}
    hashed = [index for index in sorted(first.values()) if likenesses[index]]
    hashes_N = np.array([int(likenesses[index], 16) for index in hashed], dtype=np.uint64)
    outlines = _Outlines([paths[index] for index in hashed])
    found: list[tuple[int, int]] = []
    for row, own in enumerate(hashes_N):
        bits = np.bitwise_count(hashes_N[row + 1 :] ^ own)
        candidates = (row + 1 + np.nonzero(bits <= MOST_BITS)[0][:MOST_TRIED]).tolist()
        alike = [column for column in candidates if outlines.are_alike(row, column)]
        found += [(hashed[row], hashed[column]) for column in alike[:MOST_PAIRS]]
    return found


class _Outlines:
    """Pictures at a small size, each read when it is first asked for."""

    def __init__(self, paths: Sequence[Path]):
        self._paths = paths
        self._known: dict[int, tuple[float, NDArray[np.float32], float] | None] = {}

    def are_alike(self, one: int, other: int) -> bool:
        """Returns whether two pictures are alike pixel by pixel."""
        first, second = self._of(one), self._of(other)
        if first is None or second is None:
            return False
        (shape, pixels, spread), (other_shape, other_pixels, other_spread) = first, second
        if max(shape, other_shape) > MOST_SHAPE * min(shape, other_shape):
            return False
        if min(spread, other_spread) < LEAST_SPREAD:
            return float(np.abs(pixels - other_pixels).mean()) <= MOST_DIFFERENCE
        centred = (pixels - pixels.mean()) @ (other_pixels - other_pixels.mean())
        return float(centred) >= LEAST_CORRELATION * len(pixels) * spread * other_spread

    def _of(self, index: int) -> tuple[float, NDArray[np.float32], float] | None:
        """Returns shape, pixels and their spread; None where it cannot be read any more."""
        if index not in self._known:
            try:
                picture = decode_image(self._paths[index], HASHED_SIDE)
            except DataError:
                self._known[index] = None
                return None
            small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
            pixels = np.asarray(small, dtype=np.float32).ravel()
            self._known[index] = picture.width / picture.height, pixels, float(pixels.std())
        return self._known[index]
