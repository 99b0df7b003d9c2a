"""Which learning rate each part of a model has at each step, known before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.spec import OptimiserSpec, RunSpec
from engine.strategies import STRATEGIES, Phase, phase_at
from engine.training.schedules import lr_factor

CURVE_POINTS = 200


@dataclass(frozen=True)
class RateCurve:
    """Learning rates over a run; the lists are of equal length.

    Attributes:
        epochs: where in the run, as epochs completed.
        head: the head's rate there, per step.
        backbone: the rate of the fastest stage that learns there; None where all are frozen.
    """

    epochs: list[float]
    head: list[float]
    backbone: list[float | None]


@dataclass(frozen=True)
class RatePlan:
    """The learning rates that a spec asks for.

    Attributes:
        optimiser: rates and schedule.
        phases: of the strategy.
        epochs: in the run.
        steps_per_epoch: optimiser steps in each.
    """

    optimiser: OptimiserSpec
    phases: tuple[Phase, ...]
    epochs: int
    steps_per_epoch: int

    @property
    def head_lr(self) -> float:
        """The head's learning rate before phases and schedule."""
        return self.optimiser.lr

    @property
    def backbone_lr(self) -> float:
        """The backbone's learning rate before phases and schedule."""
        return self.optimiser.backbone_lr or self.optimiser.lr

    @cached_property
    def _starts(self) -> list[int]:
        """Steps before which the schedule starts anew, and one past the run's end."""
        anew = {(p.start_epoch - 1) * self.steps_per_epoch for p in self.phases if p.restarts}
        return sorted({0, self.epochs * self.steps_per_epoch} | anew)

    def phase(self, step: int) -> Phase:
        """Returns the phase of the step that comes after `step` steps."""
        return phase_at(self.phases, min(step // self.steps_per_epoch, self.epochs - 1) + 1)

    def factor(self, step: int) -> float:
        """Returns the schedule's factor after `step` steps."""
        index = max(i for i, start in enumerate(self._starts[:-1]) if start <= step)
        start, end = self._starts[index], self._starts[index + 1]
        return lr_factor(self.optimiser, step - start, end - start, self.steps_per_epoch)

    def stage_rates(self, rates: Mapping[str, float], step: int) -> dict[str, float]:
        """Returns the learning rates that factors on the backbone's rate come to."""
        now = self.backbone_lr * self.factor(step)
        return {name: rate * now for name, rate in rates.items()}

    def curve(self, points: int = CURVE_POINTS) -> RateCurve:
        """Returns the rates at so many steps at most, evenly spread."""
        num_steps = self.epochs * self.steps_per_epoch
        every = max(1, -(-num_steps // points))
        steps = sorted({*range(0, num_steps, every), *self._edges(), num_steps - 1})
        backbone = []
        for step in steps:
            rates = self.stage_rates(self.phase(step).rates, step)
            backbone.append(max(rates.values()) if rates else None)
        return RateCurve(
            epochs=[(step + 1) / self.steps_per_epoch for step in steps],
            head=[self.head_lr * self.phase(s).head_rate * self.factor(s) for s in steps],
            backbone=backbone,
        )

    def _edges(self) -> list[int]:
        starts = [(phase.start_epoch - 1) * self.steps_per_epoch for phase in self.phases]
        return [step for start in starts for step in (start - 1, start) if step >= 0]


def rate_plan(spec: RunSpec, stages: Sequence[str], steps_per_epoch: int) -> RatePlan:
    """Returns the plan of a spec for a backbone's stages, stem first."""
    strategy = STRATEGIES[spec.strategy.name]
    phases = strategy.plan(stages, spec.training.epochs, spec.strategy)
    return RatePlan(spec.optimiser, phases, spec.training.epochs, steps_per_epoch)


def same_every_epoch(spec: RunSpec) -> bool:
    """Returns whether a frozen backbone gives the same features in every epoch, or a few views."""
    training = spec.training
    changed = training.mixup or training.cutmix or training.batch_norm == "update"
    return (spec.images.augmentation == "none" or spec.images.views > 0) and not changed


def phase_spans(phases: Sequence[Phase], epochs: int) -> list[tuple[Phase, int, int]]:
    """Returns each phase with its first and its last epoch, in order; epochs count from 1."""
    ordered = sorted(phases, key=lambda phase: phase.start_epoch)
    ends = [phase.start_epoch - 1 for phase in ordered[1:]] + [epochs]
    return [(phase, phase.start_epoch, end) for phase, end in zip(ordered, ends, strict=True)]
