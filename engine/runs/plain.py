"""Numbers and texts from a stranger: finite, of a size that any store keeps, and printable."""

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

MOST_TEXT = 200_000
MOST_DEPTH = 8
MOST_WHOLE = 2**31 - 1
# The last year that a date can have, with a day to spare for time zones.
MOST_SECONDS = 253_402_200_000.0
# What a terminal acts on, what turns a line round, and what is no text.
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _printable(text: str) -> str:
    if UNSEEN.search(text):
        raise ValueError("has characters that cannot be shown")
    return text


Text = Annotated[str, Field(max_length=MOST_TEXT), AfterValidator(_printable)]
Whole = Annotated[int, Field(ge=0, le=MOST_WHOLE * 2**20)]
Small = Annotated[int, Field(ge=0, le=MOST_WHOLE)]
Time = Annotated[float, Field(ge=0.0, le=MOST_SECONDS)]
Finite = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | float


def printable(text: str) -> str:
    """Returns a text in which what cannot be shown is a question mark."""
    return UNSEEN.sub("?", text)


def plain_json(value: Any, depth: int = 0) -> None:
    """Checks plain data of any shape.

    Raises:
        ValueError: it is too deep, or a number or text in it is none that is kept.
    """
    if depth > MOST_DEPTH:
        raise ValueError("has lists within lists within lists")
    if isinstance(value, str):
        _printable(value)
    elif isinstance(value, dict):
        for name, one in value.items():
            _printable(name)
            plain_json(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            plain_json(one, depth + 1)
    elif isinstance(value, int | float) and not -1e300 < value < 1e300:
        raise ValueError("has a number that is not finite")


def as_planned(text: str) -> str:
    """Checks learning rates that were planned, as the live charts draw them.

    Raises:
        ValueError: they are none.
    """
    try:
        curve = json.loads(text)
        lists = [curve["epochs"], curve["head"], curve["backbone"]]
        alike = len({len(one) for one in lists}) == 1
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("are no learning rates") from error
    numbers = [one for values in lists for one in values if one is not None]
    if not alike or not all(isinstance(one, int | float) and abs(one) < 1e300 for one in numbers):
        raise ValueError("are no learning rates")
    return text
