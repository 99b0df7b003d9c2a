"""Fewer points for a line that has more of them than a screen has pixels. No torch here.

Each stretch of a line is thinned to its least and its greatest value, so that no peak is lost; the
first and the last point stay. Live charts do likewise in the browser (dashboard/live/series.js).

Shapes: L lines, N points, S stretches of up to W points.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# About one a pixel of a chart in half of a wide page.
MOST_POINTS = 600


def kept_places(lines: Sequence[ArrayLike], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Returns the places that are drawn of lines with shared x, in order; all where they are few.

    The N points are cut into stretches of equal length. Of each stretch the places of the least
    and of the greatest value of every line are kept, and the first that is missing (NaN).

    Args:
        lines: each with N values.
        most: points that are kept, about; never fewer than two a line.
    """
    values_LN = np.atleast_2d(np.asarray(lines, dtype=np.float64))
    num = values_LN.shape[1]
    if num <= most:
        return np.arange(num)
    stretches = min(num, max(1, most // (2 * len(values_LN))))
    first_S = num * np.arange(stretches + 1) // stretches
    places_SW = first_S[:-1, None] + np.arange(np.diff(first_S).max())
    # Stretches that are one shorter than the longest end with a place that is another's.
    places_SW = np.minimum(places_SW, first_S[1:, None] - 1)
    kept = [np.array([0, num - 1])]
    for values_N in values_LN:
        values_SW = values_N[places_SW]
        missing_SW = np.isnan(values_SW)
        least_S = np.where(missing_SW, np.inf, values_SW).argmin(axis=1)
        greatest_S = np.where(missing_SW, -np.inf, values_SW).argmax(axis=1)
        gap_S = missing_SW.argmax(axis=1)
        some_S, gaps_S = ~missing_SW.all(axis=1), missing_SW.any(axis=1)
        for column_S, rows_S in ((least_S, some_S), (greatest_S, some_S), (gap_S, gaps_S)):
            kept.append(places_SW[rows_S, column_S[rows_S]])
    return np.unique(np.concatenate(kept))
