"""Learning-rate schedules, as factors on a starting rate. No torch is imported here."""

import math

from engine.spec import OptimiserSpec

# PyTorch's defaults of OneCycleLR, which are fastai's but for the first.
RISE = 0.3
START_DIVISOR = 25.0
END_DIVISOR = 1e4


def lr_factor(spec: OptimiserSpec, step: int, num_steps: int, steps_per_epoch: int = 1) -> float:
    """Returns the factor on the learning rate at a step.

    `constant` is 1, as is `plateau`, whose drops depend on what is measured; `cosine` falls to 0
    (Loshchilov & Hutter 2016, without restarts); `one_cycle` rises from a 25th to 1 and falls to
    almost nothing (Smith 2018, as PyTorch has it, momentum left alone); `step` is drop_factor to
    the number of drops; `exponential` is decay_rate ** (step / decay_steps), as Keras's
    ExponentialDecay has it, with whole numbers of decays for `staircase`. A warm-up goes before
    all but one_cycle: the factor rises in equal steps, and the schedule counts from its end.

    Args:
        spec: the schedule and its settings.
        step: optimiser steps taken so far, from 0.
        num_steps: optimiser steps in the whole run.
        steps_per_epoch: optimiser steps in an epoch.
    """
    if spec.schedule == "one_cycle":
        return _one_cycle(step, num_steps)
    warmup = round(spec.warmup * num_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    step, num_steps = step - warmup, max(num_steps - warmup, 1)
    if spec.schedule == "exponential":
        decays = step / spec.decay_steps
        return float(spec.decay_rate ** (math.floor(decays) if spec.staircase else decays))
    if spec.schedule == "step":
        return float(spec.drop_factor ** (step // (spec.drop_every * steps_per_epoch)))
    if spec.schedule == "cosine":
        return _half_cosine(1.0, 0.0, min(step, num_steps) / num_steps)
    return 1.0


def _one_cycle(step: int, num_steps: int) -> float:
    top, last = RISE * num_steps - 1, num_steps - 1
    if 0 < step <= top or (step == 0 and top > 0):
        return _half_cosine(1 / START_DIVISOR, 1.0, step / top)
    share = (step - max(top, 0)) / max(last - max(top, 0), 1)
    return _half_cosine(1.0, 1 / START_DIVISOR / END_DIVISOR, min(share, 1.0))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))
