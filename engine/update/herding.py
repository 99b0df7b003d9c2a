"""Which old images are kept to be seen again: those whose mean stays nearest to the class's.

Source: iCaRL (Rebuffi et al. 2017), algorithm 4.

Shapes: N images, D features.
"""

import numpy as np
from numpy.typing import NDArray


def herded(features_ND: NDArray[np.floating], num: int) -> NDArray[np.intp]:
    """Returns the places of so many images, the most telling first.

    A smaller choice is the beginning of a larger one. Features are brought to length 1, as in the
    paper; images with the same features are taken in their order.

    Args:
        features_ND: of one class.
        num: images to choose; all, in order of choice, where it is larger than N.
    """
    unit_ND = features_ND.astype(np.float64)
    unit_ND /= np.maximum(np.linalg.norm(unit_ND, axis=1, keepdims=True), 1e-12)
    mean_D = unit_ND.mean(axis=0)
    chosen: list[int] = []
    sum_D = np.zeros_like(mean_D)
    left_N = np.ones(len(unit_ND), dtype=bool)
    for count in range(1, min(num, len(unit_ND)) + 1):
        away_N = np.linalg.norm(mean_D - (sum_D + unit_ND) / count, axis=1)
        place = int(np.where(left_N, away_N, np.inf).argmin())
        chosen.append(place)
        left_N[place] = False
        sum_D += unit_ND[place]
    return np.array(chosen, dtype=np.intp)


def num_replayed(num_images: int, share: float) -> int:
    """Returns how many of a class's earlier images are seen again."""
    return max(1, round(share * num_images))
