"""A run that was cut off goes on to the same numbers, bit for bit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.events import Kind, Value
from engine.spec import Act, RunSpec
from engine.training import state, trainer
from engine.training.session import CHECKPOINT_FILE, Session
from engine.training.state import newest_state, state_files
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

EPOCHS = 4
STEPS = 3

SETTINGS: dict[str, dict[str, Any]] = {
    "frozen": {"strategy.name": "frozen", "model.dropout": 0.3},
    "frozen on pictures": {"strategy.name": "frozen", "images.augmentation": "standard"},
    "full": {"strategy.name": "full", "optimiser.name": "adamw"},
    "full, everything on": {
        "strategy.name": "full",
        "model.dropout": 0.2,
        "model.stochastic_depth": 0.2,
        "images.augmentation": "standard",
        "training.mixup": 0.4,
        "training.cutmix": 1.0,
        "training.ema_decay": 0.9,
        "training.class_balance": "sampling",
        "optimiser.name": "sgd",
        "optimiser.schedule": "plateau",
        "optimiser.patience": 1,
    },
    "gradual": {"strategy.name": "gradual", "strategy.unfreeze_every": 1},
    "lp_ft": {"strategy.name": "lp_ft"},
    "lora": {"strategy.name": "lora"},
    "l2_sp": {"strategy.name": "l2_sp"},
    "wise_ft": {"strategy.name": "wise_ft"},
    "partial": {"strategy.name": "partial", "strategy.last_stages": 2},
    "norm_only": {"strategy.name": "norm_only", "training.batch_norm": "update"},
}


class CutOffError(Exception):
    """In the place of a power cut."""


class Cut(Recorder):
    """Cuts training off at the event of a step, as if the process had been killed there."""

    def __init__(self, at_step: int | None = None, acts: tuple[tuple[int, Act], ...] = ()):
        super().__init__()
        self.acts = list(acts)
        self._at_step = at_step

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        super().emit(kind, epoch, step, values)
        if kind == "step" and step == self._at_step:
            raise CutOffError


@pytest.fixture(autouse=True)
def _states_after_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(state, "MOST_SHARE", 1e9)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that trained all of their epochs."""
    sessions: list[Session] = []
    real = trainer.blend_and_judge

    def note(session: Session) -> None:
        sessions.append(session)
        real(session)

    monkeypatch.setattr(trainer, "blend_and_judge", note)
    return sessions


def spec_of(folder: Path, settings: Mapping[str, Any]) -> RunSpec:
    return tiny_spec(folder, {"training.epochs": EPOCHS} | dict(settings))


def told(*recorders: Recorder) -> dict[int, dict[str, Value]]:
    """Metrics of each epoch, as they were told last; times apart."""
    found = {}
    for recorder in recorders:
        for event in recorder.events:
            if event.kind == "epoch":
                found[event.epoch] = {
                    name: value
                    for name, value in event.values.items()
                    if name.startswith(("train/", "val/", "lr/"))
                }
    return found


def weights(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_going_on_is_as_if_nothing_had_happened(
    name: str, tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    spec = spec_of(tiny_folder, SETTINGS[name])
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    whole.mkdir()
    resumed.mkdir()
    unbroken = Recorder()
    outcome = trainer.train(spec, whole, unbroken)
    parts = [Cut(STEPS + 2), Cut(3 * STEPS + 1), Cut()]
    for part in parts[:2]:
        with pytest.raises(CutOffError):
            trainer.train(spec, resumed, part)
    assert [one.name for one in state_files(resumed)] == [
        "state-000003.safetensors",
        "state-000002.safetensors",
    ]
    again = trainer.train(spec, resumed, parts[2])
    assert told(*parts) == told(unbroken)
    assert [event.epoch for event in parts[2].events if event.kind == "epoch"] == [4]
    assert (again.best_epoch, again.best_val_accuracy) == (
        outcome.best_epoch,
        outcome.best_val_accuracy,
    )
    assert again.blend == outcome.blend
    ours, theirs = ended[-1], ended[0]
    assert same(weights(ours.model), weights(theirs.model))
    assert same(weights(ours.judged), weights(theirs.judged))
    assert same(load_file(resumed / CHECKPOINT_FILE), load_file(whole / CHECKPOINT_FILE))
    # A run that has ended needs no state.
    assert not state_files(resumed)
