"""Arrays in files, found by a digest of everything that decides their values.

An entry is a folder `<digest>` with `array.npy` and `about.json`. It is filled in a folder of its
own, which takes its name when it is complete, so that no reader ever sees half of one. Of several
processes that want the same array at once, the first fills it and the others wait for it.
"""

import contextlib
import hashlib
import json
import mmap
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from engine.caching.disk import ABOUT_FILE, ARRAY_FILE, Entry, held, read_entry, used_at
from engine.caching.limits import cache_limit
from engine.errors import CacheError
from engine.home import cache_folder

WAIT_SECONDS = 0.1
CHUNK_BYTES = 1 << 24
# What is left free for runs and others.
SPARE_BYTES = 1 << 26

Fill = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class CachedArray:
    """An array that is mapped into memory, to be read only.

    Attributes:
        array: its values.
        entry: what is known of it.
        was_there: whether nobody had to compute it now.
    """

    array: np.ndarray
    entry: Entry
    was_there: bool


def key_digest(key: Mapping[str, Any]) -> str:
    """Returns 32 hexadecimal digits that stand for everything in a key."""
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class ArrayCache:
    """The arrays of one kind, such as features; all kinds share one bound on disk."""

    def __init__(self, kind: str):
        self.folder = cache_folder(kind)

    def find(self, key: Mapping[str, Any]) -> CachedArray | None:
        """Returns the array of a key; None where there is none that is whole.

        A damaged one is removed, so that it is computed anew.
        """
        folder = self.folder / key_digest(key)
        entry = read_entry(folder)
        if entry is None:
            return None
        try:
            array = np.load(folder / ARRAY_FILE, mmap_mode="r", allow_pickle=False)
            sound = array.shape == entry.shape and _checksum(array) == entry.checksum
        except (OSError, ValueError, EOFError):
            sound = False
        if not sound:
            self.remove(entry.digest)
            return None
        with contextlib.suppress(OSError):
            os.utime(folder)
        return CachedArray(array, entry, was_there=True)

    def get(
        self,
        key: Mapping[str, Any],
        label: str,
        shape: tuple[int, ...],
        dtype: str,
        fill: Fill,
        waiting: Callable[[], None] = lambda: None,
    ) -> CachedArray:
        """Returns the array of a key, which is filled first where there is none.

        Args:
            key: everything that decides its values, as plain data.
            label: what a person reads of it.
            shape: of the array.
            dtype: of the array.
            fill: writes the values; whatever it raises is handed on, and nothing is kept.
            waiting: called again and again while another process fills it.

        Raises:
            CacheError: it is larger than the cache may be, or the disk has no room for it.
        """
        digest = key_digest(key)
        while True:
            found = self.find(key)
            if found is not None:
                return found
            try:
                with FileLock(self.folder / f"{digest}.lock", timeout=0):
                    # Whoever held the lock a moment ago may have filled it.
                    if (found := self.find(key)) is None:
                        self._fill(digest, key, label, shape, dtype, fill)
            except Timeout:
                waiting()
                time.sleep(WAIT_SECONDS)
                continue
            if found is not None:
                return found
            filled = self.find(key)
            if filled is None:
                raise CacheError(
                    f"What was just written to {self.folder} cannot be read back; look after the "
                    "disk, or set THAW_HOME to another one."
                )
            return CachedArray(filled.array, filled.entry, was_there=False)

    def entries(self) -> list[Entry]:
        """Returns all entries, the one used last first."""
        found = [(folder, read_entry(folder)) for folder in self._folders()]
        known = [(used_at(folder), entry) for folder, entry in found if entry is not None]
        return [entry for _, entry in sorted(known, key=lambda pair: -pair[0])]

    def remove(self, digest: str) -> None:
        """Removes an entry; whoever has it open reads on."""
        folder = self.folder / digest
        # Renamed first: what is half removed must not look whole.
        gone = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.gone")
        with contextlib.suppress(OSError):
            folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError):
            (self.folder / f"{digest}.lock").unlink()

    def _folders(self) -> Iterator[Path]:
        for folder in self.folder.iterdir():
            if folder.is_dir() and "." not in folder.name:
                yield folder

    def _fill(
        self,
        digest: str,
        key: Mapping[str, Any],
        label: str,
        shape: tuple[int, ...],
        dtype: str,
        fill: Fill,
    ) -> None:
        num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        make_room(num_bytes)
        _require_free(self.folder, num_bytes)
        part = self.folder / f"{digest}.{uuid.uuid4().hex[:8]}.part"
        started = time.perf_counter()
        try:
            with _no_room_told(self.folder, num_bytes):
                part.mkdir(parents=True)
                _reserve(part / ARRAY_FILE, shape, dtype)
                array = np.load(part / ARRAY_FILE, mmap_mode="r+", allow_pickle=False)
            fill(array)
            with _no_room_told(self.folder, num_bytes):
                array.flush()
                entry = Entry(
                    digest=digest,
                    label=label,
                    num_bytes=num_bytes,
                    fill_seconds=time.perf_counter() - started,
                    checksum=_checksum(array),
                    shape=shape,
                    dtype=dtype,
                    key=dict(key),
                )
                (part / ABOUT_FILE).write_text(json.dumps(asdict(entry)), encoding="utf-8")
                # What is there now is no whole entry.
                shutil.rmtree(self.folder / digest, ignore_errors=True)
                part.rename(self.folder / digest)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _require_free(folder: Path, num_bytes: int) -> None:
    """Refuses what would leave the disk full, before any of it is taken from others."""
    free = shutil.disk_usage(folder).free
    if num_bytes + SPARE_BYTES > free:
        raise CacheError(
            f"{num_bytes / 2**20:,.0f} MiB more would fill the disk of {folder}, which has "
            f"{free / 2**20:,.0f} MiB left; make room, or set THAW_HOME to another disk."
        )


@contextlib.contextmanager
def _no_room_told(folder: Path, num_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{num_bytes / 2**20:,.0f} MiB more cannot be written to {folder} "
            f"({error.strerror or error}); make room on the disk, or set THAW_HOME to another one."
        ) from error


def release(array: np.ndarray) -> None:
    """Gives back the memory that a mapped array takes; what was written to it is not lost.

    Its pages stay with the system, which drops them when memory is wanted elsewhere.
    """
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def make_room(num_bytes: int) -> None:
    """Removes what was not used for longest until so many bytes more are within the limit.

    Raises:
        CacheError: so many bytes are more than the whole cache may hold.
    """
    limit = cache_limit()
    if num_bytes > limit:
        raise CacheError(
            f"{num_bytes / 2**20:,.0f} MiB are more than the cache may hold "
            f"({limit / 2**20:,.0f} MiB); raise its limit to have them kept."
        )
    oldest_first = sorted(held(), key=lambda one: one[0])
    total = sum(size for _, size, _ in oldest_first)
    for _, size, folder in oldest_first:
        if total + num_bytes <= limit:
            return
        ArrayCache(folder.parent.name).remove(folder.name)
        total -= size


def clear_cache() -> int:
    """Removes all the arrays, and returns how many bytes that freed."""
    freed = 0
    for _, size, folder in list(held()):
        ArrayCache(folder.parent.name).remove(folder.name)
        freed += size
    return freed


def _reserve(file: Path, shape: tuple[int, ...], dtype: str) -> None:
    """Makes a file for an array with all of its room taken on disk.

    A mapped file that the disk has no room for would kill the process at some later write.
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False}
    with file.open("wb") as opened:
        np.lib.format.write_array_header_2_0(opened, header | {"shape": shape})
        num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(opened.fileno(), opened.tell(), max(1, num_bytes))
        else:
            for start in range(0, num_bytes, CHUNK_BYTES):
                opened.write(bytes(min(CHUNK_BYTES, num_bytes - start)))


def _checksum(array: np.ndarray) -> int:
    flat = array.reshape(-1).view(np.uint8)
    found = 0
    for start in range(0, flat.size, CHUNK_BYTES):
        found = zlib.crc32(flat[start : start + CHUNK_BYTES].data, found)
    return found
