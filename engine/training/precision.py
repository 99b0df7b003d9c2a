"""Mixed precision: 16-bit numbers where a device has units for them.

Source: Micikevicius et al. 2018 (mixed precision training); bfloat16 needs no scaling of the loss.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.amp import GradScaler

from engine.errors import TrainingError


class Precision:
    """In which numbers a run computes.

    Attributes:
        dtype: of what may be computed in fewer bits; None where nothing is.
        scaler: keeps small gradients from vanishing in float16.
    """

    def __init__(self, wanted: str, device: torch.device):
        """Takes what a spec wants.

        Raises:
            TrainingError: mixed precision is wanted and the device has no units for it.
        """
        self.dtype = mixed_dtype(device) if wanted == "mixed" else None
        if wanted == "mixed" and self.dtype is None:
            raise TrainingError(
                "training.precision is 'mixed', but this processor has no 16-bit units and would "
                "be many times slower; choose full."
            )
        self._device_type = device.type
        self.scaler = GradScaler(device.type, enabled=self.dtype == torch.float16)

    def computing(self) -> AbstractContextManager[object]:
        """Returns the context in which logits are computed."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self._device_type, dtype=self.dtype)

    def wrapped(self, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Returns what computes the same in this precision, and gives 32 bits."""
        if self.dtype is None:
            return forward

        def computed(inputs: Tensor) -> Tensor:
            with self.computing():
                return forward(inputs).float()

        return computed

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of a loss to those that there are."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]


def mixed_dtype(device: torch.device) -> torch.dtype | None:
    """Returns the 16-bit format that a device computes fast in; None where there is none."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    return torch.bfloat16 if _cpu_has_units() else None


def _cpu_has_units() -> bool:
    # Software bfloat16 is ten times slower than 32 bits.
    asked = [
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    ]
    return any(one is not None and one() for one in asked)
