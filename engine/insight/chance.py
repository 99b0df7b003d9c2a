"""By how much two results may differ by chance. No torch here."""

import math


def chance_images(accuracy: float, other_accuracy: float, num_val: int) -> float:
    """Returns by how many pictures two models may differ by chance: two standard errors.

    The standard error is that of the difference of two shares, each of which is given one more
    picture that is right and one that is wrong, so that it holds for few pictures too. It takes
    the two as measured on different pictures, which is cautious here: on the same ones, models
    that find the same pictures hard differ by less.

    Args:
        accuracy: of the one, a fraction.
        other_accuracy: of the other.
        num_val: pictures that each was measured on.

    Source: Agresti & Caffo 2000 (Simple and effective confidence intervals for proportions).
    """
    shares = [(one * num_val + 1) / (num_val + 2) for one in (accuracy, other_accuracy)]
    return 2 * math.sqrt((num_val + 2) * sum(share * (1 - share) for share in shares))


def lowest_within_chance(accuracy: float, num_val: int) -> float:
    """Returns the lowest accuracy (fraction) that may be as good as a given one, by chance.

    Args:
        accuracy: the better one, a fraction.
        num_val: pictures that both are measured on.
    """
    right = round(accuracy * num_val)
    lead = next(
        fewer
        for fewer in range(right, -1, -1)
        if fewer <= chance_images(accuracy, (right - fewer) / num_val, num_val)
    )
    return (right - lead) / num_val
