"""Gradual unfreezing: one stage more at a time, from the top."""

from collections.abc import Sequence

from engine.strategies.base import Phase, Strategy, all_at
from engine.strategies.settings import StrategySettings


def _plan(stages: Sequence[str], epochs: int, settings: StrategySettings) -> tuple[Phase, ...]:
    starts = range(1, epochs + 1, settings.unfreeze_every)
    return tuple(
        Phase(start, all_at(stages[len(stages) - index :]))
        for index, start in zip(range(len(stages) + 1), starts, strict=False)
    )


STRATEGY = Strategy(
    name="gradual",
    label="Gradual",
    sentence="The head learns first, then one stage more every epoch, from the top down. What "
    "lies deep is not shaken by a head that knows nothing yet; with fewer epochs than stages "
    "the first stages stay frozen.",
    source="Howard & Ruder 2018 (ULMFiT)",
    temperature="warm",
    default_lr=1e-3,
    plan=_plan,
    settings=("unfreeze_every",),
)
