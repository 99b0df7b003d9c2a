"""What a bad disk, a bad cable or a stranger does to the bytes of any file."""

import random
import struct
from collections.abc import Callable, Sequence

Damage = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

HTML = b"<html><body><script>alert(document.cookie)</script></body></html>"
# At which sums overflow.
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def over(content: bytes, place: int, value: bytes) -> bytes:
    """Returns a file with something else at a place."""
    return content[:place] + value + content[place + len(value) :]


def _flip(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return _changed(dice, content, lambda byte: byte ^ (1 << dice.randrange(8)))


def _scribble(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return _changed(dice, content, lambda byte: dice.choice([0, 255, dice.randrange(256)]))


def _changed(dice: random.Random, content: bytes, change: Callable[[int], int]) -> bytes:
    found = bytearray(content)
    # What a file is of is in its first bytes: with those gone, nothing is tried further.
    start = dice.choice([0, 8, 8, 8])
    end = min(len(found), dice.choice([40, 300, len(found), len(found)]))
    for _ in range(dice.choice([1, 4, 16, 64]) if end > start else 0):
        place = dice.randrange(start, end)
        found[place] = change(found[place])
    return bytes(found)


def _truncate(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _insert(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    place = dice.randrange(len(content) + 1)
    return content[:place] + dice.randbytes(dice.choice([1, 7, 400])) + content[place:]


def _duplicate(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    start, end = sorted(dice.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:end] * dice.choice([1, 1, 20]) + content[end:]


def _cut_out(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    start, end = sorted(dice.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[end:]


def _splice(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Gives a head another body."""
    other = dice.choice(others)
    head = dice.choice([8, 16, 40, 100, len(content) // 2])
    return content[:head] + other[dice.choice([0, head, len(other) // 2]) :]


def _extreme(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    if len(content) < 8:
        return content
    place = dice.randrange(min(len(content), dice.choice([40, 300, len(content)])) - 4)
    form = dice.choice(["<H", ">H", "<I", ">I"])
    number = dice.choice(EXTREMES) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    return over(content, place, struct.pack(form, number))


def _polyglot(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Makes a file two files at once."""
    other = dice.choice([*others, HTML, content])
    return content + other if dice.random() < 0.8 else other + content


DAMAGES: dict[str, Damage] = {
    function.__name__.strip("_"): function
    for function in (
        *(_flip, _scribble, _truncate, _insert, _duplicate, _cut_out, _splice, _extreme),
        _polyglot,
    )
}
