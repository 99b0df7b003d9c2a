"""Stochastic depth: residual blocks that are skipped at random in training.

Source: Huang et al. 2016. torchvision's networks hold `StochasticDepth` modules, timm's blocks an
attribute `drop_path`, which is empty where the rate is 0.
"""

from timm.layers.drop import DropPath
from torch import nn
from torchvision.ops import StochasticDepth

from engine.errors import SpecError

_ATTRIBUTES = ("drop_path", "drop_path1", "drop_path2")


def set_stochastic_depth(network: nn.Module, rate: float, name: str) -> None:
    """Sets the chance that a block is skipped: 0 for the first, rising evenly to `rate`.

    Args:
        network: torchvision's or timm's.
        rate: of the last block, a fraction.
        name: of the backbone, for the sentence of the error.

    Raises:
        SpecError: the network has no blocks that can be skipped.
    """
    skips = [module for module in network.modules() if isinstance(module, StochasticDepth)]
    blocks = [
        (module, attribute)
        for module in network.modules()
        for attribute in _ATTRIBUTES
        if _can_be_skipped(getattr(module, attribute, network))
    ]
    count = len(skips) or len(blocks)
    if not count:
        raise SpecError(
            f"model.stochastic_depth is {rate:g}; {name} has no blocks that can be skipped; "
            "set it to 0."
        )
    rates = [rate * index / max(count - 1, 1) for index in range(count)]
    for skip, own in zip(skips, rates, strict=False):
        skip.p = own
    if not skips:
        for (block, attribute), own in zip(blocks, rates, strict=True):
            setattr(block, attribute, DropPath(own) if own else nn.Identity())


def _can_be_skipped(held: object) -> bool:
    return held is None or isinstance(held, nn.Identity | DropPath)
