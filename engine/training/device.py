"""Where a run computes, and what it used of it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from engine.errors import TrainingError
from engine.spec import Device

# Two threads are even with one at about so many on the CPU that was tried.
ONE_THREAD_PRODUCTS = 2_000_000
# With a workspace of this size cuBLAS adds up in the same order each time.
CUBLAS_WORKSPACE = ":4096:8"


def choose_device(wanted: Device) -> torch.device:
    """Returns the device that a spec asks for; `auto` takes a CUDA GPU where there is one.

    Raises:
        TrainingError: CUDA was asked for and is not there.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "The spec asks for device cuda, but PyTorch finds no CUDA GPU here; use auto or cpu."
        )
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def compute_repeatably() -> None:
    """Makes the same work give the same numbers each time, wherever PyTorch knows a way."""
    # Read before the first product on a GPU, and not again.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else each new tensor is filled before it is written, which changes no number and takes a
    # fifteenth of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def wait_for(device: torch.device) -> None:
    """Returns when the device has done all that it was given; a CPU is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns a GPU's lack of memory into a sentence.

    Raises:
        TrainingError: the GPU has too little memory for this.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        total = torch.cuda.get_device_properties().total_memory / 2**30
        raise TrainingError(
            f"The GPU ({torch.cuda.get_device_name()}, {total:.0f} GiB) ran out of memory; choose "
            "a smaller training.batch_size or images.size, a larger training.accumulation, "
            "training.precision mixed or training.gradient_checkpointing, or end what else uses "
            "the GPU."
        ) from error


@contextmanager
def threads_for(products: int) -> Iterator[None]:
    """Computes in one thread where a step has too little work for several to share.

    They would wait for each other longer than they compute, above all beside a busy browser.

    Args:
        products: multiplications that a forward pass of a step takes.
    """
    before = torch.get_num_threads()
    if before == 1 or products > ONE_THREAD_PRODUCTS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory_mib(device: torch.device) -> float:
    """Returns the most memory used so far: of the GPU on CUDA, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 2**20)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
