"""Where a run computes, and what it used of it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from engine.errors import TrainingError
from engine.spec import Device
from engine.training.memory import is_shortage

# Two threads are even with one at about so many on the CPU that was tried.
ONE_THREAD_PRODUCTS = 2_000_000


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


def wait_for(device: torch.device) -> None:
    """Returns when the device has done all that it was given; a CPU is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns a lack of memory, of a GPU or of the machine, into a sentence.

    Raises:
        TrainingError: there is too little memory for this.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        raise TrainingError(
            f"{_memory_of(error)} ran out of memory; choose a smaller training.batch_size or "
            "images.size, a larger training.accumulation, training.precision mixed or "
            "training.gradient_checkpointing, or end what else uses its memory."
        ) from error


def _memory_of(error: Exception) -> str:
    """Returns whose memory an error says has run out."""
    # Libraries that ask a GPU for memory themselves raise no OutOfMemoryError.
    of_gpu = isinstance(error, torch.OutOfMemoryError) or "CU" in str(error)
    if of_gpu and torch.cuda.is_available():
        total = torch.cuda.get_device_properties().total_memory / 2**30
        return f"The GPU ({torch.cuda.get_device_name()}, {total:.0f} GiB)"
    return f"This machine ({psutil.virtual_memory().total / 2**30:.0f} GiB)"


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
