"""How an epoch is cut into batches. No torch is imported here."""

import math


def num_batches(num_items: int, batch_size: int) -> int:
    """Returns the number of batches in an epoch, which is its number of optimiser steps.

    Batches are of nearly equal size, and of two items at least where there are two.

    Args:
        num_items: items in the epoch.
        batch_size: at most so many in a batch.
    """
    return max(1, min(math.ceil(num_items / batch_size), num_items // 2))
