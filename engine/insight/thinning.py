"""Fewer points for a line that has more of them than a screen has pixels. No torch here.

Each stretch of a line is thinned to its least and its greatest value, so that no peak is lost; the
first and the last point stay. Live charts do likewise in the browser (dashboard/live/series.js).

Shapes: L lines, N points.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Twice as many as a chart in half of a wide page is broad in pixels.
MOST_POINTS = 1200


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
    stretches = max(1, most // (2 * len(values_LN)))
    kept = [0, num - 1]
    for places in np.array_split(np.arange(num), min(stretches, num)):
        for values in values_LN[:, places]:
            kept += places[_telling(values)].tolist()
    return np.unique(np.array(kept, dtype=np.intp))


def _telling(values: NDArray[np.float64]) -> list[int]:
    missing = np.isnan(values)
    found = [int(missing.argmax())] if missing.any() else []
    if not missing.all():
        found += [int(np.nanargmin(values)), int(np.nanargmax(values))]
    return found
