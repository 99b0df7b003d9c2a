"""Measures this machine once, before its first run: `python -m engine.training.speed BACKBONE`.

Shapes: B images, C channels, H rows, W columns.
"""

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


def main(backbone: str) -> int:
    """Measures forward passes and training steps, and keeps both; returns the exit code."""
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

    record_speed(backbone, FORWARD, _measure(forward, repeats=4))
    record_speed(backbone, TRAIN_FULL, _measure(train, repeats=2))
    return 0


def _measure(work: Callable[[], None], repeats: int) -> Speed:
    work()
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    return Speed(repeats * BATCH / (time.perf_counter() - started), IMAGE_SIZE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
