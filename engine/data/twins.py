"""Pictures that are there more than once, as they are or nearly: groups that belong together."""

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.data.check import Verdict
from engine.data.likeness import find_alike
from engine.files import write_text
from engine.home import cache_folder

VERSION = 1

Pair = tuple[int, int]


def same_pairs(verdicts: Sequence[Verdict]) -> list[Pair]:
    """Returns pairs of positions with the same content: the first of each with every other."""
    by_content: dict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        by_content[verdict.digest].append(index)
    return [(group[0], other) for group in by_content.values() for other in group[1:]]


def alike_pairs(paths: Sequence[Path], verdicts: Sequence[Verdict]) -> list[Pair]:
    """Returns pairs of positions that look nearly the same; of the same contents the first counts.

    Which contents are alike is kept on disk, since comparing them takes a while.
    """
    first: dict[str, int] = {}
    for index, verdict in enumerate(verdicts):
        first.setdefault(verdict.digest, index)
    contents = sorted(first)
    joined = f"{VERSION};" + ";".join(contents)
    key = hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()
    store = cache_folder("twins") / f"{key}.json"
    pairs = _load(store, len(contents))
    if pairs is None:
        places = [first[content] for content in contents]
        pairs = find_alike(
            [paths[place] for place in places],
            [verdicts[place].likeness for place in places],
            contents,
        )
        with contextlib.suppress(OSError):
            write_text(store, json.dumps(pairs))
    found = ((first[contents[one]], first[contents[other]]) for one, other in pairs)
    return sorted((min(pair), max(pair)) for pair in found)


def grouped(pairs: Iterable[Pair]) -> list[tuple[int, ...]]:
    """Returns what hangs together by pairs, each group in order."""
    group_of: dict[int, set[int]] = {}
    for one, other in pairs:
        first, second = group_of.setdefault(one, {one}), group_of.setdefault(other, {other})
        if first is second:
            continue
        larger, smaller = (first, second) if len(first) >= len(second) else (second, first)
        larger |= smaller
        for member in smaller:
            group_of[member] = larger
    unique = {id(group): tuple(sorted(group)) for group in group_of.values()}
    return sorted(unique.values())


def twin_groups(paths: Sequence[Path], verdicts: Sequence[Verdict]) -> list[tuple[int, ...]]:
    """Returns groups of positions of pictures that are the same or nearly so."""
    return grouped([*same_pairs(verdicts), *alike_pairs(paths, verdicts)])


def _load(store: Path, count: int) -> list[Pair] | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        pairs = [(int(one), int(other)) for one, other in json.loads(store.read_text())]
        if all(0 <= place < count for pair in pairs for place in pair):
            return pairs
    return None
