"""What each way to save time or memory brings to full fine-tuning, against the same without.

A process each, started as a run's is; EfficientNet-Lite0, clip art at 224 px, batches of 32.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine.spec import RunSpec
from engine.training.device import choose_device
from engine.training.precision import mixed_dtype
from engine.training.trainer import train
from tests.benchmarks.contenders import Task
from tests.benchmarks.contenders.thaw_contender import spec_of
from tests.benchmarks.served import in_own_process
from tests.conftest import Recorder

WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "memory handed back to the system": {"keep_memory": False},
    "gradient checkpointing": {"training": {"gradient_checkpointing": True}},
    "batch in 4 parts": {"training": {"accumulation": 4}},
    "mixed precision": {"training": {"precision": "mixed"}},
    "compiled": {"training": {"compile": True}},
    "pictures that grow from 128 px": {"images": {"start_size": 128}},
}


def main() -> None:
    """Prints seconds of the last epoch, of the whole run, and peak memory: the GPU's, if any."""
    for name, way in WAYS.items():
        if name == "mixed precision" and mixed_dtype(choose_device("auto")) is None:
            print("  mixed precision: this device has no units for it")
            continue
        settings = dict(way)
        keeps = settings.pop("keep_memory", True)
        found = in_own_process("steps", json.dumps(settings), keep_memory=keeps)
        print(f"  {name}: {found}", flush=True)


def measured(settings: dict[str, Any]) -> str:
    """Returns what a run took, as a sentence."""
    task = Task(strategy="full", epochs=4, backbone="efficientnet_lite0", weights="pretrained")
    values = spec_of(task).model_dump()
    for part, changes in settings.items():
        values[part] |= changes
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THAW_HOME"] = f"{folder}/home"
        run = Path(folder) / "run"
        run.mkdir()
        outcome = train(RunSpec.parse(values), run, recorder)
    told = recorder.of_kind("epoch")[-1].values
    last, peak = (float(told[name] or 0) for name in ("seconds", "peak_memory_mib"))
    return f"{last:.2f} s the last epoch, {outcome.seconds:.1f} s the run, {peak:.0f} MiB at most"


if __name__ == "__main__":
    print(json.dumps(measured(json.loads(sys.argv[1]))))
