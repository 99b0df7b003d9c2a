"""How sure the difference of two shares is that were measured on the same images. No torch here."""

import math

from scipy import optimize, stats

from engine.insight.intervals import Estimate

# As near to its ends as a difference is looked for.
NEAR = 1e-12


def paired_difference(
    only_first: float, only_second: float, num: float, confidence: float
) -> Estimate:
    """Returns the first share right less the second, and the ends of its interval.

    Each end is by itself on the right side in `confidence` of all cases, so both are in
    `2 confidence - 1` of them. Other than a bootstrap's, the interval has a width even where no
    image changed: from a few images that did not, nothing follows for many.

    Args:
        only_first: images that the one alone tells right.
        only_second: images that the other alone tells right.
        num: images, all together; more than none.
        confidence: of each end, from 0.5 to 1.

    Source: Tango 1998 (score interval; at a difference of nothing it is McNemar's test).
    """
    critical = float(stats.norm.ppf(confidence))
    value = (only_first - only_second) / num

    def above(difference: float) -> float:
        return _score(only_first, only_second, num, difference) + critical

    def below(difference: float) -> float:
        return _score(only_first, only_second, num, difference) - critical

    high = 1.0 if value >= 1.0 else float(optimize.brentq(above, value, 1.0 - NEAR))
    low = -1.0 if value <= -1.0 else float(optimize.brentq(below, -1.0 + NEAR, value))
    return Estimate(value, low, high)


def _score(b: float, c: float, num: float, difference: float) -> float:
    """Returns by how many standard errors what was found lies above a difference."""
    # The share of images that only the second tells right, were that the difference.
    linear = (2 * num - b + c) * difference - b - c
    product = c * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 + 8 * num * product)) - linear) / (4 * num)
    variance = num * (2 * share + difference * (1 - difference))
    lead = b - c - num * difference
    if variance <= 0.0:
        return 0.0 if lead == 0.0 else math.copysign(math.inf, lead)
    return lead / math.sqrt(variance)
