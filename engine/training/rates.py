"""Learning rates as they are while a run goes on: the plan, what was measured, what was steered."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from engine.spec import Act
from engine.spec.steering import BACKBONE
from engine.strategies import Phase
from engine.training.optimisers import HEAD
from engine.training.plan import RatePlan

# Of the plateau schedule, what changes while a run goes on.
PLATEAU = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


class Rates:
    """Sets the learning rate of every parameter group before each step.

    Attributes:
        plan: what the spec asks for.
    """

    def __init__(self, optimiser: Optimizer, plan: RatePlan):
        self.plan = plan
        self._optimiser = optimiser
        self._frozen: set[str] = set()
        self._freed: set[str] = set()
        self._factors: dict[str, float] = {}
        # A rate of 1 that is lowered as PyTorch lowers any.
        self._measured = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        self._plateau = ReduceLROnPlateau(
            self._measured,
            factor=plan.optimiser.drop_factor,
            patience=plan.optimiser.patience,
            threshold=0.0,
        )

    def stage_factors(self, phase: Phase) -> dict[str, float]:
        """Returns the stages that learn in a phase, steering counted in, and their factors.

        A stage that the phase freezes and a person set free learns like the fastest of the others.
        """
        rates = {name: rate for name, rate in phase.rates.items() if name not in self._frozen}
        fastest = max(phase.rates.values(), default=phase.head_rate)
        rates |= {name: fastest for name in self._freed if name not in rates}
        common = self._factors.get(BACKBONE, 1.0)
        return {name: rate * common * self._factors.get(name, 1.0) for name, rate in rates.items()}

    def head_factor(self, phase: Phase) -> float:
        """Returns the head's factor in a phase, steering counted in."""
        return phase.head_rate * self._factors.get(HEAD, 1.0)

    def apply(self, act: Act) -> None:
        """Takes an act into account from now on."""
        if act.kind == "freeze":
            self._frozen.add(act.target)
            self._freed.discard(act.target)
        elif act.kind == "unfreeze":
            self._freed.add(act.target)
            self._frozen.discard(act.target)
        else:
            self._factors[act.target] = self._factors.get(act.target, 1.0) * act.factor

    def state(self) -> dict[str, Any]:
        """Returns what was measured and steered so far, as plain data for JSON."""
        plateau = self._plateau.state_dict()
        return {
            "frozen": sorted(self._frozen),
            "freed": sorted(self._freed),
            "factors": dict(self._factors),
            "level": self._level,
            "plateau": {name: plateau[name] for name in PLATEAU},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave."""
        self._frozen, self._freed = set(state["frozen"]), set(state["freed"])
        self._factors = dict(state["factors"])
        self._measured.param_groups[0]["lr"] = state["level"]
        self._plateau.load_state_dict(dict(state["plateau"]))

    def set(self, step: int) -> dict[str, float]:
        """Sets the rates for the step that comes after `step` steps, and returns them.

        Returns:
            `lr/head`, and `lr/backbone` of the fastest stage where any learns.
        """
        phase = self.plan.phase(step)
        stages = self.plan.stage_rates(self._lowered(self.stage_factors(phase)), step)
        head = self.plan.head_lr * self.plan.factor(step) * self._level * self.head_factor(phase)
        for group in self._optimiser.param_groups:
            group["lr"] = head if group["name"] == HEAD else stages.get(group["name"], 0.0)
        fastest = {"lr/backbone": max(stages.values())} if stages else {}
        return {"lr/head": head} | fastest

    def measured(self, val_loss: float) -> None:
        """Lowers all rates where the schedule is plateau and the loss has stopped falling."""
        if self.plan.optimiser.schedule == "plateau":
            self._plateau.step(val_loss)

    @property
    def _level(self) -> float:
        return float(self._measured.param_groups[0]["lr"])

    def _lowered(self, factors: Mapping[str, float]) -> dict[str, float]:
        return {name: factor * self._level for name, factor in factors.items()}
