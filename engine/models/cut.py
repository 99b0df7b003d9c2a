"""A backbone divided just before one of its stages, so that what comes before is computed once.

Any network can be divided whose stages hand on one tensor, whatever its own code does between them:
what goes into the stage is taken from a hook on it, and to go on from there, the modules before it
are skipped. That this gives the same is tried on real pictures before a cut is used.

Shapes: B images, C channels, H rows, W columns, D features; `inputs_B...` is what a stage takes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.backbone import Backbone
from engine.models.replaced import replaced_forward

CHANNELS_LAST_AXES = (0, 2, 3, 1)


class CutError(Exception):
    """A backbone cannot be divided there; all of it must be run."""


class _ReachedError(Exception):
    def __init__(self, inputs: Tensor):
        super().__init__()
        self.inputs = inputs


class Cut:
    """A backbone in two parts: `after(before(images))` is what the backbone gives.

    Attributes:
        backbone: that is divided.
        stage: the first stage of the second part; None where the whole backbone is the first.
        axes: order in which the dimensions of the inputs lie in memory.
        shape: of one input, with its dimensions in that order.
    """

    def __init__(self, backbone: Backbone, stage: str | None, images_BCHW: Tensor):
        """Divides a backbone, and tries it.

        Args:
            backbone: is left as it was.
            stage: where to divide it; None after all stages.
            images_BCHW: real ones to try it on; the first few are enough.

        Raises:
            CutError: the two parts do not give what the whole gives.
        """
        self.backbone = backbone
        self.stage = stage
        self.axes: tuple[int, ...] = ()
        self._entry: nn.Module | None = None
        self._skipped: dict[nn.Module, list[Any]] = {}
        self._size = tuple(images_BCHW.shape[1:])
        if stage is not None:
            self._entry, self._skipped = _path_to(backbone, stage, images_BCHW)
        with backbone.evaluating(), torch.no_grad():
            inputs = self.before(images_BCHW)
            self.axes = _axes(inputs)
            again = as_inputs(inputs.permute(self.axes).contiguous(), self.axes)
            same = stage is None or torch.equal(self.after(again), backbone(images_BCHW))
        self.shape = tuple(inputs.permute(self.axes).shape[1:])
        if not same:
            raise CutError(f"{backbone.record.name} cannot be divided before {stage}")

    @property
    def stages_before(self) -> set[str]:
        """Stages of the first part."""
        names = list(self.backbone.stages)
        return set(names[: len(names) if self.stage is None else names.index(self.stage)])

    def before(self, images_BCHW: Tensor) -> Tensor:
        """Returns what goes into the second part, for normalised images."""
        if self._entry is None:
            return self.backbone(images_BCHW)  # type: ignore[no-any-return]
        handle = self._entry.register_forward_pre_hook(_stop)
        try:
            self.backbone(images_BCHW)
        except _ReachedError as reached:
            return reached.inputs
        finally:
            handle.remove()
        raise CutError(f"{self.stage} is not reached")

    def after(self, inputs: Tensor, backbone: Backbone | None = None) -> Tensor:
        """Returns features (B, D) of what the first part gave.

        Args:
            inputs: of the second part.
            backbone: runs it; one of the same make, such as the average of its weights. The
                backbone that was divided where None.
        """
        if self._entry is None:
            return inputs
        whole = self.backbone if backbone is None else backbone
        nothing = inputs.new_zeros(()).expand(len(inputs), *self._size)
        with self._skipping(whole, inputs):
            return whole(nothing)  # type: ignore[no-any-return]

    def blank(self, num_images: int, device: torch.device) -> Tensor:
        """Returns inputs of the second part that are all zeros."""
        return as_inputs(torch.zeros(num_images, *self.shape, device=device), self.axes)

    @contextmanager
    def _skipping(self, whole: Backbone, inputs: Tensor) -> Iterator[None]:
        entry, skipped = self._entry, self._skipped
        if whole is not self.backbone:
            names = {module: name for name, module in self.backbone.named_modules()}
            entry = whole.get_submodule(names[entry])
            skipped = {whole.get_submodule(names[one]): outs for one, outs in skipped.items()}
        assert entry is not None
        fed = False

        def feed(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            nonlocal fed
            if fed:
                return None
            fed = True
            return (inputs, *args[1:])

        with ExitStack() as undone:
            undone.callback(entry.register_forward_pre_hook(feed).remove)
            for module, outputs in skipped.items():
                undone.enter_context(replaced_forward(module, _stub(module, outputs, inputs)))
            yield


def as_inputs(stored: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Returns what lay on disk with its dimensions in the network's order, without a copy."""
    order = [axes.index(axis) for axis in range(len(axes))]
    return stored.permute(order)


def _stop(module: nn.Module, args: tuple[Any, ...]) -> None:
    if not args or not isinstance(args[0], Tensor):
        raise CutError("a stage takes no tensor")
    raise _ReachedError(args[0])


def _path_to(
    backbone: Backbone, stage: str, images_BCHW: Tensor
) -> tuple[nn.Module, dict[nn.Module, list[Any]]]:
    """Returns the module at which a stage is entered, and what the modules before it give.

    Of modules within each other, only the outermost are among those before it. An output is kept
    as its shape, with the batch as the first number.
    """
    inside = {one for top in backbone.stage_modules(stage) for one in top.modules()}
    done: dict[nn.Module, list[Any]] = defaultdict(list)
    entered: list[nn.Module] = []

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        entered.append(module)
        _stop(module, args)

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        for child in module.modules():
            if child is not module:
                done.pop(child, None)
        done[module].append(_shape(output, len(images_BCHW)))

    handles = [module.register_forward_pre_hook(enter) for module in inside]
    handles += [
        module.register_forward_hook(leave)
        for module in backbone.network.modules()
        if module not in inside
    ]
    every = list(backbone.parameters())
    before = [parameter.requires_grad for parameter in every]
    learning = {id(p) for name in _from(backbone, stage) for p in backbone.stage_parameters(name)}
    try:
        for parameter in every:
            parameter.requires_grad_(id(parameter) in learning)
        with backbone.evaluating(), torch.enable_grad():
            backbone(images_BCHW)
    except _ReachedError as reached:
        if reached.inputs.requires_grad:
            raise CutError(f"what goes into {stage} depends on what learns there") from None
        return entered[0], dict(done)
    finally:
        for handle in handles:
            handle.remove()
        for parameter, value in zip(every, before, strict=True):
            parameter.requires_grad_(value)
    raise CutError(f"{stage} is not reached")


def _from(backbone: Backbone, stage: str) -> list[str]:
    names = list(backbone.stages)
    return names[names.index(stage) :]


def _shape(output: Any, batch: int) -> Any:
    if isinstance(output, Tensor):
        if not output.ndim or len(output) % batch:
            raise CutError("an output does not begin with the batch")
        return (len(output) // batch, *output.shape[1:])
    if isinstance(output, tuple | list):
        return [_shape(one, batch) for one in output]
    raise CutError("an output is no tensor")


def _stub(module: nn.Module, shapes: list[Any], inputs: Tensor) -> Callable[..., Any]:
    waiting = list(shapes)
    own = type(module).forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        # A module that is used again after the cut runs as ever.
        return _zeros(waiting.pop(0), inputs) if waiting else own(module, *args, **kwargs)

    return forward


def _zeros(shape: Any, inputs: Tensor) -> Any:
    if isinstance(shape, list):
        return tuple(_zeros(one, inputs) for one in shape)
    return inputs.new_zeros(()).expand(shape[0] * len(inputs), *shape[1:])


def _axes(inputs: Tensor) -> tuple[int, ...]:
    lies_last = inputs.ndim == 4 and inputs.is_contiguous(memory_format=torch.channels_last)
    return CHANNELS_LAST_AXES if lies_last else tuple(range(inputs.ndim))
