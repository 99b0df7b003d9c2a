"""Names of runs, groups and searches: too many to guess, and short where people read them.

Whoever knows an id can ask for what it names, and a queue has few of them, so they are drawn from
2^64. Those of earlier releases have eight digits and stay as they are.
"""

import secrets
from collections.abc import Iterable
from itertools import pairwise

ID_BYTES = 8
LEAST_SHOWN = 8


def new_id() -> str:
    """Returns sixteen hexadecimal digits that nobody can guess."""
    return secrets.token_hex(ID_BYTES)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Returns for each id as much of its beginning as tells it from all others, 8 digits or more.

    Commands take such a beginning for the id.
    """
    ordered = sorted(set(ids))
    needed = dict.fromkeys(ordered, LEAST_SHOWN)
    for one, other in pairwise(ordered):
        shared = next(
            (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
            len(one),
        )
        needed[one] = max(needed[one], shared + 1)
        needed[other] = max(needed[other], shared + 1)
    return {one: one[:length] for one, length in needed.items()}
