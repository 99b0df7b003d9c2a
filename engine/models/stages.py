"""A network as an ordered list of stages, stem first, found from the order of its modules.

The walk starts at the network's children. While there are fewer than MIN_STAGES, or a list of
blocks holds nearly everything, the part with most parameters is opened up into its own children;
runs of siblings that would make more than MAX_STAGES are put together in equal portions. Every
parameter falls into exactly one stage.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from torch import nn

MIN_STAGES = 4
# A list of blocks with more than this share of all parameters is opened up however many there are.
MAX_SHARE = 0.8
MAX_STAGES = 12
STEM = "stem"
TOP = "top"

# What the libraries call a list of equal blocks, and what one of them is called here.
_SINGULAR = {
    "blocks": "block",
    "features": "block",
    "layers": "layer",
    "levels": "level",
    "network": "block",
    "stages": "stage",
    "transformer": "block",
}
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class Stage:
    """Consecutive modules of a network that strategies treat as one.

    Attributes:
        name: used in phases and metric keys.
        label: what a person reads.
        modules: dotted paths of its modules.
        tensors: dotted paths of parameters that lie beside them, such as position embeddings.
    """

    name: str
    label: str
    modules: tuple[str, ...]
    tensors: tuple[str, ...] = ()


def parameters_by_stage(
    network: nn.Module, stages: Sequence[Stage]
) -> dict[str, list[nn.Parameter]]:
    """Returns each stage's parameters, by its name.

    A parameter that several stages use, as in CoaT, belongs to the first of them.
    """
    seen: set[int] = set()
    found: dict[str, list[nn.Parameter]] = {}
    for stage in stages:
        held = [p for path in stage.modules for p in network.get_submodule(path).parameters()]
        held += [network.get_parameter(path) for path in stage.tensors]
        own = {id(p): p for p in held if id(p) not in seen}
        seen |= set(own)
        found[stage.name] = list(own.values())
    return found


@dataclass(frozen=True)
class _Part:
    """A piece of the network while stages are being found.

    Attributes:
        paths: dotted, of its modules; the first is what it is called after.
        parent: dotted path of the module that holds it.
        size: parameters in it.
        is_leaf: it is layers, such as a convolution, and no block of them.
        is_norm: it is nothing but norms.
        ends_run: pooling follows, so that a layer after it starts something new.
    """

    paths: tuple[str, ...]
    parent: str
    size: int
    is_leaf: bool
    is_norm: bool
    ends_run: bool = False


def find_stages(network: nn.Module) -> tuple[Stage, ...]:
    """Returns the stages of a network whose classifier was taken off.

    Args:
        network: registers its modules in the order of their use.
    """
    beside = [name for name, _ in network.named_parameters(recurse=False)]
    parts = _children(network, "")
    while (largest := _to_open(network, parts)) is not None:
        path = largest.paths[0]
        module = network.get_submodule(path)
        beside += [f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)]
        index = parts.index(largest)
        opened = _children(module, path)
        opened[-1] = replace(opened[-1], paths=opened[-1].paths + largest.paths[1:])
        parts = _joined([*parts[:index], *opened, *parts[index + 1 :]])
    stages = _named(_portioned(parts), tuple(beside))
    held = parameters_by_stage(network, stages)
    return tuple(stage for stage in stages if held[stage.name])


def _children(module: nn.Module, path: str) -> list[_Part]:
    """Returns the children that hold parameters; a pool between them ends a run of layers.

    A norm belongs to what comes before it, and single layers that follow each other go together.
    """
    parts: list[_Part] = []
    for name, child in module.named_children():
        size = sum(parameter.numel() for parameter in child.parameters())
        if size:
            full = f"{path}.{name}" if path else name
            is_norm = _is_norm(child)
            is_leaf = is_norm or not any(True for _ in child.children())
            parts.append(_Part((full,), path, size, is_leaf, is_norm))
        elif parts and isinstance(child, _POOLS):
            parts[-1] = replace(parts[-1], ends_run=True)
    return _joined(parts)


def _is_norm(module: nn.Module) -> bool:
    holders = (one for one in module.modules() if any(True for _ in one.parameters(recurse=False)))
    return all(isinstance(one, _NORMS) for one in holders)


def _joined(parts: list[_Part]) -> list[_Part]:
    joined: list[_Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if before is not None and (part.is_norm or _follows(part, before)):
            joined[-1] = replace(
                before,
                paths=before.paths + part.paths,
                size=before.size + part.size,
                is_norm=before.is_norm and part.is_norm,
                ends_run=before.ends_run or part.ends_run,
            )
        else:
            joined.append(part)
    return joined


def _follows(part: _Part, before: _Part) -> bool:
    both_leaves = before.is_leaf and part.is_leaf
    return both_leaves and before.parent == part.parent and not before.ends_run


def _to_open(network: nn.Module, parts: list[_Part]) -> _Part | None:
    """Returns the part to open up next; None where there are stages enough."""
    openable = [part for part in parts if _can_open(network, part)]
    if not openable:
        return None
    largest = max(openable, key=lambda part: part.size)
    if len(parts) < MIN_STAGES:
        return largest
    is_list = isinstance(network.get_submodule(largest.paths[0]), nn.Sequential | nn.ModuleList)
    share = largest.size / sum(part.size for part in parts)
    return largest if is_list and share > MAX_SHARE and len(parts) < MAX_STAGES else None


def _can_open(network: nn.Module, part: _Part) -> bool:
    return not part.is_leaf and bool(_children(network.get_submodule(part.paths[0]), ""))


def _portioned(parts: list[_Part]) -> list[list[_Part]]:
    """Returns the parts in at most MAX_STAGES groups; the stem stays by itself.

    Siblings are put together if that is enough, and else whatever comes one after the other.
    """
    stem, rest = parts[0], parts[1:]
    siblings = [list(run) for _, run in groupby(rest, lambda part: (part.parent, part.is_leaf))]
    for runs in (siblings, [rest]):
        for portion in range(1, max(map(len, runs), default=1) + 1):
            if 1 + sum(math.ceil(len(run) / portion) for run in runs) <= MAX_STAGES:
                return [[stem]] + [
                    run[start : start + portion]
                    for run in runs
                    for start in range(0, len(run), portion)
                ]
    raise AssertionError("one group always fits")


def _named(groups: list[list[_Part]], beside: tuple[str, ...]) -> tuple[Stage, ...]:
    names = _names(groups)
    stages = []
    for index, (group, name) in enumerate(zip(groups, names, strict=True)):
        modules = tuple(path for part in group for path in part.paths)
        unique = name if names.count(name) == 1 else modules[0]
        stages.append(Stage(unique, _label(unique), modules, beside if index == 0 else ()))
    return tuple(stages)


def _names(groups: list[list[_Part]]) -> list[str]:
    """Returns a name a group; blocks of a list are counted from 1, the stem and pools left out."""
    counts: Counter[str] = Counter()
    names = [STEM]
    for group in groups[1:]:
        spoken = []
        for part in group:
            counts[part.parent] += 1
            spoken.append(_spoken(part.paths[0], counts[part.parent]))
        names.append(_span(spoken[0], spoken[-1]))
    last = groups[-1]
    if len(groups) > 1 and len(last) == 1 and last[0].is_leaf:
        names[-1] = TOP
    return names


def _span(first: str, last: str) -> str:
    if first == last:
        return first
    numbers = [re.fullmatch(r"(.*?)(\d+)", name) for name in (first, last)]
    if all(numbers) and numbers[0][1] == numbers[1][1]:  # type: ignore[index]
        return f"{first}-{numbers[1][2]}"  # type: ignore[index]
    return f"{first}-{last}"


def _spoken(path: str, ordinal: int) -> str:
    """Returns `block3` for the third of `features`, and `layer1` for `layer1`."""
    *parents, last = path.split(".")
    said: list[str] = []
    for before, token in zip(["", *parents], [*parents, last], strict=True):
        if not token.isdigit():
            continue
        number = str(int(token) + 1)
        if before.isdigit():
            said[-1] += f".{number}"
        else:
            said.append(_SINGULAR.get(before, before) + number)
    if not last.isdigit():
        said.append(last)
    elif not parents[-1:] or not parents[-1].isdigit():
        said[-1] = re.sub(r"\d+$", str(ordinal), said[-1])
    return ".".join(said)


def _label(name: str) -> str:
    """Returns `Block 3` for `block3`, `Blocks 3-4` for `block3-4`; other names as they are."""
    if name == TOP:
        return "Top layers"
    words = re.fullmatch(r"([a-z]+?)_?(\d[\d.]*)(?:-(\d[\d.]*))?", name)
    if words is None:
        return name[:1].upper() + name[1:].replace("_", " ")
    word, first, last = words.groups()
    return f"{word.capitalize()}s {first}–{last}" if last else f"{word.capitalize()} {first}"
