"""Tiny runs that are steered while they go on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.events import Kind, MetricEvent, Value
from engine.runs.replay import recorded_acts
from engine.spec import Act, RunSpec
from engine.training.trainer import Session, run_epochs, set_up
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

STEPS_PER_EPOCH = 3
TIMING_KEYS = ("seconds", "elapsed_seconds", "peak_memory_mib")
FREEZE_BLOCK3 = Act(kind="freeze", target="block3")
FREE_BLOCK7 = Act(kind="unfreeze", target="block7")
HALVE_HEAD = Act(kind="lr", target="head", factor=0.5)
FULL = {"strategy.name": "full", "optimiser.lr": 1e-3}


class Helm(Recorder):
    """A Recorder whose person acts after so many steps, or at the n-th time that they are asked.

    Attributes:
        after_steps: pairs (steps that were told of, act).
        at_calls: pairs (number of the call of `take_acts`, counted from 1; act).
        session: whose tensors are copied after each step, if any are.
        copies: those tensors, by the number of the step; at 0 as they were first.
    """

    def __init__(
        self,
        after_steps: Sequence[tuple[int, Act]] = (),
        at_calls: Sequence[tuple[int, Act]] = (),
    ) -> None:
        super().__init__()
        self.after_steps = list(after_steps)
        self.at_calls = list(at_calls)
        self.copies: dict[int, dict[str, Tensor]] = {}
        self.session: Session | None = None
        self._num_calls = 0

    def take_acts(self) -> list[Act]:
        self._num_calls += 1
        num_steps = len(self.of_kind("step"))
        due = [act for number, act in self.after_steps if number <= num_steps]
        self.after_steps = [pair for pair in self.after_steps if pair[0] > num_steps]
        return due + [act for number, act in self.at_calls if number == self._num_calls]

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        super().emit(kind, epoch, step, values)
        if kind == "step" and self.session is not None:
            self.copies[step] = copy_of(self.session)


def copy_of(session: Session) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in session.model.state_dict().items()}


@dataclass
class Steered:
    """A run that has come to its end."""

    session: Session
    helm: Helm
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def acts(self) -> tuple[Act, ...]:
        return recorded_acts(self.helm.events)

    @property
    def phases(self) -> list[MetricEvent]:
        return self.helm.of_kind("phase")

    def tensors_of(self, stage: str) -> list[str]:
        names = self.session.model.backbone.stage_tensor_names(stage)
        return [f"backbone.{name}" for name in sorted(names)]

    def changed(self, stage: str, before: int, after: int) -> list[str]:
        """Names of a stage's tensors that differ between two numbers of steps."""
        one, other = self.helm.copies[before], self.helm.copies[after]
        return [name for name in self.tensors_of(stage) if not torch.equal(one[name], other[name])]

    def rates(self, key: str) -> list[float | None]:
        return [event.values.get(key) for event in self.helm.of_kind("step")]  # type: ignore[misc]

    def metrics(self) -> list[dict[str, Value]]:
        """What each epoch told, but for what depends on the clock and the machine."""
        return [
            {
                name: value
                for name, value in event.values.items()
                if name not in TIMING_KEYS and not name.endswith("images_per_second")
            }
            for event in self.helm.of_kind("epoch")
        ]


Steer = Callable[..., Steered]


@pytest.fixture
def steered(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Steer:
    """Trains on the tiny pictures while a helm acts; a spec or dotted settings say how.

    With `copies`, the helm keeps the tensors as they were after each step.
    """

    def run(
        given: RunSpec | dict[str, Any] | None = None,
        helm: Helm | None = None,
        copies: bool = False,
    ) -> Steered:
        spec = given if isinstance(given, RunSpec) else tiny_spec(tiny_folder, given)
        helm = helm or Helm()
        session = set_up(spec, tmp_path_factory.mktemp("run"), helm, 0.0)
        if copies:
            helm.session = session
            helm.copies[0] = copy_of(session)
        run_epochs(session)
        return Steered(session, helm, session.judged.state_dict())

    return run
