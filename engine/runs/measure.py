"""Measures this machine once, before its first run: `python -m engine.runs.measure BACKBONE`.

It gives way to a run at once: two processes that compute with all cores slow each other down many
times over, and the run measures the machine better anyway. A lower priority would not do, since
Linux weighs sessions, not processes, against each other. For the same reason a measurement that
did not get the processor to itself is thrown away.

Shapes: B images, C channels, H rows, W columns.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from engine.events import ACTIVE
from engine.logs import start_logs
from engine.models.backbone import RANDOM
from engine.models.catalogue import backbone_record
from engine.models.classifier import build_classifier
from engine.runs.store import Store
from engine.spec import ModelSpec
from engine.training.device import choose_device, wait_for
from engine.training.layout import layout_for
from engine.training.repeatable import compute_repeatably
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, record_speed

IMAGE_SIZE = 160
BATCH = 32
LEAST_SHARE = 0.8


def main(backbone: str) -> int:
    """Measures forward passes and training steps, and keeps both; returns the exit code."""
    store = Store()
    if store.all_runs(ACTIVE):
        return 1
    device = choose_device("auto")
    compute_repeatably()
    record = backbone_record(backbone)
    size = IMAGE_SIZE if record.sizes == "any" else record.default_size
    # Speed does not depend on the weights, which may not be here yet.
    spec = ModelSpec(backbone=backbone, weights=RANDOM)
    model = build_classifier(spec, num_classes=10, seed=0, size=size)
    layout = layout_for(device, BATCH)
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    model.set_trainable(model.backbone.stages)
    images_BCHW = torch.rand(BATCH, 3, size, size, device=device)
    images_BCHW = images_BCHW.contiguous(memory_format=layout)
    labels_B = torch.zeros(BATCH, dtype=torch.long, device=device)
    criterion = nn.CrossEntropyLoss()

    @torch.inference_mode()
    def forward() -> None:
        float(model.eval()(images_BCHW).sum())

    def train() -> None:
        criterion(model.train()(images_BCHW), labels_B).backward()
        model.zero_grad()

    for name, work, repeats in ((FORWARD, forward, 8), (TRAIN_FULL, train, 4)):
        images_per_second = _measure(store, device, work, repeats)
        if images_per_second is None:
            return 1
        record_speed(backbone, name, Speed(images_per_second, size))
    return 0


def _measure(
    store: Store, device: torch.device, work: Callable[[], None], repeats: int
) -> float | None:
    """Returns images a second in `work`, None where a run came or others held the processor."""
    work()
    wait_for(device)
    started, cpu_started = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        if store.all_runs(ACTIVE):
            return None
        work()
    wait_for(device)
    seconds = time.perf_counter() - started
    share = (time.process_time() - cpu_started) / (seconds * torch.get_num_threads())
    if device.type == "cpu" and share < LEAST_SHARE:
        return None
    return repeats * BATCH / seconds


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
