"""Memory that runs out when it is asked to."""

from typing import Any

import numpy as np
import torch

# Much that is drawn at random, and statistics that move.
FULL: dict[str, Any] = {
    "strategy.name": "full",
    "model.dropout": 0.3,
    "model.stochastic_depth": 0.2,
    "images.augmentation": "standard",
    "training.mixup": 0.4,
    "training.ema_decay": 0.9,
    "training.clip_norm": 1.0,
}
TOO_MUCH = 1 << 46


def from_pytorch() -> None:
    torch.empty(TOO_MUCH, dtype=torch.uint8)


def from_numpy() -> None:
    np.empty(TOO_MUCH)


def from_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


RAISED = [from_pytorch, from_numpy, from_a_gpu]
