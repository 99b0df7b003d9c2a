"""Arrays on disk: whole or not there, computed once, within their bound."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engine.caching import (
    ArrayCache,
    CachedArray,
    cache_bytes,
    cache_limit,
    clear_cache,
    key_digest,
    set_cache_limit,
)
from engine.caching.arrays import make_room
from engine.caching.disk import ARRAY_FILE
from engine.errors import CacheError

KEY = {"contents": "abc", "size": 64}
MIB = 2**20


def seven(array: np.ndarray) -> None:
    array[:] = 7.0


def get(cache: ArrayCache, key: dict[str, object] | None = None, rows: int = 4) -> CachedArray:
    return cache.get(key or KEY, "sevens", (rows, 3), "float32", seven)


def test_an_array_is_computed_once_and_read_by_all_others() -> None:
    first = get(ArrayCache("tests"))
    again = ArrayCache("tests").get(KEY, "sevens", (4, 3), "float32", pytest.fail)
    assert (first.was_there, again.was_there) == (False, True)
    assert isinstance(again.array, np.memmap)
    assert np.array_equal(again.array, np.full((4, 3), 7.0, dtype=np.float32))
    assert again.entry.key == KEY
    assert again.entry.num_bytes == 48
    with pytest.raises(ValueError, match="read-only"):
        again.array[0] = 1


def test_another_key_is_another_array() -> None:
    cache = ArrayCache("tests")
    get(cache)
    assert cache.find({"contents": "abc", "size": 65}) is None
    assert key_digest({"a": 1, "b": 2}) == key_digest({"b": 2, "a": 1})
    assert not get(cache, {"contents": "abc", "size": 65}).was_there
    assert len(cache.entries()) == 2


def test_what_fails_while_it_is_filled_leaves_nothing_behind() -> None:
    cache = ArrayCache("tests")

    def fails(array: np.ndarray) -> None:
        array[0] = 1
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        cache.get(KEY, "half", (4, 3), "float32", fails)
    assert [path for path in cache.folder.iterdir() if path.is_dir()] == []
    assert not get(cache).was_there


@pytest.mark.parametrize("damage", ["flip", "cut", "lose", "garble"])
def test_a_damaged_array_is_computed_anew(damage: str) -> None:
    cache = ArrayCache("tests")
    folder = cache.folder / get(cache).entry.digest
    file = folder / ARRAY_FILE
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    if damage == "cut":
        content = content[:-5]
    file.write_bytes(content)
    if damage == "lose":
        file.unlink()
    if damage == "garble":
        (folder / "about.json").write_text("{")
        # A folder without facts is no entry; the new one must be able to take its place.
    again = get(cache)
    assert not again.was_there
    assert np.array_equal(again.array, np.full((4, 3), 7.0))


def test_of_two_that_want_it_at_once_one_fills_and_the_other_waits() -> None:
    begun, waited = threading.Event(), threading.Event()
    fills: list[int] = []
    found: list[CachedArray] = []

    def slow(array: np.ndarray) -> None:
        fills.append(1)
        begun.set()
        assert waited.wait(60)
        seven(array)

    def fill() -> None:
        found.append(ArrayCache("tests").get(KEY, "sevens", (4, 3), "float32", slow))

    filler = threading.Thread(target=fill)
    filler.start()
    assert begun.wait(60)
    second = ArrayCache("tests").get(KEY, "sevens", (4, 3), "float32", slow, waited.set)
    filler.join()
    assert fills == [1]
    assert second.was_there
    assert not found[0].was_there


def test_one_that_waits_can_be_asked_to_stop() -> None:
    begun, done = threading.Event(), threading.Event()

    def slow(array: np.ndarray) -> None:
        begun.set()
        done.wait(60)

    filler = threading.Thread(
        target=lambda: ArrayCache("tests").get(KEY, "slow", (4, 3), "float32", slow)
    )
    filler.start()
    assert begun.wait(60)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ArrayCache("tests").get(KEY, "slow", (4, 3), "float32", slow, waiting=stop)
    done.set()
    filler.join()


def test_a_process_that_is_killed_while_it_fills_keeps_nobody_waiting(thaw_home: Path) -> None:
    code = (
        "import time; from engine.caching import ArrayCache\n"
        "def fill(array): print('begun', flush=True); time.sleep(60)\n"
        f"ArrayCache('tests').get({KEY!r}, 'sevens', (4, 3), 'float32', fill)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "THAW_HOME": str(thaw_home)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert not get(ArrayCache("tests")).was_there


# ---- its bound


def test_what_was_not_used_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ArrayCache("tests")
    old, used, new = ({"name": name} for name in ("old", "used", "new"))
    for age, key in ((300, used), (200, old)):
        folder = cache.folder / get(cache, key, 4000).entry.digest
        os.utime(folder, (time.time() - age,) * 2)
    assert cache.find(used) is not None
    monkeypatch.setenv("THAW_CACHE_GIB", str(100_000 / 2**30))
    get(cache, new, 4000)
    assert cache.find(old) is None
    assert cache.find(used) is not None
    assert cache_bytes() <= 100_000


def test_all_kinds_share_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    get(ArrayCache("pixels"), rows=4000)
    monkeypatch.setenv("THAW_CACHE_GIB", str(60_000 / 2**30))
    get(ArrayCache("features"), rows=4000)
    assert ArrayCache("pixels").entries() == []
    assert len(ArrayCache("features").entries()) == 1


def test_who_has_an_array_open_reads_on_when_it_is_removed() -> None:
    cache = ArrayCache("tests")
    opened = get(cache, rows=4000)
    cache.remove(opened.entry.digest)
    assert cache.entries() == []
    assert float(opened.array.sum()) == 7.0 * 12_000


def test_what_is_larger_than_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_CACHE_GIB", "0")
    with pytest.raises(CacheError, match="more than the cache may hold"):
        get(ArrayCache("tests"))


def test_a_full_disk_is_told_before_anything_is_computed() -> None:
    cache = ArrayCache("tests")
    free = shutil.disk_usage(cache.folder).free
    set_cache_limit(2 * free / 2**30 + 1)
    with pytest.raises(CacheError, match=r"[\d,]+ MiB more would fill the disk"):
        cache.get(KEY, "huge", (free // 4 + 2**28, 1), "float32", seven)
    assert [path for path in cache.folder.iterdir() if path.is_dir()] == []


def test_a_disk_that_fills_meanwhile_is_told_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    cache = ArrayCache("tests")
    with pytest.raises(CacheError, match=r"cannot be written to .* \(No space left on device\)"):
        get(cache)
    assert [path for path in cache.folder.iterdir() if path.is_dir()] == []


def test_the_bound_is_what_a_person_chose_or_a_share_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, thaw_home: Path
) -> None:
    get(ArrayCache("tests"))
    free = shutil.disk_usage(thaw_home).free
    assert cache_limit() == pytest.approx(0.2 * free, rel=0.05)
    assert set_cache_limit(1.5) == cache_limit() == 1.5 * 2**30
    monkeypatch.setenv("THAW_CACHE_GIB", "2")
    assert cache_limit() == 2 * 2**30


@pytest.mark.parametrize("given", ["much", "-1", "nan"])
def test_a_bound_that_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("THAW_CACHE_GIB", given)
    with pytest.raises(CacheError, match=f"THAW_CACHE_GIB is {given}; give a number of GiB"):
        cache_limit()


def test_all_of_it_can_be_thrown_away() -> None:
    for kind in ("pixels", "features"):
        get(ArrayCache(kind), rows=4000)
    held = cache_bytes()
    assert held > 96_000
    assert clear_cache() == held
    assert cache_bytes() == 0


def test_what_a_killed_process_left_behind_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ArrayCache("tests")
    part = cache.folder / "0123.abcd.part"
    part.mkdir()
    (part / ARRAY_FILE).write_bytes(bytes(50_000))
    os.utime(part, (time.time() - 7200,) * 2)
    kept = get(cache, rows=4000)
    monkeypatch.setenv("THAW_CACHE_GIB", str(60_000 / 2**30))
    make_room(1000)
    assert not part.exists()
    assert cache.find(KEY) is not None
    assert json.loads((cache.folder / kept.entry.digest / "about.json").read_text())["key"] == KEY
