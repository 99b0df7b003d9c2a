"""A strategy is data: which stages learn from which epoch on, how fast, and what is added."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.models.catalogue import Select
from engine.strategies.settings import StrategySettings


@dataclass(frozen=True)
class Phase:
    """What learns from one epoch on, until the next phase starts.

    Attributes:
        start_epoch: the first epoch of the phase; counts from 1.
        rates: stages of the backbone that learn, each with a factor on the backbone's learning
            rate; those that are not named are frozen.
        head_rate: factor on the head's learning rate; the head always learns.
        restarts: the schedule of the learning rate starts anew with this phase.
    """

    start_epoch: int
    rates: Mapping[str, float]
    head_rate: float = 1.0
    restarts: bool = False

    @property
    def trainable(self) -> tuple[str, ...]:
        """Names of the stages that learn."""
        return tuple(self.rates)


@dataclass(frozen=True)
class Pull:
    """A pull that is added to the loss in place of weight decay.

    Attributes:
        backbone: towards its first weights; half of this times the squared distance is added.
        head: towards zero, likewise.
    """

    backbone: float
    head: float


@dataclass(frozen=True)
class Adapters:
    """Low-rank adapters that are put on the backbone before the first epoch.

    Attributes:
        rank: inner dimension.
        scale: factor on their product.
    """

    rank: int
    scale: float


Plan = Callable[[Sequence[str], int, StrategySettings], tuple[Phase, ...]]


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
        plan: gives the phases for a backbone's stages (stem first), a number of epochs and the
            strategy's settings.
        settings: names of the StrategySettings that it reads.
        select: which parameters of a stage that learns do so.
        moves_statistics: whether BatchNorm's running statistics of a stage that learns follow the
            new data; where not, those of the pre-training are used and kept.
        pull: what is added to the loss, if anything is.
        adapters: what is added to the backbone, if anything is.
        blend: share of the last weights in the kept model, where it is a blend of those with the
            weights at the start of the last phase.
    """

    name: str
    label: str
    sentence: str
    source: str
    temperature: Literal["cold", "warm"]
    default_lr: float
    plan: Plan
    settings: tuple[str, ...] = ()
    select: Select = "all"
    moves_statistics: bool = True
    pull: Callable[[StrategySettings], Pull] | None = None
    adapters: Callable[[StrategySettings], Adapters] | None = None
    blend: Callable[[StrategySettings], float] | None = None

    def ever_trainable(
        self, stages: Sequence[str], epochs: int, settings: StrategySettings | None = None
    ) -> frozenset[str]:
        """Returns the stages that learn in at least one phase."""
        phases = self.plan(stages, epochs, settings or StrategySettings())
        return frozenset(name for phase in phases for name in phase.trainable)


def all_at(stages: Sequence[str], rate: float = 1.0) -> dict[str, float]:
    """Returns the same rate for every one of the stages."""
    return dict.fromkeys(stages, rate)


def phase_at(phases: Sequence[Phase], epoch: int) -> Phase:
    """Returns the phase that an epoch (counted from 1) lies in."""
    return max(
        (phase for phase in phases if phase.start_epoch <= epoch),
        key=lambda phase: phase.start_epoch,
    )
