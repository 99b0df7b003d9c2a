"""Fewer points of a line, none of its peaks lost. No torch here."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def kept_points(ys: Sequence[float | None] | NDArray[np.floating], most: int) -> NDArray[np.intp]:
    """Returns the places of the points of a line that are drawn, in order.

    The line is cut into spans of as many points each. Of each, the first of its least and the first
    of its greatest values stay, as do both ends of the line and the ends of its gaps.

    Args:
        ys: values in the order of the line; None or not a number where it has a gap.
        most: so many points are left at most, as far as gaps allow; 4 or more.

    Source: the least and greatest of each pixel column, as in M4 (Jugel et al. 2014).
    """
    values_N = np.array([np.nan if y is None else y for y in ys], dtype=float)
    num = len(values_N)
    if num <= most:
        return np.arange(num)
    edges = np.linspace(0, num, max(1, (most - 2) // 2) + 1).astype(int)
    kept = {0, num - 1}
    for start, end in itertools.pairwise(edges.tolist()):
        span = values_N[start:end]
        if np.isnan(span).all():
            continue
        kept |= {start + int(np.nanargmin(span)), start + int(np.nanargmax(span))}
    gaps_N = np.isnan(values_N)
    kept |= set(np.flatnonzero(gaps_N & ~np.roll(gaps_N, 1)).tolist())
    return np.array(sorted(kept), dtype=np.intp)
