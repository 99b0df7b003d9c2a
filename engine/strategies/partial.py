"""Partial fine-tuning: the head and the last stages learn."""

from collections.abc import Sequence

from engine.strategies.base import Phase, Strategy, all_at
from engine.strategies.settings import StrategySettings


def _plan(stages: Sequence[str], epochs: int, settings: StrategySettings) -> tuple[Phase, ...]:
    first = max(0, len(stages) - settings.last_stages)
    return (Phase(1, all_at(stages[first:])),)


STRATEGY = Strategy(
    name="partial",
    label="Partial",
    sentence="The head and the last few stages learn, the earlier ones stay as they were "
    "pre-trained. Early stages see edges and textures that most pictures share, late ones what "
    "the old classes needed; a middle way where frozen is too stiff and full overfits.",
    source="Yosinski et al. 2014",
    temperature="warm",
    default_lr=1e-3,
    plan=_plan,
    settings=("last_stages",),
)
