"""Which of several ways is ahead, and of which two a comparison speaks first. No torch here."""

from collections.abc import Iterable, Sequence

from engine.insight.compare import RunReport
from engine.insight.experiment import Pair, Way, pairs_of, ways_of


def judged_ways(reports: Iterable[RunReport]) -> tuple[list[Way], list[Pair]]:
    """Returns the ways in which runs were trained, as far as they were judged, and the pairs."""
    ways = [way for way in ways_of(reports) if way.samples]
    return ways, pairs_of(ways)


def ranked(ways: Sequence[Way]) -> list[Way]:
    """Returns ways by accuracy, the best first."""
    return sorted(ways, key=lambda way: -(way.accuracy.value if way.accuracy else 0.0))


def leading_pair(ways: Sequence[Way], pairs: Sequence[Pair]) -> Pair | None:
    """Returns the two best ways, else the first two that can be compared, if there are any."""
    best = {id(way) for way in ranked(ways)[:2]}
    leading = (pair for pair in pairs if {id(pair.first), id(pair.second)} == best)
    return next(leading, pairs[0] if pairs else None)
