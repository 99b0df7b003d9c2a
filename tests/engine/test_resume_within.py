"""A run that was cut off within an epoch goes on with the next step, to the same numbers."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import DataError
from engine.events import Value
from engine.home import CHECKPOINT_FILE
from engine.models.catalogue import backbone_record
from engine.runs.replay import recorded_acts
from engine.training import loop, state, trainer
from engine.training.feeding import Feed
from engine.training.metrics import EpochMetrics
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.state import newest_state, state_files
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import Cut, CutOffError, ended, same, told, weights
from tests.sweeps import sweep

__all__ = ["ended"]

EPOCHS = 4
STEPS = 6
EVERYTHING: dict[str, Any] = {
    "strategy.name": "full",
    "model.dropout": 0.2,
    "model.stochastic_depth": 0.2,
    "images.augmentation": "standard",
    "training.mixup": 0.4,
    "training.cutmix": 1.0,
    "training.ema_decay": 0.9,
    "training.accumulation": 2,
    "training.clip_norm": 1.0,
    "training.class_balance": "sampling",
    "optimiser.name": "sgd",
    "optimiser.schedule": "plateau",
    "optimiser.patience": 1,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "frozen": {"strategy.name": "frozen", "model.dropout": 0.3},
    "full": {"strategy.name": "full", "optimiser.name": "adamw", "model.dropout": 0.2},
    "gradual": {"strategy.name": "gradual", "strategy.unfreeze_every": 1, "model.dropout": 0.2},
    "lp_ft": {"strategy.name": "lp_ft", "model.dropout": 0.2},
    "everything": EVERYTHING,
}
MORE: dict[str, dict[str, Any]] = {
    "frozen on pictures": {"strategy.name": "frozen", "images.augmentation": "standard"},
    "views": {"strategy.name": "frozen", "images.augmentation": "flip", "images.views": 2},
    "partial": {"strategy.name": "partial", "strategy.last_stages": 2},
    "lora": {"strategy.name": "lora"},
    "l2_sp": {"strategy.name": "l2_sp"},
    "wise_ft": {"strategy.name": "wise_ft"},
    "norm_only": {"strategy.name": "norm_only", "training.batch_norm": "update"},
    "growing": {"strategy.name": "full", "images.start_size": 32, "images.size": 96},
    "forgetful": {
        "strategy.name": "full",
        "training.gradient_checkpointing": True,
        "model.dropout": 0.2,
    },
}


@pytest.fixture(autouse=True)
def _states_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(state, "MOST_SHARE", 1e9)
    monkeypatch.setattr(state, "LEAST_SECONDS_WITHIN", 0.0)


def spec_of(folder: Path, settings: Mapping[str, Any]) -> Any:
    sizes = {"training.epochs": EPOCHS, "training.batch_size": 3}
    return tiny_spec(folder, sizes | dict(settings))


def told_of_steps(recorders: Sequence[Recorder]) -> dict[int, dict[str, Value]]:
    """Metrics of each step, as they were told last."""
    return {
        event.step: {
            name: value
            for name, value in event.values.items()
            if name.startswith(("train/", "lr/"))
        }
        for recorder in recorders
        for event in recorder.of_kind("step")
    }


def going_on(spec: Any, folder: Path, cuts: Sequence[int | None]) -> list[Recorder]:
    """Trains a run that is cut off at steps, each time resumed; returns what its parts told."""
    folder.mkdir()
    parts: list[Recorder] = []
    for cut in cuts:
        recorded = recorded_acts(event for part in parts for event in part.of_kind("act"))
        parts.append(Cut(cut))
        if cut is None:
            trainer.train(spec, folder, parts[-1], recorded)
        else:
            with pytest.raises(CutOffError):
                trainer.train(spec, folder, parts[-1], recorded)
    return parts


def require_the_same(
    spec: Any, folder: Path, cuts: Sequence[int], ended: list[Session]
) -> list[Recorder]:
    [unbroken] = going_on(spec, folder / "whole", [None])
    parts = going_on(spec, folder / "cut", [*cuts, None])
    assert told(*parts) == told(unbroken)
    assert told_of_steps(parts) == told_of_steps([unbroken])
    theirs, ours = ended
    assert same(weights(ours.model), weights(theirs.model))
    assert same(weights(ours.judged), weights(theirs.judged))
    best = [load_file(folder / name / CHECKPOINT_FILE) for name in ("cut", "whole")]
    assert same(*best)
    assert not state_files(folder / "cut")
    return parts


def random_cuts(name: str, num_cuts: int) -> list[int]:
    """Steps within epochs, not their first ones, in order."""
    drawn = random.Random(name)
    steps = [step for step in range(1, EPOCHS * STEPS + 1) if step % STEPS != 1]
    return sorted(drawn.sample(steps, num_cuts))


def require_next_steps(parts: Sequence[Recorder], cuts: Sequence[int]) -> None:
    """Requires that each part began with the step that the one before had not kept."""
    firsts = [part.of_kind("step")[0].step for part in parts[1:]]
    assert firsts == list(cuts)


@pytest.mark.parametrize("name", sweep(SETTINGS, lambda name: name == "everything"))
def test_going_on_within_epochs_is_as_if_nothing_had_happened(
    name: str, tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    cuts = random_cuts(name, 3)
    parts = require_the_same(spec_of(tiny_folder, SETTINGS[name]), tmp_path, cuts, ended)
    require_next_steps(parts, cuts)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MORE, *(f"{name} again" for name in SETTINGS)])
def test_going_on_at_many_steps(
    name: str, tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    settings = (SETTINGS | MORE)[name.removesuffix(" again")]
    cuts = random_cuts(name, 8)
    parts = require_the_same(spec_of(tiny_folder, settings), tmp_path, cuts, ended)
    require_next_steps(parts, cuts)


def test_what_few_reports_are_made_of_is_kept(
    tiny_folder: Path, tmp_path: Path, ended: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MAX_STEP_EVENTS", EPOCHS * STEPS // 3)
    spec = spec_of(tiny_folder, {"strategy.name": "full"})
    require_the_same(spec, tmp_path, [9, 15], ended)


@pytest.mark.slow
def test_what_was_steered_within_an_epoch_stays_steered(
    tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    acts = [
        {"step": 7, "kind": "lr", "target": "head", "factor": 0.5},
        {"step": 9, "kind": "freeze", "target": "stem"},
        {"step": 10, "kind": "lr", "target": "backbone", "factor": 3.0},
        {"step": 11, "kind": "freeze", "target": "block1"},
    ]
    settings = {"strategy.name": "full", "steering": acts, "images.start_size": 32}
    require_the_same(spec_of(tiny_folder, settings), tmp_path, [11, 12, 14], ended)


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_is_judged_is_judged_again(
    tiny_folder: Path, tmp_path: Path, ended: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(tiny_folder, {"strategy.name": "full", "model.dropout": 0.2})
    [unbroken] = going_on(spec, tmp_path / "whole", [None])
    real, num_judged = trainer.evaluate, 0

    def cut_off(*arguments: Any) -> torch.Tensor:
        nonlocal num_judged
        num_judged += 1
        if num_judged == 2:
            raise CutOffError
        return real(*arguments)

    monkeypatch.setattr(trainer, "evaluate", cut_off)
    (tmp_path / "run").mkdir()
    first, second = Recorder(), Recorder()
    with pytest.raises(CutOffError):
        trainer.train(spec, tmp_path / "run", first)
    assert state_files(tmp_path / "run")[0].name == f"state-000001-{STEPS:06d}.safetensors"
    trainer.train(spec, tmp_path / "run", second)
    assert second.of_kind("step")[0].step == 2 * STEPS + 1
    assert told(first, second) == told(unbroken)
    assert same(weights(ended[1].model), weights(ended[0].model))


def test_a_damaged_state_within_an_epoch_falls_back_to_the_one_before(
    tiny_folder: Path, tmp_path: Path
) -> None:
    spec = spec_of(tiny_folder, {"strategy.name": "full"})
    going_on(spec, tmp_path / "run", [STEPS + 3])
    names = [file.name for file in state_files(tmp_path / "run")]
    assert names == ["state-000001-000002.safetensors", "state-000001-000001.safetensors"]
    state_files(tmp_path / "run")[0].write_bytes(b"nothing")
    again = Cut(2 * STEPS)
    with pytest.raises(CutOffError):
        trainer.train(spec, tmp_path / "run", again)
    assert again.of_kind("step")[0].step == STEPS + 2


def test_the_end_of_an_epoch_is_newer_than_its_steps_and_older_than_the_next(
    tmp_path: Path,
) -> None:
    names = ["state-000002", "state-000002-000007", "state-000002-000012", "state-000003"]
    for name in names:
        (tmp_path / f"{name}.safetensors").touch()
    assert [file.stem for file in state_files(tmp_path)] == names[::-1]


def test_short_epochs_are_kept_at_their_ends_only(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS_WITHIN", 1e9)
    going_on(spec_of(tiny_folder, {}), tmp_path / "run", [2 * STEPS + 3])
    names = [file.name for file in state_files(tmp_path / "run")]
    assert names == ["state-000002.safetensors", "state-000001.safetensors"]


def test_nothing_is_gathered_in_a_step_where_no_state_is_due(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 1e9)
    monkeypatch.setattr(EpochMetrics, "tensors", None)
    going_on(spec_of(tiny_folder, {}), tmp_path / "run", [None])


def test_a_disk_that_is_full_is_not_tried_at_each_step(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    keeper = state.StateKeeper(tmp_path)
    assert keeper.is_due
    monkeypatch.setattr(state, "LEAST_SECONDS", 1e9)
    keeper._written_at = -1e12
    assert keeper.is_due
    with pytest.raises(OSError, match="No space"):
        keeper.write(state.State(1, {}, {}))
    assert not keeper.is_due


@pytest.mark.parametrize("augmentation", ["none", "standard"])
def test_batches_that_are_skipped_are_the_first(
    augmentation: str, tiny_folder: Path, tmp_path: Path
) -> None:
    spec = spec_of(tiny_folder, {"images.augmentation": augmentation, "strategy.name": "full"})
    session = set_up(spec, tmp_path, Recorder(), 0.0)
    source, _ = session.feed.pictures()
    whole = list(source.epoch(3))
    assert len(whole) == source.num_batches == STEPS
    for skip in (2, STEPS, 0):
        rest = list(source.epoch(3, skip))
        assert len(rest) == STEPS - skip
        assert source.num_batches == STEPS
        for ours, theirs in zip(rest, whole[skip:], strict=True):
            assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_pictures_that_are_skipped_are_not_read(
    own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_CACHE_GIB", "0")
    spec = spec_of(own_folder, {"images.augmentation": "standard", "strategy.name": "full"})
    session = set_up(spec, tmp_path, Recorder(), 0.0)
    record = backbone_record(spec.model.backbone)
    feed = Feed(spec, session.manifest, record, session.device, Recorder())
    source, _ = feed.pictures()
    batches = feed._pictures.batches(session.manifest.train, shuffle=True)
    for position in batches.positions()[0]:
        Path(session.manifest.train[position].path).unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        list(source.epoch(1))
    assert len(list(source.epoch(1, 1))) == STEPS - 1


def test_a_state_of_an_earlier_release_is_read(tiny_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, {})
    going_on(spec, tmp_path / "run", [STEPS + 1])
    found, _ = newest_state(tmp_path / "run")
    assert found is not None
    assert (found.epoch, found.steps) == (1, 0)
    values = {name: value for name, value in found.values.items() if name != "trained_seconds"}
    file = state_files(tmp_path / "run")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "VERSION", 1)
        state.StateKeeper(tmp_path / "run").write(state.State(1, found.tensors, values))
    assert state.read_state(file).steps == 0
    again = Recorder()
    trainer.train(spec, tmp_path / "run", again)
    assert again.of_kind("step")[0].step == STEPS + 1
