"""Archives that are refused, whole, and those that lie about themselves."""

import contextlib
import errno
import gzip
import io
import os
import re
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import archives, entries, staging, taking
from engine.data.archives import unpack
from engine.data.entry_names import safe_name
from engine.data.report import inspect_folder
from engine.errors import DataError
from tests.engine.hostile import tars, zips
from tests.engine.hostile.archives import ordinary
from tests.engine.packed import FORMATS, outside, packed, photos, picture, reasons, refusal, zipped

__all__ = ["outside", "photos", "picture"]


def test_a_bomb_is_given_up(
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taking, "RATIO_COUNTS_FROM", 2**20)
    written: list[int] = []
    real = taking.Taken.count

    def count(self: taking.Taken, num_bytes: int, folder: Path) -> None:
        real(self, num_bytes, folder)
        written.append(num_bytes)

    monkeypatch.setattr(taking.Taken, "count", count)
    file = zipped(tmp_path / "x.zip", [("a/1.png", bytes(200 * 2**20))])
    assert "unpacks to more than 100 times its size" in refusal(file, outside, thaw_home)
    assert sum(written) <= 100 * file.stat().st_size


def test_more_than_the_bounds_is_refused(
    photos: Path,
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = packed(photos, tmp_path / "x.zip")
    monkeypatch.setattr(taking, "MOST_ENTRIES", 4)
    assert "more than 4 entries" in refusal(file, outside, thaw_home)
    monkeypatch.setattr(taking, "MOST_ENTRIES", 100)
    monkeypatch.setattr(taking, "MOST_BYTES", 10)
    assert "unpacks to more than 0 GiB" in refusal(file, outside, thaw_home)
    monkeypatch.setattr(taking, "MOST_BYTES", 2**40)
    monkeypatch.setattr(taking, "KEEP_FREE", 2**60)
    assert "would fill the disk" in refusal(file, outside, thaw_home)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_torn_archive_is_refused(
    photos: Path,
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    kind: str,
    share: float,
) -> None:
    whole = packed(photos, tmp_path / f"whole.{kind}").read_bytes()
    file = tmp_path / "torn.zip"
    file.write_bytes(whole[: int(share * len(whole))])
    (tmp_path / f"whole.{kind}").unlink()
    if kind.startswith("tar") and share:
        # A tar that ends between two files cannot be told from a whole one, and what is torn off a
        # compressed one may hold no file any more.
        with contextlib.suppress(DataError):
            assert 0 < unpack(file).num_pictures <= 5
    else:
        refusal(file, outside, thaw_home)


def test_other_things_are_refused(
    tmp_path: Path, thaw_home: Path, outside: Callable[[], None]
) -> None:
    text = tmp_path / "x.zip"
    text.write_text("not an archive")
    assert "is no archive that can be read" in refusal(text, outside, thaw_home)
    zipped(text, [("a/readme.txt", b"hello")])
    assert "holds no pictures" in refusal(text, outside, thaw_home)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(tmp_path / "nowhere.zip")


def test_an_encrypted_archive_is_refused(
    photos: Path, tmp_path: Path, thaw_home: Path, outside: Callable[[], None]
) -> None:
    file = packed(photos, tmp_path / "x.zip")
    content = bytearray(file.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 8] |= 1
    file.write_bytes(content)
    assert "is encrypted" in refusal(file, outside, thaw_home)


def test_a_full_disk_leaves_nothing_behind(
    photos: Path,
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = taking._write

    def write(entry: entries.Entry, target: Path, taken: taking.Taken, part: Path) -> None:
        if taken.num_pictures == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(entry, target, taken, part)

    monkeypatch.setattr(taking, "_write", write)
    file = packed(photos, tmp_path / "x.zip")
    assert "No space left on device" in refusal(file, outside, thaw_home)


def test_two_of_the_same_name_at_once_are_both_whole(photos: Path, tmp_path: Path) -> None:
    file = packed(photos, tmp_path / "pets.zip")
    found: list[archives.Unpacked] = []
    threads = [threading.Thread(target=lambda: found.append(unpack(file))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.folder for one in found}) == 6
    assert {one.folder.name for one in found} == {"pets", *(f"pets {n}" for n in range(2, 7))}
    assert len({inspect_folder(one.folder).fingerprint for one in found}) == 1


def test_what_a_killed_process_left_is_swept_later(
    photos: Path, tmp_path: Path, thaw_home: Path
) -> None:
    old, new = (thaw_home / "datasets" / f".{name}.part" for name in ("old", "new"))
    for part in (old, new):
        (part / "a").mkdir(parents=True)
    day = time.time() - 2 * staging.ABANDONED_SECONDS
    os.utime(old, (day, day))
    unpack(packed(photos, tmp_path / "x.zip"))
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_of_many_bytes_is_not_read(
    tmp_path: Path, thaw_home: Path, outside: Callable[[], None], kind: bytes
) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 3 * 2**20
    file = tmp_path / "x.tar"
    file.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * info.size + bytes(10240))
    assert "a name of more than a million bytes" in refusal(file, outside, thaw_home)


def test_a_disk_that_folds_case_merges_no_classes(
    photos: Path, tmp_path: Path, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def folding(path: Path, *args: object, **kwargs: object) -> None:
        here = (
            {one.name.casefold() for one in path.parent.iterdir()} if path.parent.exists() else ()
        )
        if path.name.casefold() in here and not path.exists():
            raise FileExistsError(path)
        mkdir(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", folding)
    names = ["Cats/1.png", "cats/2.png", "Cats/3.png", "dogs/1.png"]
    unpacked = unpack(zipped(tmp_path / "x.zip", [(name, picture) for name in names]))
    assert unpacked.num_pictures == 3
    assert list(reasons(unpacked)) == ["cats/2.png"]
    assert "in capitals only" in reasons(unpacked)["cats/2.png"]


# ---- what was found by sending damaged ones


def tarred(file: Path, content: bytes) -> Path:
    file.write_bytes(content + bytes(10_240))
    return file


@pytest.mark.parametrize("size", [-512, -5120, -1])
@pytest.mark.parametrize("by_pax", [True, False])
def test_a_size_below_nothing_is_refused_at_once(
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    by_pax: bool,
) -> None:
    # The next header would be one that was read before, without an end.
    monkeypatch.setattr(taking, "MOST_ENTRIES", 10)
    if by_pax:
        content = tars.pax([("size", str(size).encode())]) + tars.header("a/1.png", b"0", 0)
    else:
        content = tars.header("a/1.png", b"0", size)
    file = tarred(tmp_path / "x.tar", content)
    assert "a size below nothing" in refusal(file, outside, thaw_home)


def test_a_tar_with_a_damaged_header_is_not_taken_in_part(
    tmp_path: Path, picture: bytes, thaw_home: Path, outside: Callable[[], None]
) -> None:
    content = bytearray(ordinary("tar", picture))
    # Of the last picture; what comes before could be read.
    content[content.rindex(b"dogs/1.png") + 148] ^= 1
    file = tarred(tmp_path / "x.tar", bytes(content))
    assert "what comes after its entries is none" in refusal(file, outside, thaw_home)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_check_sum_at_the_end_is_looked_at(
    photos: Path, tmp_path: Path, thaw_home: Path, outside: Callable[[], None], kind: str
) -> None:
    file = packed(photos, tmp_path / f"x.{kind}")
    content = bytearray(file.read_bytes())
    place = {"tar.gz": -8, "tar.bz2": -2, "tar.xz": -32}[kind]
    content[place] ^= 0x55
    file = file.rename(tmp_path / "x.tar")
    file.write_bytes(content)
    refusal(file, outside, thaw_home)


HOLES = {
    # A list of a billion numbers is said to follow.
    "1.0": [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")],
    "0.1": [("GNU.sparse.map", b"0,5"), ("GNU.sparse.size", b"99999999999")],
    "0.0": [("GNU.sparse.size", b"99999999999"), ("GNU.sparse.offset", b"0")],
}


@pytest.mark.parametrize("version", ["old", *HOLES])
def test_a_file_with_holes_is_refused(
    tmp_path: Path, thaw_home: Path, outside: Callable[[], None], version: str
) -> None:
    if version == "old":
        content = tars.header("a/1.png", tarfile.GNUTYPE_SPARSE, 512) + bytes(512)
    else:
        body = tars.padded(b"1000000000\n0\n")
        content = tars.pax(HOLES[version]) + tars.header("a/1.png", b"0", len(body)) + body
    file = tarred(tmp_path / "x.tar", content)
    assert "a file with holes in it" in refusal(file, outside, thaw_home)


def test_no_more_is_written_than_was_counted(tmp_path: Path) -> None:
    entry = entries.Entry("a/1.png", "file", lambda: io.BytesIO(bytes(600)), streamed=512)
    with pytest.raises(DataError, match="holds more of a file than it says"):
        taking.take_entries([entry], taking.Taken("x.tar", 10**6), tmp_path, lambda done: None)


def test_what_is_said_of_entries_counts_and_is_not_kept(
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = [tars.pax([(f"k{n}", b"a" * 900_000)], kind=tarfile.XGLTYPE) for n in range(20)]
    file = tmp_path / "x.tar"
    file.write_bytes(gzip.compress(b"".join(one + tars.header("a.txt", b"0", 0) for one in said)))
    monkeypatch.setattr(taking, "RATIO_COUNTS_FROM", 2**20)
    assert "unpacks to more than 100 times its size" in refusal(file, outside, thaw_home)
    tracemalloc.start()
    try:
        with file.open("rb") as opened:
            assert sum(1 for _ in entries.archive_entries(opened, "x")) == 20
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [b"", b"\0a/2.png"])
def test_an_entry_without_a_name_is_left_out(
    tmp_path: Path, picture: bytes, outside: Callable[[], None], name: bytes
) -> None:
    file = tmp_path / "x.zip"
    file.write_bytes(zips.packed([zips.ZipEntry(b"a/1.png", picture), zips.ZipEntry(name, b"")]))
    unpacked = unpack(file)
    assert (unpacked.num_pictures, unpacked.num_left_out) == (1, 1)
    outside()


def test_a_path_that_no_system_takes_is_left_out(
    tmp_path: Path, picture: bytes, outside: Callable[[], None]
) -> None:
    long = "/".join(["x" * 199] * 25) + "/2.png"
    unpacked = unpack(zipped(tmp_path / "x.zip", [("a/1.png", picture), (long, picture)]))
    assert (unpacked.num_pictures, unpacked.num_left_out) == (1, 1)
    outside()


def test_a_list_of_too_many_is_not_read(
    photos: Path,
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entries, "MOST_LIST_BYTES", 200)
    file = packed(photos, tmp_path / "x.zip")
    assert re.search(r"a list of [34]\d\d bytes", refusal(file, outside, thaw_home))


def test_names_that_lie_about_themselves_are_changed() -> None:
    for name in ("photo\u202egnp.exe", "a\x9bb", "a\u2028b"):
        assert safe_name(name).partition("~")[0] in ("photo_gnp", "a_b")
    for name in ("a\u3000b", "\U0001f468\u200d\U0001f469", "k\u00e4se", "ka\u0308se"):
        assert safe_name(name) == name


def test_what_a_file_is_called_is_quoted_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "a\n\x1b[31m\udce9.zip"
    file.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"^a\?\?\[31m\?\.zip is no archive"):
        unpack(file)
