"""Pictures decoded and fitted once, as bytes in a file that is mapped into memory.

Shapes: N pictures, S px of a side.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.caching import ArrayCache, CachedArray, release
from engine.data.manifest import Item
from engine.data.transforms import EvalTransform

KIND = "pixels"
# So much may be mapped in before it is given back, so that memory stays flat however large a file.
RELEASE_BYTES = 1 << 28

Fill = Callable[[np.ndarray, Sequence[Item]], None]


class Rows:
    """Rows of a cached array, by the position of an item in a list of its own.

    Another process maps the file anew, so that handing this over costs nothing.
    """

    def __init__(self, array: np.ndarray, rows_N: np.ndarray):
        """Takes an array, and the row of each item.

        Args:
            array: any array whose first dimension counts items; a mapped one is read as such.
            rows_N: for each position, where in the array it lies.
        """
        self.array = array
        self.rows_N = rows_N
        self._touched = 0

    def __getitem__(self, positions: Any) -> np.ndarray:
        """Returns a copy of what lies at one or several positions."""
        found: np.ndarray = np.array(self.array[self.rows_N[positions]])
        self._touched += found.nbytes
        if self._touched > RELEASE_BYTES:
            self._touched = 0
            release(self.array)
        return found

    def __len__(self) -> int:
        """Number of items."""
        return len(self.rows_N)

    def __getstate__(self) -> dict[str, Any]:
        file = getattr(self.array, "filename", None)
        return {"file": file, "array": None if file else self.array, "rows_N": self.rows_N}

    def __setstate__(self, state: dict[str, Any]) -> None:
        file, array = state["file"], state["array"]
        self.__init__(  # type: ignore[misc]
            array if file is None else np.load(Path(file), mmap_mode="r"), state["rows_N"]
        )


def unique_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """Returns one item of each content, in an order that depends on the contents alone."""
    by_digest = {item.digest: item for item in reversed(items)}
    return tuple(by_digest[digest] for digest in sorted(by_digest))


def contents_digest(unique: Sequence[Item]) -> str:
    """Returns 32 hexadecimal digits that stand for the contents, in their order."""
    joined = ";".join(item.digest for item in unique)
    return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()


def rows_of(items: Sequence[Item], unique: Sequence[Item]) -> np.ndarray:
    """Returns for each item the position of its content among the unique ones."""
    places = {item.digest: place for place, item in enumerate(unique)}
    return np.array([places[item.digest] for item in items], dtype=np.int64)


def squares_key(unique: Sequence[Item], transform: EvalTransform) -> dict[str, Any]:
    """Returns everything that decides the bytes of all the squares."""
    return {"version": 1, "contents": contents_digest(unique), **transform.square_key()}


def cached_squares(
    items: Sequence[Item],
    transform: EvalTransform,
    fill: Fill,
    waiting: Callable[[], None],
) -> CachedArray:
    """Returns the squares (N, S, S, 3) of the unique contents of some items.

    Args:
        items: any, all with a digest.
        transform: makes the squares.
        fill: writes them where nobody has before; is given the array and the items of its rows.
        waiting: called while another process does.

    Raises:
        CacheError: the cache has no room for them.
    """
    unique = unique_items(items)
    return ArrayCache(KIND).get(
        key=squares_key(unique, transform),
        label=f"{len(unique):,} pictures at {transform.side} px ({transform.spec.fit})",
        shape=(len(unique), transform.side, transform.side, 3),
        dtype="uint8",
        fill=lambda array: fill(array, unique),
        waiting=waiting,
    )
