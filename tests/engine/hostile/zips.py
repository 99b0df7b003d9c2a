"""Zip files that no packer writes: what they say of an entry need not be so."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.engine.hostile.names import names

ENCRYPTED, DESCRIPTOR, UTF8, STRONG, PATCH = 1, 8, 0x800, 0x40, 0x20
LINK, PIPE, DISK, FOLDER = 0o120777 << 16, 0o010644 << 16, 0o060644 << 16, 0o040755 << 16
FULL = 0xFFFFFFFF


@dataclass(frozen=True)
class ZipEntry:
    """An entry, and the ways in which it lies.

    Attributes:
        name: bytes, in the list at the end.
        content: before it is packed.
        method: 0 or 8 are done, any other is only said.
        flags: bits of the header.
        mode: Unix mode and type, and DOS attributes.
        extra: further fields.
        crc_off: added to the check sum.
        size_off: added to both sizes that the list tells.
        own_name: in its own header, where that is another.
        shares: whether the list says that it lies where the first one does.
    """

    name: bytes
    content: bytes
    method: int = 8
    flags: int = UTF8
    mode: int = 0o100644 << 16
    extra: bytes = b""
    crc_off: int = 0
    size_off: int = 0
    own_name: bytes | None = None
    shares: bool = False


def packed(entries: Sequence[ZipEntry], comment: bytes = b"", count_off: int = 0) -> bytes:
    """Returns a zip file.

    Args:
        entries: in their order.
        comment: at its end.
        count_off: added to the number of entries that it tells.
    """
    body, listing = bytearray(), bytearray()
    for entry in entries:
        place = 0 if entry.shares else len(body)
        data = _deflated(entry.content) if entry.method == 8 else entry.content
        crc = (zlib.crc32(entry.content) + entry.crc_off) & FULL
        small, large = (max(0, n + entry.size_off) & FULL for n in (len(data), len(entry.content)))
        told = (0, 0, 0) if entry.flags & DESCRIPTOR else (crc, small, large)
        own = entry.name if entry.own_name is None else entry.own_name
        version = 45 if entry.extra else 20
        head = (version, entry.flags, entry.method, 0, 0x21)
        body += struct.pack("<IHHHHHIIIHH", 0x04034B50, *head, *told, len(own), len(entry.extra))
        body += own + entry.extra + data
        if entry.flags & DESCRIPTOR:
            body += struct.pack("<IIII", 0x08074B50, crc, small, large)
        sizes = (crc, FULL, FULL) if entry.extra.startswith(b"\x01\x00") else (crc, small, large)
        lengths = (len(entry.name), len(entry.extra), 0, 0, 0)
        listing += struct.pack("<IHHHHHHIIIHHHHH", 0x02014B50, 0x0314, *head, *sizes, *lengths)
        listing += struct.pack("<II", entry.mode, place) + entry.name + entry.extra
    count = max(0, len(entries) + count_off) & 0xFFFF
    end = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(listing), len(body), len(comment)
    )
    return bytes(body + listing + end + comment)


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


def _zip64(entry: ZipEntry, size: int) -> ZipEntry:
    """Returns an entry whose sizes stand in a field for large ones."""
    length = len(_deflated(entry.content)) if entry.method == 8 else len(entry.content)
    return replace(entry, extra=struct.pack("<HHQQ", 1, 16, size, length))


@st.composite
def zips(draw: st.DrawFn, picture: bytes, inner: bytes) -> bytes:
    """Draws a zip file of pictures, most of them lying about something.

    Args:
        draw: of hypothesis.
        picture: content of a good one.
        inner: an archive to put into it.
    """
    contents = st.sampled_from([picture, picture, picture, b"", b"text", inner, bytes(200_000)])
    entries = []
    for name in draw(st.lists(names(), min_size=1, max_size=8)):
        entry = ZipEntry(name[:60_000], draw(contents), draw(st.sampled_from([0, 8, 8, 8])))
        if draw(st.integers(0, 7)) == 0:
            entry = draw(_lying(entry))
        entries.append(entry)
    return packed(
        entries,
        draw(st.sampled_from([b"", b"", b"<html>", b"PK\x05\x06" * 9])),
        draw(st.sampled_from([0, 0, 0, 0, 1, -1, 65_000])),
    )


@st.composite
def _lying(draw: st.DrawFn, entry: ZipEntry) -> ZipEntry:
    size = len(entry.content)
    return draw(
        st.sampled_from(
            [
                replace(entry, flags=entry.flags | ENCRYPTED),
                replace(entry, flags=entry.flags | DESCRIPTOR),
                replace(entry, flags=entry.flags | STRONG),
                replace(entry, flags=entry.flags | PATCH),
                replace(entry, flags=0),
                replace(entry, crc_off=1),
                replace(entry, size_off=-7),
                replace(entry, size_off=99),
                replace(entry, size_off=2**31),
                replace(entry, own_name=b"other.png"),
                replace(entry, own_name=b""),
                replace(entry, shares=True),
                replace(entry, name=b""),
                replace(entry, name=entry.name + b"/"),
                replace(entry, mode=LINK, content=b"/etc/passwd"),
                replace(entry, mode=PIPE),
                replace(entry, mode=DISK),
                replace(entry, mode=FOLDER),
                *(replace(entry, method=method) for method in (1, 9, 12, 14, 93, 99, 65_535)),
                *(_zip64(entry, number) for number in (size, size + 5, 2**40, 2**64 - 1)),
                replace(entry, extra=b"\x01\x00\x02\x00xx"),
                replace(entry, extra=b"up\xff\xff\x01"),
                replace(entry, extra=struct.pack("<HHBI", 0x7075, 9, 1, 0) + b"\xff\xfe.p"),
            ]
        )
    )
