"""A home with pictures and a store, in which runs are trained by real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from safetensors.torch import load_file

from engine.events import MetricEvent
from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs.process import machine_name
from engine.runs.queue import mark_interrupted, resume
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from tests.conftest import CLIPART

# A worker that keeps a state after each step, however short.
WORKER = """
import sys
from engine.training import state
state.LEAST_SECONDS, state.MOST_SHARE = 0.0, 1e9
state.LEAST_SECONDS_WITHIN = 0.0
from engine.runs.worker import main
sys.exit(main(sys.argv[1]))
"""
TRUTHFUL_SECONDS = 15.0


class WrongOutcomeError(Exception):
    """Something else became of a run than should have."""


class Stage:
    """A THAW_HOME of its own.

    Attributes:
        photos: pictures to train on.
        store: of the runs.
    """

    def __init__(self, folder: Path):
        os.environ["THAW_HOME"] = str(folder / "home")
        os.environ["OMP_NUM_THREADS"] = "1"
        self.folder = folder
        self.photos = folder / "photos"
        for name in ("birds", "fruit", "vehicles"):
            (self.photos / name).mkdir(parents=True)
            for file in sorted((CLIPART / "train" / name).iterdir())[:16]:
                shutil.copy(file, self.photos / name)
        self.store = Store()

    def spec(self, strategy: str = "full", epochs: int = 6) -> RunSpec:
        """Returns a run of some seconds in which much is drawn at random."""
        return RunSpec.parse(
            {
                "data": {"folder": str(self.photos)},
                "strategy": {"name": strategy},
                "model": {"dropout": 0.2},
                "images": {"size": 64, "augmentation": "standard"},
                "training": {"epochs": epochs, "batch_size": 8},
                "device": "cpu",
            }
        )

    def add(self, spec: RunSpec, name: str = "run") -> Run:
        """Puts a run in the queue, without anybody to start it."""
        [run] = self.store.add_runs([(name, spec)])
        return run

    @contextmanager
    def worker(self, prelude: str = "") -> Iterator["subprocess.Popen[bytes]"]:
        """Trains the run that waits longest, as the supervisor would.

        Args:
            prelude: Python that the process runs first.
        """
        claimed = self.store.claim_next(1, machine_name())
        assert claimed is not None
        log = run_folder(claimed[0]) / "worker.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", prelude + WORKER, claimed[0]],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def finish(self, run: Run, prelude: str = "") -> Run:
        """Trains a run to its end."""
        with self.worker(prelude) as process:
            process.wait(300)
        mark_interrupted(self.store)
        return self.store.run(run.id)

    def finish_resumed(self, run: Run) -> Run:
        """Resumes a run, which the supervisor starts, and waits for its end."""
        require(resume(self.store, run.id), "the run could not be resumed")
        wait_until(lambda: not self.store.run(run.id).is_active, 240, "ended")
        return self.store.run(run.id)

    def unbroken(self, spec: RunSpec) -> Run:
        """Returns a run of the same spec to which nothing happened."""
        return self.finish(self.add(spec, "unbroken"))

    def steps(self, run: Run) -> int:
        """Returns how many steps a run has told of."""
        return len(self.store.events_of_kind(run.id, "step"))


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Waits for something, and returns for how many seconds.

    Raises:
        WrongOutcomeError: it did not come true in time.
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise WrongOutcomeError(f"after {seconds:.0f} s still not {what}")
        time.sleep(0.02)
    return time.monotonic() - started


def require(condition: object, what: str) -> None:
    """Raises WrongOutcomeError where something does not hold."""
    if not condition:
        raise WrongOutcomeError(what)


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and all that it started, as a reboot does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def children_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Returns the processes that a process has started."""
    return psutil.Process(process.pid).children(recursive=True)


def require_same(stage: Stage, ours: Run, theirs: Run) -> None:
    """Requires that two runs have told the same of every step and epoch, and kept the same."""
    require(ours.status == "finished", f"the run is {ours.status}: {ours.reason}")
    for kind in ("step", "epoch"):
        one, other = (
            [_told(event) for event in stage.store.events_of_kind(run.id, kind)]  # type: ignore[arg-type]
            for run in (ours, theirs)
        )
        require(one == other, f"its {kind}s are not those of the run that was not interrupted")
    weights, others = (load_file(run_folder(run.id) / CHECKPOINT_FILE) for run in (ours, theirs))
    require(
        weights.keys() == others.keys()
        and all(bool((weights[name] == others[name]).all()) for name in weights),
        "its weights are not bit for bit those of the run that was not interrupted",
    )


def _told(event: MetricEvent) -> tuple[int, int, dict[str, object]]:
    numbers = {k: v for k, v in event.values.items() if k.startswith(("train/", "val/", "lr/"))}
    return event.epoch, event.step, dict(numbers)
