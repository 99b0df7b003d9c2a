"""What it costs to measure how far stages move: the same runs with and without it, in turn.

EfficientNet-Lite0 on the clip art at 224 px (`--size`), full for two epochs and frozen for thirty,
a process each. Compared by the seconds that processors were busy, which other work on the machine
hardly changes, and by the clock.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from engine.spec import RunSpec
from engine.training.trainer import train
from tests.benchmarks.served import in_own_process
from tests.conftest import CLIPART, Recorder
from tests.engine.unmeasured import unmeasured

WAYS = {"full": 2, "frozen": 30}


def main(options: Sequence[str] = ()) -> None:
    """Prints for each strategy how many times as long it takes with measuring as without."""
    parser = argparse.ArgumentParser(prog="layers_cost")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures in px")
    parser.add_argument("--times", type=int, default=2, help="how often each is run")
    asked = parser.parse_args(options)
    for strategy, epochs in WAYS.items():
        found: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
        # The first of all finds nothing in memory that the others find there.
        in_own_process("layers_cost", strategy, "1", str(asked.size), "with")
        for _ in range(asked.times):
            for way, runs in found.items():
                arguments = (strategy, str(epochs), str(asked.size), way)
                runs.append(in_own_process("layers_cost", *arguments))
        ratios = [
            statistics.median(one[unit] for one in found["with"])
            / statistics.median(one[unit] for one in found["without"])
            for unit in ("busy", "clock")
        ]
        seconds = statistics.median(one["busy"] for one in found["without"])
        print(
            f"  {strategy}, {epochs} epochs, {seconds:.1f} s busy without: with measuring "
            f"{ratios[0]:.3f} times as long busy, {ratios[1]:.3f} times by the clock",
            flush=True,
        )


def measured(strategy: str, epochs: int, size: int, way: str) -> dict[str, float]:
    """Returns seconds that the epochs of a run took."""
    values: dict[str, Any] = {
        "data": {"folder": str(CLIPART)},
        "images": {"size": size},
        "strategy": {"name": strategy},
        "training": {"epochs": epochs},
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THAW_HOME"] = f"{folder}/home"
        run = Path(folder) / "run"
        run.mkdir()
        with nullcontext() if way == "with" else unmeasured():
            outcome = train(RunSpec.parse(values), run, Recorder())
    return {"busy": outcome.cpu_seconds, "clock": outcome.seconds}


if __name__ == "__main__":
    strategy, epochs, size, way = sys.argv[1:]
    print(json.dumps(measured(strategy, int(epochs), int(size), way)))
