"""Arrays on disk that are computed once and read by whoever needs them. No torch here."""

from engine.caching.arrays import ArrayCache, CachedArray, clear_cache, key_digest, release
from engine.caching.disk import Entry, cache_bytes
from engine.caching.limits import cache_limit, set_cache_limit

__all__ = [
    "ArrayCache",
    "CachedArray",
    "Entry",
    "cache_bytes",
    "cache_limit",
    "clear_cache",
    "key_digest",
    "release",
    "set_cache_limit",
]
