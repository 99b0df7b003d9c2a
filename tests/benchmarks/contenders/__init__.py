"""What is measured against each other: one file a contender, each used as its own guide says.

A contender trains as a task says and returns a Timing. It runs in a process of its own, so that
none has what another left behind; imports are not counted.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engine.runs.process import KEEP_MEMORY
from tests.conftest import CLIPART

# As many as a run of Thaw has.
NUM_WORKERS = min(8, max(1, (os.cpu_count() or 1) // 2))
MOBILENET = "torchvision/mobilenet_v2.IMAGENET1K_V2"
# What must be installed for a contender, and how it is called in a table.
NEEDS = {"thaw": "torch", "plain": "torch", "tuned": "torch", "timm": "timm"} | {
    name: name for name in ("fastai", "keras")
}
TITLES = {
    "thaw": "Thaw",
    "plain": "plain PyTorch loop",
    "tuned": "the same in channels_last",
    "timm": "timm",
    "fastai": "fastai",
    "keras": "Keras (torch backend)",
}


@dataclass(frozen=True)
class Task:
    """What is to be trained.

    Attributes:
        folder: with `train/<class>/` and `val/<class>/`.
        strategy: frozen, partial or full.
        epochs: to train, or to take the time of.
        last_stages: that learn in `partial`.
        size: side of the pictures in px.
        batch_size: pictures a step.
        backbone: by Thaw's name; contenders with networks of their own take MobileNetV2.
        weights: of the backbone; time cannot tell random ones from others.
        lr: of AdamW or Adam.
        seed: decides the head's first weights and the order of pictures.
        precision: of Thaw; full or mixed.
    """

    folder: str = str(CLIPART)
    strategy: str = "frozen"
    epochs: int = 2
    last_stages: int = 3
    size: int = 224
    batch_size: int = 32
    backbone: str = MOBILENET
    weights: str = "random"
    lr: float = 1e-3
    seed: int = 0
    precision: str = "full"


@dataclass
class Timing:
    """How long it took.

    Attributes:
        built: seconds before the first epoch.
        epochs: seconds of each, validation counted in.
        accuracies: on validation images after each, where they were taken.
    """

    built: float
    epochs: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def seconds(self, epochs: int) -> float:
        """Returns how long so many epochs take, from the mean of those that were timed."""
        return self.built + epochs * sum(self.epochs) / len(self.epochs)


def is_installed(contender: str) -> bool:
    """Returns whether a contender can take part."""
    return importlib.util.find_spec(NEEDS[contender]) is not None


def measure(contender: str, task: Task, home: Path | None = None) -> Timing:
    """Lets a contender train in a process of its own.

    Args:
        contender: name of its file; `tuned` is in that of `plain`.
        task: what it trains.
        home: what Thaw keeps from run to run; an empty folder where None.
    """
    with tempfile.TemporaryDirectory() as empty:
        ours = KEEP_MEMORY | {"THAW_HOME": str(home or empty)}
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.benchmarks.contenders",
                contender,
                json.dumps(asdict(task)),
            ],
            capture_output=True,
            text=True,
            check=False,
            # Thaw's own processes are started like this; the others as a person starts them.
            env=(ours if contender == "thaw" else {}) | os.environ | {"KERAS_BACKEND": "torch"},
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def run(contender: str, task: Task) -> Timing:
    """Lets a contender train in this process."""
    module = importlib.import_module(f"tests.benchmarks.contenders.{contender}_contender")
    timing: Timing = module.train(task)
    return timing
