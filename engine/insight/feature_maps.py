"""The last map of the picture that a network's answer depends on, whatever its architecture.

Which module gives it is found by running the network once and asking for gradients, so no list of
architectures is needed: convolutional networks, networks of tokens (ViT) and those of windows
(Swin) are treated alike.

Shapes: B images, C channels, H rows, W columns, N tokens, h and w rows and columns of a map.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Layout = Literal["channels_first", "channels_last", "tokens"]

# Class tokens and registers that come before the tokens of the picture, where none tells their
# number.
MOST_PREFIX_TOKENS = 5
# What these give is no map: parts of an attention or of an MLP, attention matrices, what came in,
# or a map that was stretched.
_NO_MAPS = (
    nn.Linear,
    nn.Identity,
    nn.Softmax,
    nn.modules.dropout._DropoutNd,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)


@dataclass(frozen=True)
class FeatureMap:
    """What a module gave for one picture, seen as a map.

    Attributes:
        module: dotted path of the module.
        layout: how its output lies.
        prefix: tokens in it that are no part of the picture.
        output: of the module, of a batch of one.
    """

    module: str
    layout: Layout
    prefix: int
    output: Tensor

    def as_map(self, values: Tensor) -> Tensor:
        """Returns a map (C, h, w) of the output or of a gradient of its shape."""
        if self.layout == "channels_first":
            return values[0]
        if self.layout == "channels_last":
            return values[0].permute(2, 0, 1)
        tokens_NC = values[0, self.prefix :]
        side = math.isqrt(len(tokens_NC))
        return tokens_NC.reshape(side, side, -1).permute(2, 0, 1)


def last_feature_map(
    network: nn.Module, run: Callable[[], Tensor]
) -> tuple[FeatureMap | None, Tensor]:
    """Returns the last map that the answer depends on, and the answer; None where there is none.

    The patch tokens that leave the last block of a ViT whose class token alone is used have no
    influence any more; the map is then what goes into that block's attention.

    Args:
        network: whose modules are looked at.
        run: gives an answer (1, K) for a square picture, with a graph that reaches every map.
    """
    with _watched(network) as maps:
        logits_1K = run()
    found = list(maps)
    if not found:
        return None, logits_1K
    # Each logit with a weight of its own, so that none cancels another.
    weights_K = torch.arange(1, logits_1K.shape[1] + 1, dtype=logits_1K.dtype)
    gradients = torch.autograd.grad(
        (logits_1K[0] * weights_K).sum(),
        [one.output for one in found],
        retain_graph=True,
        allow_unused=True,
    )
    for one, gradient in zip(reversed(found), reversed(gradients), strict=True):
        if gradient is not None and bool(one.as_map(gradient).any()):
            return one, logits_1K
    return None, logits_1K


@contextmanager
def _watched(network: nn.Module) -> Iterator[list[FeatureMap]]:
    """Collects the maps that modules give meanwhile, in the order in which they are done."""
    maps: list[FeatureMap] = []
    prefix = getattr(network, "num_prefix_tokens", None)

    def watch(name: str, module: nn.Module) -> Any:
        def note(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                found = _seen_as_map(name, module, output, prefix)
                if found is not None:
                    maps.append(found)

        return module.register_forward_hook(note)

    handles = [
        watch(name, module)
        for name, module in network.named_modules()
        if not isinstance(module, _NO_MAPS)
    ]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _seen_as_map(name: str, module: nn.Module, output: Tensor, prefix: object) -> FeatureMap | None:
    # Windows of one picture lie one after the other, as if there were more pictures.
    if len(output) != 1:
        return None
    if output.ndim == 4:
        layout = _layout(module, output)
        return None if layout is None else FeatureMap(name, layout, 0, output)
    if output.ndim == 3:
        known = range(MOST_PREFIX_TOKENS + 1) if not isinstance(prefix, int) else (0, prefix)
        num = output.shape[1]
        first = next((p for p in known if num - p >= 4 and math.isqrt(num - p) ** 2 == num - p), -1)
        return None if first < 0 else FeatureMap(name, "tokens", first, output)
    return None


def _layout(module: nn.Module, output: Tensor) -> Layout | None:
    """Returns how four axes lie: pictures are square, so two of them are equal."""
    _, second, third, fourth = output.shape
    first = third == fourth > 1
    last = second == third > 1
    if last and (not first or isinstance(module, nn.LayerNorm)):
        return "channels_last"
    return "channels_first" if first else None
