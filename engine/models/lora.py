"""Low-rank adapters: what a weight learns is a product of two thin matrices, beside the frozen one.

Source: LoRA (Hu et al. 2021). A weight W becomes W + scale * B @ A, through PyTorch's own
`torch.nn.utils.parametrize`, so any layer that reads its weight takes part unchanged.

Shapes: O outputs (a weight's rows), I inputs (its columns), R rank. A convolution's weight of shape
(out, in, kh, kw) counts as the matrix (out, in * kh * kw).

Linear layers, the joint projection of `nn.MultiheadAttention` and convolutions without groups get
adapters. Grouped and depthwise convolutions get none: their matrix has so few columns (9 for a
depthwise 3x3) that an adapter would be as large as the weight. Nor does a weight that several
layers share.

The library peft (0.21 was tried) is not used. It needs and imports transformers and accelerate, it
renames the tensors of the layers that it wraps, and it adds outputs where this adds weights: on
convolutions that standardise their weight (timm's StdConv2d) merging then changes the output.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.utils.parametrize import (
    ParametrizationList,
    register_parametrization,
    remove_parametrizations,
)


class Adaptable(NamedTuple):
    """A weight that can have an adapter.

    Attributes:
        module: the layer that holds it.
        tensor: what the layer calls it.
        weight: itself, without its adapter where it has one.
    """

    module: nn.Module
    tensor: str
    weight: Parameter

    @property
    def unit(self) -> int:
        """Learnable numbers in an adapter of rank 1: rows + columns."""
        return len(self.weight) + self.weight[0].numel()


class Adapter(nn.Module):
    """Adds a learnable matrix of low rank to a weight; it adds zeros until B has learnt.

    Attributes:
        scale: what the product B @ A is multiplied by.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float, generator: torch.Generator):
        super().__init__()
        self.scale = scale
        A_RI = torch.empty(rank, weight[0].numel())
        nn.init.kaiming_uniform_(A_RI, a=math.sqrt(5), generator=generator)
        self.A_RI = Parameter(A_RI.to(weight))
        self.B_OR = Parameter(weight.new_zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Returns the weight with what was learnt added, in the weight's shape."""
        return weight + self.change().view(weight.shape)

    def change(self) -> Tensor:
        """Returns what was learnt as a matrix (O, I)."""
        return (self.scale * self.B_OR) @ self.A_RI


def adaptable(module: nn.Module) -> list[Adaptable]:
    """Returns the weights at and below a module that can have an adapter, with or without one."""
    uses = Counter(id(p) for one in module.modules() for p in one.parameters(recurse=False))
    found = []
    for one in module.modules():
        tensor = _adaptable_tensor(one)
        weight = None if tensor is None else _plain(one, tensor)
        if tensor is not None and weight is not None and uses[id(weight)] == 1:
            found.append(Adaptable(one, tensor, weight))
    return found


def _adaptable_tensor(module: nn.Module) -> str | None:
    if isinstance(module, nn.MultiheadAttention):
        return "in_proj_weight"
    if isinstance(module, nn.Linear):
        return "weight"
    return "weight" if isinstance(module, nn.Conv2d) and module.groups == 1 else None


def _plain(module: nn.Module, tensor: str) -> Parameter | None:
    """Returns the parameter of that name; None where the layer computes it in another way."""
    held = dict(_adapted(module)).get(tensor)
    weight = dict(module.named_parameters(recurse=False)).get(tensor)
    return held.original if held is not None else weight  # type: ignore[return-value]


def _adapted(module: nn.Module) -> Iterator[tuple[str, ParametrizationList]]:
    """Yields what holds the adapters of a layer's own tensors, by the tensors' names."""
    lists = getattr(module, "parametrizations", None)
    if isinstance(lists, nn.ModuleDict):
        yield from ((name, one) for name, one in lists.items() if _is_adapted(one))


def _is_adapted(module: nn.Module) -> TypeGuard[ParametrizationList]:
    return isinstance(module, ParametrizationList) and isinstance(module[0], Adapter)


def lora_unit(module: nn.Module) -> int:
    """Returns the learnable numbers in adapters of rank 1 on all that a module holds.

    Adapters of rank R have R times as many.
    """
    return sum(one.unit for one in adaptable(module))


def add_adapters(network: nn.Module, rank: int, scale: float, seed: int) -> None:
    """Puts an adapter on every weight that can have one, in place.

    What the network computes stays the same, bit for bit, until the adapters have learnt. Its own
    parameters stay the same objects and keep their `requires_grad`.

    Args:
        network: has no adapters yet.
        rank: of the adapters, at least 1; it is not cut where a weight has fewer rows or columns.
        scale: what the product B @ A is multiplied by.
        seed: decides A; the global generator is left alone.

    Raises:
        ValueError: the network has adapters already.
    """
    if adapters(network):
        raise ValueError("the network has adapters already")
    generator = torch.Generator().manual_seed(seed)
    for module, tensor, weight in adaptable(network):
        register_parametrization(module, tensor, Adapter(weight, rank, scale, generator))


def adapters(module: nn.Module) -> list[tuple[Parameter, Adapter]]:
    """Returns the adapters below a module, each after the weight that it is added to."""
    return [
        (held.original, held[0])  # type: ignore[misc]
        for held in module.modules()
        if _is_adapted(held)
    ]


def adapter_parameters(module: nn.Module) -> list[Parameter]:
    """Returns the parameters of all adapters below a module."""
    return [parameter for _, adapter in adapters(module) for parameter in adapter.parameters()]


def merge_adapters(network: nn.Module) -> None:
    """Adds what the adapters learnt to the weights and removes the adapters, in place."""
    for module in list(network.modules()):
        for tensor in [name for name, _ in _adapted(module)]:
            # A deep copy shares the class that parametrize made, and removing takes the property
            # off that class: without one of its own, the other copy would lose its weight.
            made = type(module)
            module.__class__ = type(made.__name__, made.__bases__, dict(vars(made)))
            remove_parametrizations(module, tensor, leave_parametrized=True)


@torch.no_grad()
def merged_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """Returns the state dict that the network would have after `merge_adapters`; it stays as it is.

    Tensors without an adapter are those of the network, not copies, as in its own state dict.
    """
    held = {
        path: one for path, one in network.named_modules(remove_duplicate=False) if _is_adapted(one)
    }
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        path, _, last = name.rpartition(".")
        if path in held and last == "original":
            parent, _, plain = path.rpartition(".")
            tensors[parent.removesuffix("parametrizations") + plain] = held[path]()
        elif path.removesuffix(".0") not in held:
            tensors[name] = tensor
    return tensors
