"""Archives from strangers: their pictures are taken in, and what is none is left out and told."""

import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import taking
from engine.data.archives import unpack
from engine.data.entry_names import MOST_BYTES, safe_name, safe_path
from engine.data.report import inspect_folder
from engine.data.samples import sample_folder
from tests.engine.packed import FORMATS, outside, packed, photos, picture, reasons, refusal, zipped

__all__ = ["outside", "photos", "picture"]


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
