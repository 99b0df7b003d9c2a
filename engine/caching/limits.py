"""How much room the caches may take on disk."""

import contextlib
import os
import shutil
from pathlib import Path

from engine.caching.disk import cache_bytes, cache_root
from engine.errors import CacheError
from engine.files import write_text

LIMIT_FILE = "limit.txt"
# Ends the number in the file: half of one would be a number, too.
UNIT = " bytes"
DEFAULT_SHARE = 0.2


def cache_limit(root: Path | None = None) -> int:
    """Returns how many bytes the caches may take together.

    That is THAW_CACHE_GIB where it is set, else what a person chose, else a fifth of what is free.

    Args:
        root: of all the caches; that of THAW_HOME, which is made then, where None.

    Raises:
        CacheError: THAW_CACHE_GIB is not a number of at least 0.
    """
    if given := os.environ.get("THAW_CACHE_GIB"):
        return _bytes(given, "THAW_CACHE_GIB")
    root = root or cache_root()
    with contextlib.suppress(OSError, ValueError):
        text = (root / LIMIT_FILE).read_text(encoding="utf-8")
        if text.endswith(UNIT):
            return int(text.removesuffix(UNIT))
    # What the cache holds already counts as free: else each entry would shrink the limit.
    return int(DEFAULT_SHARE * (shutil.disk_usage(root).free + cache_bytes(root)))


def set_cache_limit(gib: float) -> int:
    """Sets how many GiB the caches may take together, and returns that in bytes.

    Raises:
        CacheError: it is less than 0.
    """
    limit = _bytes(str(gib), "The limit of the cache")
    write_text(cache_root() / LIMIT_FILE, f"{limit}{UNIT}")
    return limit


def _bytes(text: str, what: str) -> int:
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not 0.0 <= gib < 2**40:
        raise CacheError(f"{what} is {text}; give a number of GiB of at least 0, such as 20.")
    return int(gib * 2**30)
