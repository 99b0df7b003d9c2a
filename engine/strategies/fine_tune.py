"""fastai's fine_tune: one epoch of the head, then everything at discriminative rates."""

from collections.abc import Sequence

from engine.strategies.base import Phase, Strategy
from engine.strategies.settings import StrategySettings

SLOWEST = 100.0


def _plan(stages: Sequence[str], epochs: int, settings: StrategySettings) -> tuple[Phase, ...]:
    probe = Phase(1, {})
    if epochs == 1:
        return (probe,)
    # Half the rate once everything learns, and a hundredth of that for the stem.
    span = max(len(stages), 1)
    rates = {name: 0.5 * SLOWEST ** -((span - index) / span) for index, name in enumerate(stages)}
    return probe, Phase(2, rates, head_rate=0.5, restarts=True)


STRATEGY = Strategy(
    name="fine_tune",
    label="fastai's fine_tune",
    sentence="One epoch of the head alone, then everything at half the rate, from a hundredth of "
    "it in the stem up to all of it in the head. fastai's answer to needing no tuning; meant for "
    "the one-cycle schedule.",
    source="Howard & Gugger 2020 (fastai)",
    temperature="warm",
    default_lr=2e-3,
    plan=_plan,
)
