"""Thaw, as a run's own process trains."""

import tempfile
from pathlib import Path

from engine.spec import RunSpec
from engine.training.trainer import train as train_run
from tests.benchmarks.contenders import Task, Timing
from tests.conftest import Recorder


def spec_of(task: Task) -> RunSpec:
    """Returns the spec of a task."""
    return RunSpec.parse(
        {
            "data": {"folder": task.folder},
            "model": {"backbone": task.backbone, "weights": task.weights},
            "images": {"size": task.size},
            "strategy": {"name": task.strategy, "last_stages": task.last_stages},
            "training": {
                "epochs": task.epochs,
                "batch_size": task.batch_size,
                "precision": task.precision,
            },
            "optimiser": {"lr": task.lr},
            "seed": task.seed,
        }
    )


def train(task: Task) -> Timing:
    """Trains from the first picture to the last file."""
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        outcome = train_run(spec_of(task), Path(folder), recorder)
    epochs = [event.values for event in recorder.of_kind("epoch")]
    seconds = [float(values["seconds"] or 0) for values in epochs]
    accuracies = [float(values["val/accuracy"] or 0) for values in epochs]
    return Timing(outcome.seconds - sum(seconds), seconds, accuracies)
