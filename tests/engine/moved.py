"""A THAW_HOME with really trained runs, and what it takes to open their files in another one."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.insight.soup import interpolate_run
from engine.runs import worker
from engine.runs.exporting import export_run
from engine.runs.store import Run, Store
from engine.spec import Act
from engine.training import state, trainer
from engine.training.session import Session
from tests.engine.specs import tiny_spec

FULL = {"strategy.name": "full", "optimiser.lr": 1e-3, "training.epochs": 3}
SETTINGS: dict[str, dict[str, Any]] = {
    "frozen": {"training.epochs": 3},
    "tuned": {"strategy.name": "wise_ft"},
    "whole": FULL,
    "stopped": FULL,
    "failed": FULL | {"seed": 1},
}
SLOWER = Act(kind="lr", target="head", factor=0.5)
EPOCH_OF_END = 2
HOST = "machine-of-somebody"


def train_all(photos: Path) -> None:
    """Trains runs in the present THAW_HOME: one is steered, one stopped, one failed in epoch 2."""
    handler = signal.getsignal(signal.SIGTERM)
    store = Store()
    for name, settings in SETTINGS.items():
        [run] = store.add_runs([(name, tiny_spec(photos, settings))])
        store.set_status(run.id, "running")
        if name == "frozen":
            store.request_act(run.id, SLOWER)
            store.mark(run.id, starred=True, tags=["paper", "ü"], note="why\nit won")
        with _ending(name):
            worker.main(run.id)
    tuned = run_called(store, "tuned")
    interpolate_run(store, tuned.id, 0.5)
    store.close()
    signal.signal(signal.SIGTERM, handler)


@contextmanager
def _ending(name: str) -> Iterator[None]:
    """Ends a run in its second epoch as its name says, with a state of each epoch before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "machine_name", lambda: HOST)
        patch.setattr(state, "LEAST_SECONDS", 0.0)
        patch.setattr(state, "MOST_SHARE", 1e9)
        real = trainer.keep_state

        def keep(session: Session) -> None:
            real(session)
            if session.epoch == EPOCH_OF_END and name == "stopped":
                os.kill(os.getpid(), signal.SIGTERM)
            if session.epoch == EPOCH_OF_END and name == "failed":
                raise RuntimeError("no luck")

        patch.setattr(trainer, "keep_state", keep)
        yield


def run_called(store: Store, name: str) -> Run:
    """Returns the run of a name."""
    [run] = [one for one in store.all_runs(hidden=True) if one.name == name]
    return run


@contextmanager
def at_home(home: Path) -> Iterator[Store]:
    """Gives the store of a THAW_HOME, which is the present one meanwhile."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THAW_HOME", str(home))
        store = Store()
        try:
            yield store
        finally:
            store.close()


def exported(home: Path, name: str, folder: Path, with_states: bool = False) -> Path:
    """Returns the file of a run of another THAW_HOME."""
    with at_home(home) as store:
        return export_run(store, run_called(store, name), folder, with_states)


def copied(home: Path, to: Path) -> Path:
    """Returns a copy of a THAW_HOME that a test may change."""
    return shutil.copytree(home, to)
