"""Colours of ways to update: those of their runs, as long as no two ways get the same."""

from collections.abc import Sequence

from dashboard.palette import COLD, WARM
from dashboard.runs import colour_of
from engine.insight.update_methods import MethodResult


def way_colours(ways: Sequence[MethodResult]) -> list[str]:
    """Returns a colour a way: its first run's, or where another has it, one that is free.

    Runs share colours when there are many, which is no matter in a list of them; points on a chart
    would be taken for each other.
    """
    found: list[str] = []
    for way in ways:
        own = colour_of(way.updates[0].run)
        alike, others = (COLD, WARM) if own in COLD else (WARM, COLD)
        free = [colour for colour in (own, *alike, *others) if colour not in found]
        found.append(free[0] if free else own)
    return found
