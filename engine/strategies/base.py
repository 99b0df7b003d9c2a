"""A strategy is data: which stages learn from which epoch on, and how fast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Phase:
    """What learns from one epoch on, until the next phase starts.

    Attributes:
        start_epoch: the first epoch of the phase; counts from 1.
        trainable: names of the backbone's stages whose weights may move; the head always may.
        lr_scale: factor on the learning rate of those stages.
    """

    start_epoch: int
    trainable: tuple[str, ...]
    lr_scale: float = 1.0


@dataclass(frozen=True)
class Strategy:
    """One way to update pre-trained weights.

    Attributes:
        name: the field's word for it, used in specs.
        label: what a person reads.
        sentence: what it does and when it helps.
        source: the paper (authors, year) that it comes from.
        temperature: cold where the backbone is frozen, warm where it moves; decides the colour.
        default_lr: a learning rate to start from with AdamW.
        plan: gives the phases for a backbone's stages (stem first) and a number of epochs.
    """

    name: str
    label: str
    sentence: str
    source: str
    temperature: Literal["cold", "warm"]
    default_lr: float
    plan: Callable[[Sequence[str], int], tuple[Phase, ...]]

    def ever_trainable(self, stages: Sequence[str], epochs: int) -> frozenset[str]:
        """Returns the stages that learn in at least one phase."""
        return frozenset(name for phase in self.plan(stages, epochs) for name in phase.trainable)


def phase_at(phases: Sequence[Phase], epoch: int) -> Phase:
    """Returns the phase that an epoch (counted from 1) lies in."""
    return max(
        (phase for phase in phases if phase.start_epoch <= epoch),
        key=lambda phase: phase.start_epoch,
    )
