"""Archives from strangers: their pictures are taken in, and nothing else ever happens."""

import contextlib
import errno
import gzip
import io
import os
import re
import stat
import tarfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import archives, entries, staging, taking
from engine.data.archives import unpack
from engine.data.entry_names import MOST_BYTES, safe_name, safe_path
from engine.data.report import inspect_folder
from engine.data.samples import sample_folder
from engine.errors import DataError
from tests.engine.hostile import tars, zips
from tests.engine.hostile.archives import ordinary
from tests.engine.pictures import distinct_pictures

FORMATS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return distinct_pictures(tmp_path / "photos", {"cats": 3, "dogs": 2})


@pytest.fixture
def picture(photos: Path) -> bytes:
    return (photos / "cats" / "000.png").read_bytes()


@pytest.fixture
def outside(tmp_path: Path, thaw_home: Path) -> Callable[[], None]:
    """Call it at the end: nothing but the home's own folders has changed."""

    def seen() -> set[str]:
        files = {str(p) for p in tmp_path.rglob("*") if not p.is_relative_to(thaw_home)}
        return files | {str(p) for p in thaw_home.iterdir() if p.name != "datasets"}

    thaw_home.mkdir(exist_ok=True)
    before = seen()

    def check() -> None:
        assert {one for one in seen() - before if not one.endswith((".zip", ".tar"))} == set()
        datasets = thaw_home / "datasets"
        assert not [one for one in datasets.iterdir() if one.name.startswith(".")]

    return check


def packed(folder: Path, file: Path) -> Path:
    """Puts a folder with what is in it into an archive, as a person does."""
    files = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w") as archive:
            for one in files:
                archive.write(one, one.relative_to(folder.parent))
    else:
        kind = file.name.rpartition(".tar")[2].lstrip(".")
        with tarfile.open(file, f"w:{kind}") as archive:
            archive.add(folder, folder.name)
    return file


def zipped(file: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file


def reasons(unpacked: archives.Unpacked) -> dict[str, str]:
    return {one.path: one.reason for one in unpacked.left_out}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_fingerprint_of_the_folder(
    photos: Path, tmp_path: Path, thaw_home: Path, kind: str
) -> None:
    unpacked = unpack(packed(photos, tmp_path / f"my pets.{kind}"))
    assert unpacked.folder == thaw_home / "datasets" / "my pets"
    assert (unpacked.num_pictures, unpacked.num_left_out) == (5, 0)
    ours, theirs = inspect_folder(unpacked.folder), inspect_folder(photos)
    assert ours.fingerprint == theirs.fingerprint
    assert ours.classes == theirs.classes


def test_what_is_no_picture_is_left_out_and_told(
    tmp_path: Path, picture: bytes, outside: Callable[[], None]
) -> None:
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    unpacked = unpack(
        zipped(
            tmp_path / "x.zip",
            [
                ("a/1.png", picture),
                ("../../evil.png", picture),
                ("/etc/evil.png", picture),
                ("C:\\evil.png", picture),
                ("a\\..\\..\\evil.png", picture),
                (link, b"/etc/passwd"),
                ("a/notes.txt", b"x"),
                ("__MACOSX/a/._1.png", b"x"),
                ("a/.hidden.png", picture),
                ("a/1.png/2.png", picture),
            ],
        )
    )
    leads = "its name leads out of the archive"
    assert unpacked.num_pictures == 1
    assert reasons(unpacked) == {
        "../../evil.png": leads,
        "/etc/evil.png": leads,
        "C:\\evil.png": leads,
        "a\\..\\..\\evil.png": leads,
        "a/link.png": "a link or device, not a file",
        "a/notes.txt": "not a picture, by its name",
        "__MACOSX/a/._1.png": "hidden, or of the system",
        "a/.hidden.png": "hidden, or of the system",
        "a/1.png/2.png": "there are two entries of this name",
    }
    outside()


def test_links_and_devices_of_a_tar_are_left_out(
    tmp_path: Path, picture: bytes, outside: Callable[[], None]
) -> None:
    file = tmp_path / "x.tar"
    kinds = {
        "sym.png": tarfile.SYMTYPE,
        "hard.png": tarfile.LNKTYPE,
        "fifo.png": tarfile.FIFOTYPE,
        "disk.png": tarfile.BLKTYPE,
        "terminal.png": tarfile.CHRTYPE,
    }
    with tarfile.open(file, "w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(f"a/{name}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("a/sym.png/inside.png")
        info.size = len(picture)
        archive.addfile(info, io.BytesIO(picture))
    unpacked = unpack(file)
    assert set(reasons(unpacked)) == {f"a/{name}" for name in kinds}
    assert unpacked.num_pictures == 1
    outside()


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("cats/1.png", "cats/1.png"),
        ("./cats//1.png", "cats/1.png"),
        ("CON/aux.png", "_CON~/_aux~.png"),
        ("a\x00b\n/1.png", "a_b_~/1.png"),
        ("<b>cats</b>/1.png", "_b_cats_~/b_~/1.png"),
        ("cats. /1.png", "cats~/1.png"),
        ("... /1.png", "_~/1.png"),
        ("a:b/1.png", "a_b~/1.png"),
        ("käse/1.png", "käse/1.png"),
        ("caf\udce9/1.png", "caf_~/1.png"),
    ],
)
def test_names_become_safe_and_stay_readable(name: str, becomes: str) -> None:
    assert re.sub("~[0-9a-f]{8}", "~", str(safe_path(name))) == becomes


def test_names_that_are_changed_stay_apart() -> None:
    names = ["why?", "why*", "why_", "cat", "cat.", "cat ", "caf\udce9", "caf\udce8", "CON", "_CON"]
    assert len({safe_name(name) for name in names}) == len(names)


def test_what_lies_deeper_than_anybody_sorts_pictures_is_left_out(
    tmp_path: Path, picture: bytes, outside: Callable[[], None]
) -> None:
    entries = [("a/1.png", picture), ("a/" + "d/" * 400 + "2.png", picture)]
    unpacked = unpack(zipped(tmp_path / "x.zip", entries))
    assert (unpacked.num_pictures, unpacked.num_left_out) == (1, 1)
    outside()


def test_a_tar_that_ends_with_a_zip_is_a_tar(photos: Path, tmp_path: Path, picture: bytes) -> None:
    inner = zipped(tmp_path / "more.zip", [("x/secret.png", picture)])
    file = packed(photos, tmp_path / "pets.tar")
    with tarfile.open(file, "a") as archive:
        archive.add(inner, "zz.zip")
    unpacked = unpack(file)
    assert (unpacked.num_pictures, unpacked.num_left_out) == (5, 1)


def test_a_sample_keeps_its_name(photos: Path, tmp_path: Path) -> None:
    folder = unpack(packed(photos, tmp_path / "Clipart.zip")).folder
    assert folder.name == "Clipart 2"
    assert sample_folder("clipart").parent.name == "clipart"


def test_what_is_left_out_of_a_stream_counts_as_well(
    tmp_path: Path,
    thaw_home: Path,
    outside: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taking, "RATIO_COUNTS_FROM", 2**20)
    file = tmp_path / "x.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        info = tarfile.TarInfo("a/big.txt")
        info.size = 50 * 2**20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    file = file.rename(tmp_path / "x.tar")
    assert "unpacks to more than 100 times its size" in refusal(file, outside, thaw_home)


@pytest.mark.parametrize("size", [2**45, 2**70])
def test_a_header_of_impossible_size_is_a_sentence(
    tmp_path: Path, thaw_home: Path, outside: Callable[[], None], size: int
) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    file = tmp_path / "x.tar"
    file.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    refusal(file, outside, thaw_home)


def test_long_names_are_cut_and_stay_different() -> None:
    one, other = (safe_name("ü" * 300 + f"{number}.png") for number in (1, 2))
    assert one != other
    assert one.endswith(".png")
    assert max(len(one.encode()), len(other.encode())) <= MOST_BYTES


def test_odd_names_are_unpacked(tmp_path: Path, picture: bytes) -> None:
    entries = [(f"CON/{'x' * 300}{number}.png", picture) for number in range(2)]
    unpacked = unpack(zipped(tmp_path / "..zip", [*entries, ("b\n/1.png", picture)]))
    assert unpacked.num_pictures == 3
    assert {one.name.partition("~")[0] for one in unpacked.folder.iterdir()} == {"_CON", "b_"}


@pytest.mark.parametrize("name", ["..", "../../up", "/abs", ".hidden", "CON", "a/b", "", "x" * 400])
def test_the_folder_stays_among_the_data_sets(
    photos: Path, tmp_path: Path, thaw_home: Path, name: str
) -> None:
    folder = unpack(packed(photos, tmp_path / "x.zip"), name).folder
    assert folder.parent == thaw_home / "datasets"
    assert not folder.name.startswith(".")


# ---- archives that are refused, whole


def refusal(file: Path, outside: Callable[[], None], thaw_home: Path) -> str:
    with pytest.raises(DataError) as caught:
        unpack(file)
    outside()
    assert list((thaw_home / "datasets").iterdir()) == []
    message = str(caught.value)
    assert file.name in message
    return message


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
