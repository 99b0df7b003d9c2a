"""An epoch that goes on: what it began with, and what its steps have come to so far."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.training.loop import StepLog
from engine.training.metrics import EpochMetrics

RANDOM = "random/"


@dataclass
class Within:
    """The present epoch of a run.

    Attributes:
        learning: stages that learnt when it began.
        size: side of its pictures in px.
        rates: learning rates of its first step.
        began: perf_counter seconds; earlier where it was taken up, as if there had been no break.
        metrics: of the steps so far.
        log: tells of steps.
        num_steps: taken so far.
        random: state of the random numbers from which it is to be taken up, by the device that
            draws them; None in one that begins or goes on.
    """

    learning: set[str]
    size: int
    rates: dict[str, float]
    began: float
    metrics: EpochMetrics
    log: StepLog
    num_steps: int = 0
    random: dict[str, Tensor] | None = None

    def state(self, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns tensors by name, and the rest as plain data for JSON."""
        random = self.random or random_state(device)
        tensors = {RANDOM + name: state for name, state in random.items()}
        values = {
            "learning": sorted(self.learning),
            "size": self.size,
            "rates": self.rates,
            "seconds": time.perf_counter() - self.began,
            "sizes": self.metrics.sizes,
            "log": self.log.state(),
        }
        return tensors | self.metrics.tensors(), values

    @classmethod
    def of_state(
        cls,
        tensors: Mapping[str, Tensor],
        values: Mapping[str, Any],
        num_steps: int,
        metrics: EpochMetrics,
        log: StepLog,
    ) -> "Within":
        """Returns an epoch that is to be taken up.

        Args:
            tensors: as `state` gave them.
            values: likewise.
            num_steps: that were taken in it.
            metrics: empty.
            log: likewise.
        """
        metrics.load(tensors, values["sizes"])
        log.load_state(values["log"])
        return cls(
            learning=set(values["learning"]),
            size=values["size"],
            rates=values["rates"],
            began=time.perf_counter() - values["seconds"],
            metrics=metrics,
            log=log,
            num_steps=num_steps,
            random={
                name.removeprefix(RANDOM): tensor
                for name, tensor in tensors.items()
                if name.startswith(RANDOM)
            },
        )

    def hold(self, device: torch.device) -> None:
        """Takes down where the random numbers are, so that it can be taken up from there."""
        self.random = self.random or random_state(device)

    def draw_on(self) -> None:
        """Sets the random numbers to where the epoch left them, if it is being taken up."""
        if self.random is not None:
            torch.set_rng_state(self.random["cpu"])
            if "cuda" in self.random:
                torch.cuda.set_rng_state(self.random["cuda"])
        self.random = None


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Returns the state of what draws random numbers in training, by device.

    Pictures are changed and mixed by numbers that follow from seed, epoch and step alone; dropout
    draws from these.
    """
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states
