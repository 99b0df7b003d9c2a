"""What tests on a GPU share; they are skipped where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.events import Value
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import Outcome, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

NEEDS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    # PyTorch's advice on a setting, not a fault.
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores"),
]
GPU = {"device": "cuda"}
FULL = {"strategy.name": "full", "optimiser.lr": 1e-3}
# Adam makes much of the smallest gradients, and so of how a sum is rounded.
SGD = {"optimiser.name": "sgd", "optimiser.lr": 1e-2}


@dataclass
class Done:
    """A run that came to its end."""

    outcome: Outcome
    recorder: Recorder
    folder: Path

    @property
    def epochs(self) -> list[Mapping[str, Value]]:
        return [event.values for event in self.recorder.of_kind("epoch")]

    def series(self, name: str) -> list[float]:
        return [float(values[name] or 0) for values in self.epochs]

    @property
    def losses(self) -> list[float]:
        return [*self.series("train/loss"), *self.series("val/loss")]

    def told(self, task: str) -> list[Mapping[str, Value]]:
        events = self.recorder.of_kind("progress")
        return [event.values for event in events if event.values.get("task") == task]


class Bench:
    """Trains on a few pictures, each time in a folder of its own."""

    def __init__(self, pictures: Path, folders: pytest.TempPathFactory):
        self._pictures = pictures
        self._folders = folders

    def train(self, settings: dict[str, Any], recorder: Recorder | None = None) -> Done:
        recorder = recorder or Recorder()
        folder = self._folders.mktemp("run")
        return Done(train(self._spec(settings), folder, recorder), recorder, folder)

    def session(self, settings: dict[str, Any]) -> Session:
        return set_up(self._spec(settings), self._folders.mktemp("run"), Recorder(), 0.0)

    def _spec(self, settings: dict[str, Any]) -> Any:
        return tiny_spec(self._pictures, GPU | settings)
