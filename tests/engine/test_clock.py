"""A clock that is set back or forward by an hour: who lives stays alive, and time never falls."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.runs.background import SILENT_SECONDS, WorkState
from engine.runs.process import machine_name, process_started
from engine.runs.queue import mark_interrupted
from engine.runs.store import Store
from engine.runs.trash import KEPT_SECONDS, empty_trash
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

HOUR = 3600.0


def set_clock(monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + by)


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_run_is_told_alive_or_dead_by_its_process(
    monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    store = Store()
    [alive] = store.add_runs([("alive", tiny_spec("photos"))])
    [dead] = store.add_runs([("dead", tiny_spec("photos"))])
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for run, pid in ((alive, os.getpid()), (dead, process.pid)):
        store.claim_next(2, machine_name())
        started = process_started(pid)
        assert started is not None
        store.set_process(run.id, machine_name(), pid, started)
    process.communicate(b"\n")
    set_clock(monkeypatch, by)
    assert mark_interrupted(store) == [dead.id]
    assert store.run(alive.id).status == "running"


def test_the_trash_is_not_emptied_early(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    [run] = store.add_runs([("thrown away", tiny_spec("photos"))])
    store.request_stop(run.id)
    assert store.delete(run.id)
    with monkeypatch.context() as patch:
        set_clock(patch, -HOUR)
        assert empty_trash(store) == []
    with monkeypatch.context() as patch:
        set_clock(patch, KEPT_SECONDS - HOUR)
        assert empty_trash(store) == []
        set_clock(patch, 2 * HOUR)
        assert empty_trash(store) == [run.id]


def test_seconds_never_fall(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Back(Recorder):
        def emit(self, kind, epoch, step, values):  # type: ignore[no-untyped-def]
            super().emit(kind, epoch, step, values)
            if kind == "step" and step == 4:
                set_clock(monkeypatch, -HOUR)

    recorder = Back()
    outcome = train(tiny_spec(tiny_folder, {"training.epochs": 3}), tmp_path, recorder)
    epochs = [event.values for event in recorder.of_kind("epoch")]
    elapsed = [float(values["elapsed_seconds"] or 0) for values in epochs]
    assert elapsed == sorted(elapsed)
    assert elapsed[0] > 0
    assert all(float(values["seconds"] or 0) > 0 for values in epochs)
    assert outcome.seconds >= elapsed[-1]


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_work_that_never_began_is_gone_whatever_the_clock(
    monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    state = WorkState(at=time.time())
    assert not state.is_gone
    set_clock(monkeypatch, by)
    assert abs(by) > SILENT_SECONDS
    assert state.is_gone
