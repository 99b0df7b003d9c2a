"""A run that was cut off goes on to the same numbers, bit for bit."""

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.data.manifest import Manifest
from engine.errors import TrainingError
from engine.events import Kind, Value
from engine.home import CHECKPOINT_FILE
from engine.spec import Act, RunSpec
from engine.training import checkpoint, state, trainer
from engine.training.session import Session
from engine.training.state import newest_state, state_files
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.sweeps import sweep

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
OFTEN = ("frozen", "full, everything on", "gradual", "lp_ft")


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
                    if name.startswith(("train/", "val/", "lr/", "drift", "cka"))
                }
    return found


def weights(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


@pytest.mark.parametrize("name", sweep(SETTINGS, OFTEN.__contains__))
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


def cut_off(spec: RunSpec, folder: Path, at_step: int) -> None:
    folder.mkdir(exist_ok=True)
    with pytest.raises(CutOffError):
        trainer.train(spec, folder, Cut(at_step))


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "foreign"])
def test_a_damaged_state_falls_back_to_the_one_before(
    tiny_folder: Path, tmp_path: Path, damage: str
) -> None:
    spec = spec_of(tiny_folder, {"strategy.name": "full"})
    unbroken, folder = Recorder(), tmp_path / "run"
    (tmp_path / "whole").mkdir()
    trainer.train(spec, tmp_path / "whole", unbroken)
    cut_off(spec, folder, 3 * STEPS + 1)
    newest, before = state_files(folder)
    content = bytearray(newest.read_bytes())
    if damage == "torn":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-100] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:
        content = bytearray((folder / CHECKPOINT_FILE).read_bytes())
    newest.write_bytes(content)
    again = Recorder()
    trainer.train(spec, folder, again)
    [note] = [e.values["state_note"] for e in again.events if "state_note" in e.values]
    assert isinstance(note, str)
    assert note.startswith(f"{newest.name} is damaged (")
    assert note.endswith("so the run goes on from the one before.")
    assert "\n" not in note
    epochs = told(again)
    assert list(epochs) == [3, 4]
    assert epochs == {epoch: told(unbroken)[epoch] for epoch in epochs}
    assert before.name == "state-000002.safetensors"


def test_a_run_without_a_whole_state_begins_anew(tiny_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, {})
    cut_off(spec, tmp_path / "run", 3 * STEPS + 1)
    for file in state_files(tmp_path / "run"):
        file.write_bytes(b"nothing")
    again = Recorder()
    trainer.train(spec, tmp_path / "run", again)
    assert list(told(again)) == [1, 2, 3, 4]
    notes = [e.values["state_note"] for e in again.events if "state_note" in e.values]
    assert len(notes) == 3
    assert notes[-1] == "No state of the run is whole, so it begins anew."


def test_a_torn_write_is_never_taken_for_a_state(tiny_folder: Path, tmp_path: Path) -> None:
    """At whatever byte the file ends, it is whole or it is refused."""
    spec = spec_of(tiny_folder, {})
    cut_off(spec, tmp_path / "run", 2 * STEPS + 1)
    newest = state_files(tmp_path / "run")[0]
    content = newest.read_bytes()
    for end in [*range(0, 400), *range(400, len(content), max(1, len(content) // 200))]:
        newest.write_bytes(content[:end])
        found, damaged = newest_state(tmp_path / "run")
        assert found is not None
        assert found.epoch == 1
        assert len(damaged) == 1
    newest.write_bytes(content)
    found, damaged = newest_state(tmp_path / "run")
    assert found is not None
    assert (found.epoch, damaged) == (2, [])


def test_a_full_disk_does_not_end_a_run(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    recorder = Recorder()
    outcome = trainer.train(spec_of(tiny_folder, {}), tmp_path, recorder)
    assert outcome.status == "finished"
    notes = [e.values["state_note"] for e in recorder.events if "state_note" in e.values]
    assert len(notes) == EPOCHS - 1
    assert "No space left on device" in str(notes[0])
    assert not list(tmp_path.glob(".state-*"))


def test_states_cost_little_where_epochs_are_short(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 1e9)
    with pytest.raises(CutOffError):
        trainer.train(spec_of(tiny_folder, {}), tmp_path, Cut(3 * STEPS + 1))
    assert not state_files(tmp_path)


def test_a_frozen_backbone_is_not_in_the_state(tiny_folder: Path, tmp_path: Path) -> None:
    cut_off(spec_of(tiny_folder, {}), tmp_path / "run", STEPS + 1)
    found, _ = newest_state(tmp_path / "run")
    assert found is not None
    assert all(name.startswith(("model/head", "optimiser/")) for name in found.tensors)


def test_pictures_that_came_since_are_no_part_of_the_run(own_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(own_folder, {})
    cut_off(spec, tmp_path / "run", 2 * STEPS + 1)
    before = Manifest.from_file(tmp_path / "run" / trainer.MANIFEST_FILE)
    for file in sorted((own_folder / "birds").iterdir())[:2]:
        shutil.copy(file, own_folder / "fruit" / f"new {file.name}")
    again = Recorder()
    trainer.train(spec, tmp_path / "run", again)
    assert Manifest.from_file(tmp_path / "run" / trainer.MANIFEST_FILE) == before
    assert list(told(again)) == [3, 4]


def test_a_damaged_list_of_images_is_made_anew(tiny_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, {})
    (tmp_path / "whole").mkdir()
    unbroken, again = Recorder(), Recorder()
    trainer.train(spec, tmp_path / "whole", unbroken)
    cut_off(spec, tmp_path / "run", 2 * STEPS + 1)
    file = tmp_path / "run" / trainer.MANIFEST_FILE
    before = Manifest.from_file(file)
    file.write_bytes(file.read_bytes()[:100])
    trainer.train(spec, tmp_path / "run", again)
    [note] = [e.values["state_note"] for e in again.events if "state_note" in e.values]
    assert note == ("manifest.json is missing or damaged, so the run's images are listed anew.")
    assert told(again) == {epoch: told(unbroken)[epoch] for epoch in (3, 4)}
    assert Manifest.from_file(file) == before


def test_a_run_does_not_go_on_with_other_images(own_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(own_folder, {})
    cut_off(spec, tmp_path / "run", 2 * STEPS + 1)
    (tmp_path / "run" / trainer.MANIFEST_FILE).unlink()
    for file in sorted((own_folder / "birds").iterdir())[:2]:
        shutil.move(file, own_folder / "fruit" / f"moved {file.name}")
    with pytest.raises(TrainingError, match="no longer those that the run had begun with"):
        trainer.train(spec, tmp_path / "run", Recorder())


def test_a_state_of_another_model_is_a_sentence(tiny_folder: Path, tmp_path: Path) -> None:
    cut_off(spec_of(tiny_folder, {}), tmp_path / "run", STEPS + 1)
    other = spec_of(tiny_folder, {"model.head": "mlp"})
    with pytest.raises(TrainingError, match="is that of another model"):
        trainer.train(other, tmp_path / "run", Recorder())


def test_early_stopping_counts_what_was_before(tiny_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, {"training.epochs": 12, "training.early_stopping": 2})
    (tmp_path / "whole").mkdir()
    unbroken, first, again = Recorder(), Cut(4), Recorder()
    whole = trainer.train(spec, tmp_path / "whole", unbroken)
    assert whole.note.startswith("stopped early")
    (tmp_path / "run").mkdir()
    with pytest.raises(CutOffError):
        trainer.train(spec, tmp_path / "run", first)
    resumed = trainer.train(spec, tmp_path / "run", again)
    assert resumed.note == whole.note
    assert told(first, again) == told(unbroken)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: full")]
)
def test_best_weights_that_cannot_be_written_end_the_run_with_a_sentence(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    spec = spec_of(tiny_folder, {"strategy.name": "full"})
    (tmp_path / "whole").mkdir()
    (tmp_path / "run").mkdir()
    unbroken, first, again = Recorder(), Recorder(), Recorder()
    trainer.train(spec, tmp_path / "whole", unbroken)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(TrainingError, match=r"^The best weights cannot be written to .*resume"):
            trainer.train(spec, tmp_path / "run", first)
    trainer.train(spec, tmp_path / "run", again)
    assert told(first, again) == told(unbroken)
