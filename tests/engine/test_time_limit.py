"""A run ends with the first epoch that ends past its time, resumes counted in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import SpecError
from engine.home import CHECKPOINT_FILE
from engine.spec import RunSpec
from engine.training import state, trainer
from engine.training.checkpoint import load_checkpoint
from engine.training.session import Session
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import Cut, CutOffError, told

EPOCH_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _epochs_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every epoch takes a minute more than it does, without anybody waiting."""
    monkeypatch.setattr(state, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(state, "MOST_SHARE", 1e9)
    real = trainer._begin

    def earlier(session: Session, epoch: int) -> Any:
        inputs = real(session, epoch)
        assert session.within is not None
        session.within.began -= EPOCH_SECONDS
        return inputs

    monkeypatch.setattr(trainer, "_begin", earlier)


def spec_of(folder: Path, settings: Mapping[str, Any]) -> RunSpec:
    return tiny_spec(folder, {"training.epochs": 8} | dict(settings))


def test_it_ends_with_the_first_epoch_past_the_limit(tiny_folder: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    spec = spec_of(tiny_folder, {"training.max_minutes": 2.9})
    outcome = trainer.train(spec, tmp_path, recorder)
    assert (outcome.status, outcome.note) == ("finished", "stopped after 2.9 minutes, as asked")
    assert list(told(recorder)) == [1, 2, 3]
    best = max(told(recorder).items(), key=lambda one: (one[1]["val/accuracy"], -one[0]))
    assert outcome.best_epoch == best[0]
    _, header = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    assert header.epoch == best[0]


def test_one_minute_is_no_minutes(tiny_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, {"training.max_minutes": 1.0})
    assert trainer.train(spec, tmp_path, Recorder()).note == "stopped after 1 minute, as asked"


@pytest.mark.parametrize("minutes", [0.0, 7.9, 60.0])
def test_with_time_enough_nothing_is_noted(
    tiny_folder: Path, tmp_path: Path, minutes: float
) -> None:
    """The limit may lie in the last epoch: that one ends the run anyway."""
    recorder = Recorder()
    spec = spec_of(tiny_folder, {"training.max_minutes": minutes})
    assert trainer.train(spec, tmp_path, recorder).note == ""
    assert len(told(recorder)) == 8


def test_what_was_before_a_resume_counts(tiny_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, {"training.max_minutes": 3.9})
    first, second = Cut(2 * 3 + 1), Recorder()
    with pytest.raises(CutOffError):
        trainer.train(spec, tmp_path, first)
    outcome = trainer.train(spec, tmp_path, second)
    assert outcome.note == "stopped after 3.9 minutes, as asked"
    assert list(told(second)) == [3, 4]


def test_what_was_before_within_an_epoch_counts(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS_WITHIN", 0.0)
    spec = spec_of(tiny_folder, {"training.max_minutes": 2.9})
    with pytest.raises(CutOffError):
        trainer.train(spec, tmp_path, Cut(2 * 3 + 2))
    second = Recorder()
    trainer.train(spec, tmp_path, second)
    [third] = second.of_kind("epoch")
    assert third.epoch == 3
    assert float(third.values["seconds"] or 0) > EPOCH_SECONDS


def test_a_run_that_had_had_its_time_ends_when_it_is_resumed(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(tiny_folder, {"training.max_minutes": 1.9})
    real = trainer.keep_state

    def cut_off(session: Session) -> None:
        real(session)
        if session.epoch == 2:
            raise CutOffError

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "keep_state", cut_off)
        with pytest.raises(CutOffError):
            trainer.train(spec, tmp_path, Recorder())
    recorder = Recorder()
    assert trainer.train(spec, tmp_path, recorder).note == "stopped after 1.9 minutes, as asked"
    assert not told(recorder)


def test_a_time_of_less_than_nothing_is_refused() -> None:
    with pytest.raises((SpecError, ValidationError), match="max_minutes"):
        tiny_spec("photos", {"training.max_minutes": -1.0})
