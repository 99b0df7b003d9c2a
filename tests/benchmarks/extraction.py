"""Computing features, from picture files to the cache, against a bare forward pass of the network.

The bare pass is `torch.inference_mode()` in channels_last over batches that are in memory already,
of the same size and number. Both run in one process, started as a run's process is; each by turns.
"""

import json
import os
import statistics
import sys
import tempfile
import time

import torch

from engine.data.manifest import build_manifest
from engine.models.classifier import build_classifier
from engine.training.device import choose_device
from engine.training.features import BATCH_SIZE
from engine.training.feeding import Feed
from tests.benchmarks.contenders import MOBILENET, Task
from tests.benchmarks.contenders.thaw_contender import spec_of
from tests.benchmarks.served import in_own_process
from tests.conftest import Recorder

ROUNDS = 5
BACKBONES = {"EfficientNet-Lite0": "efficientnet_lite0", "MobileNetV2": MOBILENET}


def main() -> None:
    """Prints pictures a second of both, and their ratio."""
    for title, backbone in BACKBONES.items():
        found = in_own_process("extraction", backbone)
        whole, warm, bare = (
            statistics.median(found[name]) for name in ("files", "squares", "bare")
        )
        print(
            f"  {title}: bare forward {bare:.0f} images/s; features from decoded pictures "
            f"{warm:.0f} ({warm / bare:.0%}), from files {whole:.0f} ({whole / bare:.0%})",
            flush=True,
        )


def speeds(backbone: str) -> dict[str, list[float]]:
    """Returns images per second of each round: from files, from decoded pictures, and bare."""
    spec = spec_of(Task(backbone=backbone))
    manifest = build_manifest(spec.data)
    device = choose_device("cpu")
    model = build_classifier(spec.model, len(manifest.classes), 0, spec.images.size).eval()
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = len(manifest.train) + len(manifest.val)
    images = torch.randn(BATCH_SIZE, 3, spec.images.size, spec.images.size)
    images = images.to(memory_format=torch.channels_last)
    found: dict[str, list[float]] = {"files": [], "squares": [], "bare": []}
    for number in range(ROUNDS):
        started = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, count, BATCH_SIZE):
                model.backbone(images[: min(BATCH_SIZE, count - start)])
        found["bare"].append(count / (time.perf_counter() - started))
        with tempfile.TemporaryDirectory() as home:
            os.environ["THAW_HOME"] = home
            for kind in ("files", "squares"):
                with torch.no_grad():
                    # Other weights are other features; the pictures are those of before.
                    next(model.backbone.parameters()).add_(1e-3 * (number + 1))
                feed = Feed(spec, manifest, model.backbone.record, device, Recorder())
                started = time.perf_counter()
                feed.features(model.backbone)
                found[kind].append(count / (time.perf_counter() - started))
    return found


if __name__ == "__main__":
    print(json.dumps(speeds(sys.argv[1])))
