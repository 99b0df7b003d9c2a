"""Learning-rate schedules, as factors on the starting rate. No torch is imported here."""

import math

from engine.spec import ScheduleName


def lr_factor(schedule: ScheduleName, step: int, num_steps: int) -> float:
    """Returns the factor on the learning rate at a step.

    Args:
        schedule: `constant`, or `cosine` (Loshchilov & Hutter 2016, without restarts).
        step: optimiser steps taken so far, from 0.
        num_steps: optimiser steps in the whole run.
    """
    if schedule == "constant":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * min(step, num_steps) / num_steps))
