"""Learning-rate schedules, as factors on the starting rate. No torch is imported here."""

import math

from engine.spec import OptimiserSpec


def lr_factor(spec: OptimiserSpec, step: int, num_steps: int) -> float:
    """Returns the factor on the learning rate at a step.

    `constant` is 1; `cosine` falls to 0 (Loshchilov & Hutter 2016, without restarts);
    `exponential` is decay_rate ** (step / decay_steps), as Keras's ExponentialDecay has it, with
    whole numbers of decays for `staircase`.

    Args:
        spec: the schedule and its settings.
        step: optimiser steps taken so far, from 0.
        num_steps: optimiser steps in the whole run.
    """
    if spec.schedule == "constant":
        return 1.0
    if spec.schedule == "exponential":
        decays = step / spec.decay_steps
        return float(spec.decay_rate ** (math.floor(decays) if spec.staircase else decays))
    return 0.5 * (1.0 + math.cos(math.pi * min(step, num_steps) / num_steps))
