"""Trains a tiny run in this process, and keeps what it told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.events import MetricEvent
from engine.models.catalogue import backbone_record
from engine.training.trainer import Outcome, Session, set_up, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

LITE0 = backbone_record("efficientnet_lite0")
NUM_TRAIN, NUM_VAL, NUM_CLASSES, STEPS_PER_EPOCH = 18, 6, 3, 3


@pytest.fixture(autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@dataclass
class Trained:
    outcome: Outcome
    recorder: Recorder
    folder: Path

    @property
    def epochs(self) -> list[MetricEvent]:
        return self.recorder.of_kind("epoch")

    @property
    def steps(self) -> list[MetricEvent]:
        return self.recorder.of_kind("step")

    def series(self, key: str) -> list[float]:
        return [float(event.values[key] or 0.0) for event in self.epochs]


Train = Callable[..., Trained]
SetUp = Callable[..., Session]


@pytest.fixture
def tiny_train(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains on the tiny pictures with the given dotted settings, in a folder of its own."""

    def run(settings: dict[str, Any] | None = None, recorder: Recorder | None = None) -> Trained:
        recorder = recorder or Recorder()
        folder = tmp_path_factory.mktemp("run")
        return Trained(train(tiny_spec(tiny_folder, settings), folder, recorder), recorder, folder)

    return run


@pytest.fixture
def tiny_session(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """Sets up a run on the tiny pictures, ready for its first epoch."""

    def prepare(settings: dict[str, Any] | None = None) -> Session:
        spec = tiny_spec(tiny_folder, settings)
        return set_up(spec, tmp_path_factory.mktemp("run"), Recorder(), 0.0)

    return prepare
