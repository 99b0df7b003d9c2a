"""Gradient checkpointing: what a stage gave inside is forgotten and computed again on the way back.

Source: Chen et al. 2016 (Training deep nets with sublinear memory cost). PyTorch's own checkpoint
does the work. Left to itself it lets BatchNorm count each batch twice; here statistics stay still
the second time, so that a run has the same numbers with and without.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.errors import TrainingError
from engine.models.backbone import Backbone
from engine.models.replaced import replaced_forward


@contextmanager
def forgetting(backbone: Backbone) -> Iterator[None]:
    """Makes stages forget what they give inside, for passes that begin in this context."""
    with ExitStack() as undone:
        for module in _parts(backbone):
            forward = _forgetful(module, backbone.record.label)
            undone.enter_context(replaced_forward(module, forward))
        yield


def _parts(backbone: Backbone) -> list[nn.Module]:
    """Returns the modules whose insides are forgotten: those of stages that are more than layers.

    A layer by itself keeps its input either way.
    """
    parts: list[nn.Module] = []
    for name in backbone.stages:
        for module in backbone.stage_modules(name):
            parts += module.children() if isinstance(module, nn.ModuleList) else [module]
    return [part for part in parts if any(True for _ in part.children())]


def _forgetful(module: nn.Module, label: str) -> Callable[..., Any]:
    own = module.forward

    def once(*args: Any, **kwargs: Any) -> Any:
        versions = [one._version for one in args if isinstance(one, Tensor)]
        output = own(*args, **kwargs)
        if versions != [one._version for one in args if isinstance(one, Tensor)]:
            raise TrainingError(
                f"{label} overwrites its own intermediate results, so they cannot be computed "
                "again; switch training.gradient_checkpointing off."
            )
        return output

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _still_statistics(module)

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return own(*args, **kwargs)
        return checkpoint(once, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return forward


@contextmanager
def _still_statistics(module: nn.Module) -> Iterator[None]:
    """What norms that train add up meanwhile is thrown away."""
    norms = [
        one
        for one in module.modules()
        if isinstance(one, nn.modules.batchnorm._BatchNorm) and one.training
    ]
    own = [dict(norm._buffers) for norm in norms]
    try:
        for norm in norms:
            for name, buffer in norm._buffers.items():
                norm._buffers[name] = None if buffer is None else buffer.clone()
        yield
    finally:
        for norm, buffers in zip(norms, own, strict=True):
            norm._buffers.update(buffers)
