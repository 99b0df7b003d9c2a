"""How far a backbone's weights have moved from those that it began with.

What it costs: a copy of every parameter that may learn, in the main memory whatever the device, so
4 bytes a parameter, made when its stage is set free for the first time; a run that never lets the
backbone learn keeps nothing. An epoch costs one look at each of these parameters, 10 ms for
the 4.7 million of EfficientNet-Lite0 on a CPU, and takes them to the GPU one at a time where there
is one.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.models.backbone import Backbone
from engine.models.classifier import Classifier
from engine.models.lora import adapters

STATISTICS = ("running_mean", "running_var")


class WeightsBefore:
    """The weights that a backbone began with, of all that has been free to change since."""

    def __init__(self, model: Classifier):
        """Takes a model of which nothing has learnt yet; its adapters are on it already."""
        self._model = model
        self._tensors: dict[str, Tensor] = {}
        self._lengths: dict[str, float] = {}
        self._own: dict[str, list[str]] = {}
        self._statistics: dict[str, list[str]] = {}

    @torch.no_grad()
    def keep(self, learning: Collection[str]) -> None:
        """Copies what is about to change for the first time; what was copied before stays.

        BatchNorm's statistics are few, so those of all stages are copied the first time.

        Args:
            learning: stages whose weights are to be free.
        """
        backbone = self._model.backbone
        if not self._statistics:
            self._keep_statistics(backbone)
        names = {id(parameter): name for name, parameter in backbone.named_parameters()}
        for stage in learning:
            if stage in self._own:
                continue
            held = list(backbone.stage_parameters(stage))
            ids = {id(parameter) for parameter in held}
            learns = self._model.learning[stage]
            self._own[stage] = [names[id(one)] for one in learns if id(one) in ids]
            self._lengths[stage] = _length([parameter.detach() for parameter in held])
            self._tensors |= {names[id(one)]: _copy(one) for one in learns}

    def drift(self, backbone: Backbone, stage: str) -> float | None:
        """Returns how far the weights of a stage have moved: ‖w - w0‖ / ‖w0‖, over all of them.

        What adapters add counts as if it had been added to their weights already.

        Args:
            backbone: of the same make, such as the average of the weights.
            stage: its name.

        Returns:
            0 where it never learnt; None where all of its weights began as zeros.
        """
        if stage not in self._own:
            return 0.0
        away = self._away(dict(backbone.named_parameters()), self._own[stage])
        held = {id(parameter) for parameter in backbone.stage_parameters(stage)}
        added = [
            adapter.change() for weight, adapter in adapters(backbone.network) if id(weight) in held
        ]
        return _ratio(_length([*away, *added]), self._lengths[stage])

    def drift_of_statistics(self, backbone: Backbone, stage: str) -> float | None:
        """Returns the same of BatchNorm's running means and variances, taken together.

        None where the stage has none, or they began as zeros.
        """
        names = self._statistics.get(stage)
        if not names:
            return None
        away = self._away(dict(backbone.named_buffers()), names)
        return _ratio(_length(away), _length([self._tensors[name] for name in names]))

    @contextmanager
    def as_before(self, backbone: Backbone) -> Iterator[None]:
        """Makes a backbone of the same make compute what it did at first, for a while.

        It must not learn meanwhile. On a GPU that takes room for the copies there.
        """
        every = dict(backbone.named_parameters()) | dict(backbone.named_buffers())
        own = {name: every[name].data for name in self._tensors}
        try:
            for name, tensor in self._tensors.items():
                every[name].data = tensor.to(own[name].device)
            yield
        finally:
            for name, tensor in own.items():
                every[name].data = tensor

    def _keep_statistics(self, backbone: Backbone) -> None:
        buffers = dict(backbone.named_buffers())
        places = {module: path for path, module in backbone.named_modules()}
        norms = [one for one in backbone.modules() if _has_statistics(one)]
        self._tensors |= {
            name: _copy(buffers[name]) for norm in norms for name in _names(places[norm])
        }
        for stage in backbone.stages:
            inside = {one for top in backbone.stage_modules(stage) for one in top.modules()}
            own = [places[norm] for norm in norms if norm in inside]
            self._statistics[stage] = [name for path in own for name in _names(path)]

    def _away(self, now: dict[str, Tensor], names: Collection[str]) -> list[Tensor]:
        return [
            now[name].detach() - self._tensors[name].to(now[name].device, non_blocking=True)
            for name in names
        ]


def _has_statistics(module: nn.Module) -> bool:
    is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
    return is_norm and module.running_mean is not None


def _names(path: str) -> list[str]:
    return [f"{path}.{name}" for name in STATISTICS]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


@torch.no_grad()
def _length(tensors: Collection[Tensor]) -> float:
    if not tensors:
        return 0.0
    squares = [torch.linalg.vector_norm(one, dtype=torch.float64).square() for one in tensors]
    return float(torch.stack(squares).sum().sqrt())


def _ratio(away: float, length: float) -> float | None:
    return away / length if length > 0.0 else None
