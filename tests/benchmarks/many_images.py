"""Memory and time of a frozen run as the number of pictures grows 16-fold, to 100,000.

The pictures are generated, 40 px a side, and the network is a small one: what is measured is what
Thaw itself takes. Memory is what the process holds beside files that are mapped into it, which the
system drops when it wants to.
"""

import json
import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from engine.events import Kind, Value
from tests.benchmarks.served import in_own_process, own_home
from tests.conftest import Recorder

COUNTS = (6_250, 25_000, 100_000)
CLASSES = 10
SIDE = 40


class MemoryRecorder(Recorder):
    """Looks at the process's memory at each event."""

    def __init__(self) -> None:
        super().__init__()
        self.most_mib: dict[str, float] = {}

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        task = str(values.get("task", "training"))
        self.most_mib[task] = max(self.most_mib.get(task, 0.0), own_memory_mib())


def own_memory_mib() -> float:
    """Returns the memory of this process that no file stands behind."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) / 2**10


def main() -> None:
    """Prints memory and seconds by number of pictures, and the growth exponent of the time."""
    found: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            make_pictures(Path(folder), count)
            with own_home():
                facts = in_own_process("many_images", folder)
            found.append((count, facts["seconds"]))
            most = ", ".join(f"{task} {mib:.0f}" for task, mib in facts["most_mib"].items())
            print(
                f"  {count:>7,} pictures: {facts['seconds']:.0f} s; MiB at most while {most}",
                flush=True,
            )
    (few, short), (many, long) = found[0], found[-1]
    print(f"  time grows with the {math.log(long / short) / math.log(many / few):.2f}th power")


def make_pictures(folder: Path, count: int) -> None:
    """Writes pictures that differ, until there are so many."""
    random = np.random.default_rng(0)
    for number in range(count):
        file = folder / f"class{number % CLASSES}" / f"{number:06d}.png"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            noise = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((SIDE, SIDE)).save(file, compress_level=1)


def measure(folder: str) -> None:
    """Trains a frozen run on a folder and prints what it took."""
    from engine.spec import RunSpec
    from engine.training.trainer import train

    spec = RunSpec.parse(
        {
            "data": {"folder": folder},
            "model": {"backbone": "timm/mobilenetv4_conv_small", "weights": "random"},
            "images": {"size": 32, "fit": "squash"},
            "training": {"epochs": 2, "batch_size": 256},
        }
    )
    recorder = MemoryRecorder()
    with tempfile.TemporaryDirectory() as run:
        outcome = train(spec, Path(run), recorder)
    print(json.dumps({"seconds": outcome.seconds, "most_mib": recorder.most_mib}))


if __name__ == "__main__":
    measure(sys.argv[1])
