"""Archives as strangers send them: of every format, damaged, or made to do harm."""

import random
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.engine.hostile.damage import DAMAGES, HTML
from tests.engine.hostile.tars import PACKERS, header, padded, tars
from tests.engine.hostile.zips import ZipEntry, packed, zips

FORMATS = ("zip", *PACKERS)


@dataclass(frozen=True)
class Archive:
    """A file as it is sent.

    Attributes:
        suffix: of its name, without the dot.
        content: all of it.
        made: how, for messages.
    """

    suffix: str
    content: bytes = field(repr=False)
    made: str


def ordinary(suffix: str, picture: bytes) -> bytes:
    """Returns an archive of two pictures in each of two classes, as a person packs them."""
    names = [f"{name}/{number}.png" for name in ("cats", "dogs") for number in range(2)]
    if suffix == "zip":
        return packed([ZipEntry(name.encode(), picture) for name in names])
    entries = [header(name, b"0", len(picture)) + padded(picture) for name in names]
    return PACKERS[suffix](b"".join(entries) + bytes(10_240))


@st.composite
def archives(draw: st.DrawFn, picture: bytes) -> Archive:
    """Draws an archive that was damaged, or that lies, or both.

    Args:
        draw: of hypothesis.
        picture: content of a good one.
    """
    suffix = draw(st.sampled_from(FORMATS))
    inner = ordinary(draw(st.sampled_from(FORMATS)), picture)
    if draw(st.integers(0, 3)) == 0:
        content, made = ordinary(suffix, picture), ["ordinary"]
    elif suffix == "zip":
        content, made = draw(zips(picture, inner)), ["made up"]
    else:
        content, made = PACKERS[suffix](draw(tars(picture, inner))), ["made up"]
    least = 1 if made == ["ordinary"] else 0
    damages = draw(st.lists(st.sampled_from(sorted(DAMAGES)), min_size=least, max_size=least + 1))
    dice = random.Random(draw(st.integers(0, 2**32 - 1)))
    for one in damages:
        content = DAMAGES[one](dice, content, [inner, HTML, picture])
    name = draw(st.sampled_from([suffix, suffix, suffix, *FORMATS, "tgz", "ZIP"]))
    return Archive(name, content, f"{suffix}: {', '.join([*made, *damages])}")
