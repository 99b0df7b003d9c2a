"""Measures this machine once, before its first run: `python -m engine.training.speed BACKBONE`.

It yields to everything else: a run that starts meanwhile is not held up, and a measurement that
did not get the processor to itself is thrown away; the run will give a better one.

Shapes: B images, C channels, H rows, W columns.
"""

import os
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from engine.models.classifier import build_classifier
from engine.spec import ModelSpec
from engine.training.device import choose_device
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, record_speed

IMAGE_SIZE = 160
BATCH = 16
LEAST_SHARE = 0.8


def main(backbone: str) -> int:
    """Measures forward passes and training steps, and keeps both; returns the exit code."""
    if hasattr(os, "nice"):
        os.nice(19)
    device = choose_device("auto")
    model = build_classifier(ModelSpec(backbone=backbone), num_classes=10, seed=0)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images_BCHW = torch.rand(BATCH, 3, IMAGE_SIZE, IMAGE_SIZE, device=device)
    images_BCHW = images_BCHW.to(memory_format=torch.channels_last)
    labels_B = torch.zeros(BATCH, dtype=torch.long, device=device)
    criterion = nn.CrossEntropyLoss()

    @torch.inference_mode()
    def forward() -> None:
        float(model.eval()(images_BCHW).sum())

    def train() -> None:
        criterion(model.train()(images_BCHW), labels_B).backward()
        model.zero_grad()

    forward_speed, train_speed = _measure(forward, repeats=4), _measure(train, repeats=2)
    if forward_speed is not None and train_speed is not None:
        record_speed(backbone, FORWARD, forward_speed)
        record_speed(backbone, TRAIN_FULL, train_speed)
    return 0


def _measure(work: Callable[[], None], repeats: int) -> Speed | None:
    """Returns the speed of `work`, None where others held the processor meanwhile."""
    work()
    started, cpu_started = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        work()
    seconds = time.perf_counter() - started
    on_cpu = not torch.cuda.is_available()
    share = (time.process_time() - cpu_started) / (seconds * torch.get_num_threads())
    if on_cpu and share < LEAST_SHARE:
        return None
    return Speed(repeats * BATCH / seconds, IMAGE_SIZE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
