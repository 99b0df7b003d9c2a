"""Surgical fine-tuning: the head and one block learn."""

from collections.abc import Sequence

from engine.strategies.base import Phase, Strategy
from engine.strategies.settings import StrategySettings


def _plan(stages: Sequence[str], epochs: int, settings: StrategySettings) -> tuple[Phase, ...]:
    block = settings.block or stages[min(1, len(stages) - 1)]
    return (Phase(1, {block: 1.0}),)


STRATEGY = Strategy(
    name="surgical",
    label="Surgical",
    sentence="The head and one chosen block learn. An early block mends pictures that look "
    "different (noise, colours, style), a late one classes that mean something different; the "
    "rest is kept.",
    source="Lee et al. 2023",
    temperature="warm",
    default_lr=1e-3,
    plan=_plan,
    settings=("block",),
)
