"""A backbone: a network without its classifier, seen as an ordered list of stages, stem first.

Shapes: B images, C channels, H rows, W columns, D features.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from engine.errors import SpecError
from engine.models.catalogue import BackboneRecord, backbone_record
from engine.models.headless import (
    build_headless,
    full_network,
    num_features_of,
    remove_classifier,
)
from engine.models.lora import adapters
from engine.models.own_weights import MatchReport, load_own
from engine.models.stages import Stage, find_stages, parameters_by_stage
from engine.models.weights import load_in_order, published_file, read_published
from engine.models.weights_files import differs_from_published

PRETRAINED = "pretrained"
RANDOM = "random"


@dataclass(frozen=True)
class WeightsOrigin:
    """Where a backbone's first weights came from.

    Attributes:
        kind: `pretrained` as published, `random`, or `file` for a person's own.
        sentence: the same in plain words, with what a person should know of it.
        match: what of a person's own file was taken; None otherwise.
    """

    kind: str
    sentence: str
    match: MatchReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        match = None if self.match is None else self.match.to_dict()
        return {"kind": self.kind, "sentence": self.sentence, "match": match}


class Backbone(nn.Module):
    """A network without its classifier, whose parameters fall into stages.

    Strategies need nothing of it but `stages`, by name and in order, and what a stage holds.

    Attributes:
        record: what the catalogue says of it.
        network: maps normalised images to features.
        origin: where its first weights came from.
        stages: by name, stem first.
    """

    def __init__(self, record: BackboneRecord, network: nn.Module, origin: WeightsOrigin):
        super().__init__()
        self.record = record
        self.network = network
        self.origin = origin
        self.stages: dict[str, Stage] = {stage.name: stage for stage in find_stages(network)}
        self._held = parameters_by_stage(network, tuple(self.stages.values()))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Returns features (B, D) of normalised images (B, 3, H, W)."""
        return self.network(images_BCHW)  # type: ignore[no-any-return]

    def stage_modules(self, name: str) -> list[nn.Module]:
        """Returns the modules of a stage, in order."""
        return [self.network.get_submodule(path) for path in self.stages[name].modules]

    def stage_parameters(self, name: str) -> Iterator[Parameter]:
        """Yields the parameters of a stage, those that lie beside its modules last.

        Those of adapters are not among them.
        """
        yield from self._held[name]

    def stage_adapter_parameters(self, name: str) -> Iterator[Parameter]:
        """Yields the parameters of the adapters on a stage's weights."""
        held = {id(parameter) for parameter in self._held[name]}
        for weight, adapter in adapters(self.network):
            if id(weight) in held:
                yield from adapter.parameters()

    def stage_tensor_names(self, name: str) -> frozenset[str]:
        """Returns the names that a stage's parameters and buffers have in this state dict.

        The parameters of adapters on its weights are among them.
        """
        held = {id(parameter) for parameter in self._held[name]}
        held |= {id(parameter) for parameter in self.stage_adapter_parameters(name)}
        parameters = dict(self.named_parameters(remove_duplicate=False))
        inside = tuple(f"network.{path}." for path in self.stages[name].modules)
        return frozenset(
            tensor
            for tensor in self.state_dict()
            if (
                id(parameters[tensor]) in held
                if tensor in parameters
                else tensor.startswith(inside)
            )
        )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Puts all modules in eval mode for a while, and each back in its own afterwards."""
        modes = {module: module.training for module in self.modules()}
        try:
            self.eval()
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    def train_stages(self, names: Collection[str]) -> None:
        """Puts the named stages in training mode and all else in eval mode.

        Freezing weights does not stop BatchNorm from updating its statistics, nor dropout: eval
        mode does. What belongs to no stage, such as dropout between them, trains with all stages.
        """
        self.train(set(names) == set(self.stages))
        for name in self.stages:
            for module in self.stage_modules(name):
                module.train(name in names)


def build_backbone(
    name: str, size: int | None = None, weights: str = PRETRAINED, seed: int = 0
) -> Backbone:
    """Returns a backbone with its first weights.

    Args:
        name: of a backbone in the catalogue.
        size: side of the pictures in px; its default size where None.
        weights: `pretrained` as published, `random`, or the path of a file.
        seed: decides random weights.

    Raises:
        WeightsError: the weights are missing, damaged or do not fit; nothing is loaded then.
        SpecError: the backbone takes no pictures of this size.
    """
    record = backbone_record(name)
    size = size or record.default_size
    if record.sizes == "fixed" and size != record.default_size:
        raise SpecError(
            f"images.size is {size}; {record.name} takes only pictures of {record.default_size} px."
        )
    torch.manual_seed(seed)
    try:
        network, origin = _network(record, size, weights)
        num_features = num_features_of(network, size)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise SpecError(_why_not(record, size, error)) from error
    if num_features != record.num_features:
        raise SpecError(
            f"{record.name} gives {num_features} features where the catalogue says "
            f"{record.num_features}: the installed library is of another version than Thaw knows."
        )
    return Backbone(record, network, origin)


def _why_not(record: BackboneRecord, size: int, error: Exception) -> str:
    reason = " ".join(str(error).split())[:160]
    if "memory" in reason:
        return (
            f"There is not enough memory for {record.name} with its {record.num_parameters:,} "
            f"parameters ({reason}); choose a smaller backbone."
        )
    if size == record.default_size:
        return f"{record.name} cannot be built with the installed {record.library} ({reason})."
    return (
        f"images.size is {size}; {record.name} cannot be run on pictures of that size ({reason}); "
        f"its own size is {record.default_size}."
    )


def _network(record: BackboneRecord, size: int, weights: str) -> tuple[nn.Module, WeightsOrigin]:
    if weights == RANDOM:
        network = build_headless(record, size, None)
        return network, WeightsOrigin(RANDOM, "random weights: nothing was learnt before")
    if weights != PRETRAINED:
        network = build_headless(record, size, None)
        report = load_own(network, record, size, Path(weights))
        return network, WeightsOrigin("file", report.sentence(), report)
    file = published_file(record)
    if record.library == "bundled":
        network = full_network(record, size, None)
        load_in_order(network, file)
        remove_classifier(record, network)
        return network, WeightsOrigin(PRETRAINED, f"{file.name}, installed as a package")
    network = build_headless(record, size, read_published(record, file))
    doubt = differs_from_published(record, file)
    sentence = f"{doubt}; it fits, so it was used" if doubt else f"{file.name}, as published"
    return network, WeightsOrigin(PRETRAINED, sentence)
