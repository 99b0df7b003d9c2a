"""What a stranger, a bad disk or a bad cable can make of a picture file."""

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.engine.hostile.archives import ordinary
from tests.engine.hostile.damage import DAMAGES, HTML, over
from tests.engine.hostile.seeds import seeds

Mutation = Callable[[random.Random, bytes], bytes]

PNG = b"\x89PNG\r\n\x1a\n"
MAGICS = (
    *(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"\xff\xd8\xff\xdb", PNG, PNG + b"\0\0\0\x0dIHDR"),
    *(b"GIF87a", b"GIF89a", b"BM", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0"),
    *(b"RIFF\xff\xff\xff\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8L", b"RIFF\x40\0\0\0WEBPVP8X"),
    *(b"%!PS-Adobe", b"%PDF-1.7", b"\0\0\x01\0", b"P6 9 9 255\n", b"<svg", b"PK\x03\x04"),
)
SIDES = (0, 1, 3, 255, 11_000, 16_383, 30_000, 65_535)


@dataclass(frozen=True)
class Picture:
    """A file as a stranger sends it.

    Attributes:
        suffix: of its name, with the dot; may be that of another format.
        content: all of it.
        made: from what and how, for messages.
    """

    suffix: str
    content: bytes = field(repr=False)
    made: str


def _magic(dice: random.Random, content: bytes) -> bytes:
    return dice.choice(MAGICS) + dice.randbytes(dice.choice([0, 20, 3000]))


def _said(dice: random.Random, content: bytes) -> bytes:
    """Puts a web page, or a text that unpacks to much, where a format has room for words."""
    words = dice.choice([HTML, HTML * 500])
    if content.startswith(PNG):
        packed = zlib.compress(dice.choice([words, bytes(80 * 2**20)]))
        text = dice.choice([(b"tEXt", b"Comment\0" + words), (b"zTXt", b"Comment\0\0" + packed)])
        kind, body = dice.choice([text, (b"iCCP", b"icc\0\0" + packed)])
        return content[:33] + _chunk(kind, body) + content[33:]
    if content.startswith(b"\xff\xd8"):
        marker = dice.choice([b"\xff\xfe", b"\xff\xe1", b"\xff\xe2"])
        body = dice.choice([b"", b"Exif\0\0", b"ICC_PROFILE\0\x01\x01", b"MPF\0"]) + words[:60_000]
        return content[:2] + marker + struct.pack(">H", len(body) + 2) + body + content[2:]
    if content.startswith(b"GIF8"):
        return content[:-1] + b"\x21\xfe\x40" + words[:64] + b"\0;"
    return content + words


def _resized(dice: random.Random, content: bytes) -> bytes:
    """Writes another size into the header, in a way that passes for right."""
    width, height = dice.choice(SIDES), dice.choice(SIDES)
    if dice.random() < 0.3:
        width, height = (dice.choice([50_000, 2**31 - 1, 2**32 - 1]) for _ in range(2))
    return with_size(content, width, height)


def _checked(dice: random.Random, content: bytes) -> bytes:
    """Makes the check sums of a PNG right again, so that what is wrong gets further."""
    return _mended(content) if content.startswith(PNG) else content[8:] + content[:8]


MUTATIONS: dict[str, Mutation] = {
    function.__name__.strip("_"): function for function in (_magic, _said, _resized, _checked)
}


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Draws a file that was a picture, with one to three things done to it."""
    name = draw(st.sampled_from(sorted(seeds())))
    known = sorted(MUTATIONS.keys() | DAMAGES.keys())
    names = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
    dice = random.Random(draw(st.integers(0, 2**32 - 1)))
    content = seeds()[name]
    for one in names:
        if one in DAMAGES:
            others = [*seeds().values(), ordinary("zip", b"hello")]
            content = DAMAGES[one](dice, content, others)
        else:
            content = MUTATIONS[one](dice, content)
    suffix = "." + name.rpartition(".")[2]
    other = draw(st.sampled_from([suffix, suffix, suffix, ".jpg", ".PNG", ".tiff"]))
    return Picture(other, content, f"{name}: {', '.join(names)}")


def with_size(content: bytes, width: int, height: int) -> bytes:
    """Returns a picture file whose header tells another size."""
    short_width, short_height = min(width, 65_535), min(height, 65_535)
    if content.startswith(PNG):
        return _mended(over(content, 16, struct.pack(">II", width, height)))
    if content.startswith(b"GIF8"):
        changed = over(content, 6, struct.pack("<HH", short_width, short_height))
        place = changed.find(b"\x2c", 13)
        return over(changed, place + 5, struct.pack("<HH", short_width, short_height))
    if content.startswith(b"BM"):
        return over(content, 18, struct.pack("<II", width, height))
    if content.startswith(b"\xff\xd8"):
        place = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
        return over(content, place + 5, struct.pack(">HH", short_height, short_width))
    if content[8:12] == b"WEBP":
        return _webp_with_size(content, width, height)
    if content.startswith((b"II*\0", b"II+\0")):
        changed = content
        for tag, number in ((0x100, width), (0x101, height), (0x116, height)):
            for kind in (3, 4):
                place = changed.find(struct.pack("<HH", tag, kind))
                if place >= 0:
                    value = struct.pack("<I", number)
                    changed = over(changed, place + (12 if changed[2] == 43 else 8), value)
        return changed
    return content


def _webp_with_size(content: bytes, width: int, height: int) -> bytes:
    kind = content[12:16]
    if kind == b"VP8X":
        sides = ((side - 1) % 2**24 for side in (width, height))
        return over(content, 24, b"".join(side.to_bytes(3, "little") for side in sides))
    if kind == b"VP8L":
        bits = (width - 1) % 2**14 | (height - 1) % 2**14 << 14
        return over(content, 21, struct.pack("<I", bits))
    return over(content, 26, struct.pack("<HH", width % 2**14, height % 2**14))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _mended(content: bytes) -> bytes:
    found, place = bytearray(content), 8
    while place + 12 <= len(found):
        [length] = struct.unpack_from(">I", found, place)
        end = place + 8 + length
        if end + 4 > len(found):
            break
        struct.pack_into(">I", found, end, zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)
