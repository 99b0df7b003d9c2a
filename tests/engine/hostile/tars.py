"""Tar files that no packer writes: links, devices, sparse files, and headers that lie."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from tests.engine.hostile.names import as_text, names

BLOCK = 512
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": lambda content: gzip.compress(content, mtime=0),
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}
KINDS = (
    *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
    *(tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.AREGTYPE, tarfile.GNUTYPE_SPARSE, b"V", b"M"),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.SOLARIS_XHDTYPE, b"?"),
)
RECORDS = (
    *(("path", b"../../pax.png"), ("path", b"/pax.png"), ("path", b""), ("path", b"cats/p.png")),
    *(("path", b"x" * 5000 + b".png"), ("path", b"a\x00b.png"), ("path", b"caf\xe9/1.png")),
    *(("linkpath", b"/etc/passwd"), ("hdrcharset", b"BINARY"), ("hdrcharset", b"klingon")),
    *(("size", one) for one in (b"0", b"-1", b"-512", b"-99999", b"1e3", b"x", b"9" * 18)),
    *(("size", b"9" * 5000), ("mtime", b"nan"), ("uid", b"-5"), ("atime", b"\xff")),
    *(("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10")),
    *(("GNU.sparse.size", one) for one in (b"10", b"-10", b"99999999999", b"z")),
    *(("GNU.sparse.map", one) for one in (b"0,5", b"0,5,3", b"5,-3,9,1", b"a,b", b"", b"0,999999")),
    *(("GNU.sparse.offset", b"-5"), ("GNU.sparse.numbytes", b"7"), ("GNU.sparse.numblocks", b"2")),
    *(("GNU.sparse.name", b"../../sparse.png"), ("SCHILY.xattr.x", b"\0\n=1")),
)
SIZES = (-1, -512, -5120, -(2**40), 1, 511, 10**9, 2**40, 2**70)


def header(name: str, kind: bytes, size: int, link: str = "") -> bytes:
    """Returns the header of an entry; sizes that take more digits than there are go as binary."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    info.devmajor = info.devminor = 1
    found = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    if size == 0:
        return found
    block = bytearray(found[-BLOCK:])
    number = size.to_bytes(12, "big", signed=True) if abs(size) < 2**88 else b"\xff" * 12
    field = b"%011o\0" % size if 0 <= size < 8**11 else bytes([number[0] | 0x80]) + number[1:]
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return found[:-BLOCK] + bytes(block)


def padded(content: bytes) -> bytes:
    """Returns content up to a whole number of blocks."""
    return content + bytes(-len(content) % BLOCK)


def pax(
    records: Sequence[tuple[str, bytes]], length_off: int = 0, kind: bytes = tarfile.XHDTYPE
) -> bytes:
    """Returns an entry that says more of the next one, or of all; with wrong lengths if asked."""
    body = b""
    for key, value in records:
        rest = b" " + key.encode() + b"=" + value + b"\n"
        length = len(rest) + len(str(len(rest) + len(str(len(rest)))))
        body += str(max(0, length + length_off)).encode() + rest
    return header("pax", kind, len(body)) + padded(body)


@st.composite
def tars(draw: st.DrawFn, picture: bytes, inner: bytes) -> bytes:
    """Draws a tar file of pictures, most of it lying about something; see zips."""
    found = b""
    contents = st.sampled_from([picture, picture, picture, b"", b"text", inner, bytes(200_000)])
    for raw in draw(st.lists(names(), min_size=1, max_size=8)):
        name, content = as_text(raw.replace(b"\0", b"_")), draw(contents)
        how = draw(st.integers(0, 19))
        if how == 0:
            records = draw(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=4))
            found += pax(records, draw(st.sampled_from([0, 0, 0, 1, -3, 500, -9999])))
        if how == 1:
            kind, link = draw(st.sampled_from(KINDS)), draw(st.sampled_from(["/etc/passwd", name]))
            found += header(name, kind, draw(st.sampled_from([0, len(content)])), link)
        elif how == 2:
            found += header(name, tarfile.REGTYPE, draw(st.sampled_from(SIZES)))
        elif how == 3:
            found += _sparse(draw, name, content)
        else:
            found += header(name, tarfile.REGTYPE, len(content))
        found += padded(content)
    end = draw(st.sampled_from([bytes(10_240), bytes(10_240), bytes(512), b"", b"\xff" * 700]))
    return found + end


def _sparse(draw: st.DrawFn, name: str, content: bytes) -> bytes:
    """Returns a header of the old way to leave out what is empty."""
    block = bytearray(header(name, tarfile.GNUTYPE_SPARSE, len(content))[-BLOCK:])
    numbers = draw(st.lists(st.sampled_from([0, 5, 512, 10**6, 2**33 - 1]), min_size=2, max_size=8))
    for place, number in enumerate(numbers):
        block[386 + 12 * place : 398 + 12 * place] = b"%011o\0" % number
    block[482] = draw(st.sampled_from([0, 0, 1]))
    block[483:495] = b"%011o\0" % draw(st.sampled_from([0, len(content), 10**6, 8**11 - 1]))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
