"""The same numbers from the same work, as far as a device can."""

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.training.memory import is_shortage

# With a workspace of this size cuBLAS adds up in the same order each time.
CUBLAS_WORKSPACE = ":4096:8"


def compute_repeatably() -> None:
    """Makes the same work give the same numbers each time, wherever PyTorch knows a way.

    Attention on a GPU is left out; see `insist_where_possible`.
    """
    # Read before the first product on a GPU, and not again.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else each new tensor is filled before it is written, which changes no number and takes a
    # tenth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def insist_where_possible(model: nn.Module, logits: Callable[[], Tensor]) -> bool:
    """Has a GPU train a model in no way but those that repeat; returns whether that can be.

    Attention is computed in its repeatable way only if whatever has none is refused, which rules
    out some old networks (the pooling of AlexNet and VGG). So a pass forward and back is tried, and
    what it changed is put back. On a CPU everything repeats.

    Args:
        model: in the state in which it is to learn.
        logits: passes a batch through it, best of the size that it learns from: what a GPU looks
            for before its first batch of a size, for seconds, it then has.

    Raises:
        RuntimeError: there is too little memory to try it.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        return True
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[device]):
            torch.autograd.grad(logits().float().sum(), learning, allow_unused=True)
    except Exception as error:
        if is_shortage(error):
            raise
        # Whatever else is the matter shows in the run itself.
        torch.use_deterministic_algorithms(True, warn_only=True)
        return False
    finally:
        for buffer, own in buffers:
            buffer.copy_(own)
    return True
