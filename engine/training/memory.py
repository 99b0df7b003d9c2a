"""What is done where memory runs out: the same work again, with fewer pictures at once.

Shapes: B images.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Result = TypeVar("Result")

# What PyTorch and its libraries say on a CPU, Linux and Windows, and what those of a GPU say where
# they ask for memory themselves.
SHORTAGES = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
    "_ALLOC_FAILED",
    "could not create a memory object",
    "could not create a primitive",
)


def is_shortage(error: BaseException) -> bool:
    """Returns whether an error says that memory, of a GPU or of the machine, ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in SHORTAGES)


def in_parts(
    work: Callable[[int], Result],
    parts: int,
    num_items: int,
    undo: Callable[[], None] = lambda: None,
) -> tuple[Result, int]:
    """Returns what some work gives, and in how many parts there was memory for it.

    Args:
        work: is done in so many parts, and again in twice as many wherever memory runs out.
        parts: to begin with.
        num_items: there cannot be more parts than these.
        undo: takes back what the work had changed by then.

    Raises:
        Exception: whatever the work raises; a lack of memory where it cannot be divided further.
    """
    parts = first = min(parts, num_items)
    while True:
        try:
            return work(parts), parts
        except ValueError as error:
            if parts == first:
                raise
            # BatchNorm refuses to learn from a single value.
            raise MemoryError(str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if parts >= num_items or not is_shortage(error):
                raise
        # Not before here: the error holds all that was being computed.
        parts = min(2 * parts, num_items)
        undo()
        give_back_memory()


def give_back_memory() -> None:
    """Lets go of what nobody uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Undo:
    """Takes back what a pass through a model that learns changes, gradients apart.

    That is the state of the random numbers, and buffers such as BatchNorm's statistics.
    """

    def __init__(self, model: nn.Module):
        # Looked for once: a step of a head alone takes less time than going through a backbone.
        self._holders = [
            module for module in model.modules() if any(True for _ in module.buffers(recurse=False))
        ]
        self._device = torch.device("cpu")
        self._random: list[Tensor] = []
        self._buffers: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}

    @torch.no_grad()
    def keep(self, device: torch.device) -> None:
        """Takes down how things are before a pass on a device."""
        self._device = device
        self._random = [torch.get_rng_state()]
        if device.type == "cuda":
            self._random.append(torch.cuda.get_rng_state(device))
        self._buffers = {}
        for module in self._holders:
            if module.training:
                for buffer in module.buffers(recurse=False):
                    buffers, kept = self._buffers.setdefault(buffer.dtype, ([], []))
                    buffers.append(buffer)
                    kept.append(torch.empty_like(buffer))
        # All of a kind at once, since each copy by itself is a launch on a GPU.
        for buffers, kept in self._buffers.values():
            torch._foreach_copy_(kept, buffers)

    @torch.no_grad()
    def __call__(self) -> None:
        """Puts things as they were."""
        torch.set_rng_state(self._random[0])
        for state in self._random[1:]:
            torch.cuda.set_rng_state(state, self._device)
        for buffers, kept in self._buffers.values():
            torch._foreach_copy_(buffers, kept)


@dataclass
class Judging:
    """In how many parts a batch is judged.

    Attributes:
        parts: 1 as long as there is memory for it.
    """

    parts: int = 1

    def __call__(self, forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Returns the logits (B, K) of a batch, in more parts from now on if need be."""

        def logits(parts: int) -> Tensor:
            if parts == 1:
                return forward(inputs)
            return torch.cat([forward(part) for part in inputs.tensor_split(parts)])

        given, parts = in_parts(logits, self.parts, len(inputs))
        self.parts = max(self.parts, parts)
        return given


def learning_note(model: nn.Module, num_images: int, before: int, parts: int) -> str:
    """Returns what a person is told of batches that are learnt from in more parts.

    Args:
        model: that learns.
        num_images: of the batch for which memory ran out.
        before: parts that it had.
        parts: parts that it has now.
    """
    whole, now = -(-num_images // before), -(-num_images // parts)
    told = (
        f"Memory ran out with {_pictures(whole)} at once, so each step is computed in {parts} "
        f"parts of at most {_pictures(now)} from here on; it moves the weights by the gradient of "
        "the whole batch as before"
    )
    if any(isinstance(module, _BatchNorm) and module.training for module in model.modules()):
        return f"{told}, but BatchNorm sees only a part at a time."
    return f"{told}."


def judging_note(num_images: int, parts: int) -> str:
    """Returns what a person is told of batches that are judged in more parts."""
    return (
        f"Memory ran out while {_pictures(num_images)} were judged at once, so "
        f"{_pictures(-(-num_images // parts))} at most are from here on; that changes no result "
        "by more than rounding."
    )


def features_note(batch_size: int) -> str:
    """Returns what a person is told of features that are computed for fewer pictures at once."""
    return (
        f"Memory ran out while features were computed, so they are for {_pictures(batch_size)} at "
        "once; that changes no result by more than rounding."
    )


def _pictures(count: int) -> str:
    return f"{count} picture{'s' if count != 1 else ''}"
