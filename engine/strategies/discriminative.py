"""Discriminative rates: the deeper a stage lies, the slower it learns."""

from collections.abc import Sequence

from engine.strategies.base import Phase, Strategy
from engine.strategies.settings import StrategySettings


def _plan(stages: Sequence[str], epochs: int, settings: StrategySettings) -> tuple[Phase, ...]:
    rates = {
        name: settings.lr_decay**depth
        for depth, name in zip(range(len(stages), 0, -1), stages, strict=True)
    }
    return (Phase(1, rates),)


STRATEGY = Strategy(
    name="discriminative",
    label="Discriminative",
    sentence="Everything learns, but each stage more slowly than the one above it. Keeps the "
    "general features of the early stages and lets the late ones adapt; a good default when you "
    "have some hundred images.",
    source="Howard & Ruder 2018 (ULMFiT); Clark et al. 2020 (layer-wise decay)",
    temperature="warm",
    default_lr=1e-3,
    plan=_plan,
    settings=("lr_decay",),
)
