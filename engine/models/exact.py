"""Convolutions in all their bits.

GPUs from 2020 on round what they multiply in a convolution to 19 bits (TF32), of which PyTorch
makes use on its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Has a GPU compute convolutions in all 32 bits for a while."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
