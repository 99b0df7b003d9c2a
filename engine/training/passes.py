"""How a batch goes through a model that learns: whole or from a cut, small, compiled, forgetful.

Shapes: B images, K classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torchvision.transforms import v2

from engine.errors import TrainingError
from engine.models.classifier import Classifier
from engine.models.gradient_checkpointing import forgetting
from engine.spec import RunSpec
from engine.training.feeding import Inputs
from engine.training.layout import laid_out_like
from engine.training.loop import Forward


class Passes:
    """Forward passes of a model that a run trains."""

    def __init__(self, spec: RunSpec, model: Classifier):
        self._spec = spec
        self._model = model
        self._whole: Forward = _compiled(model) if spec.training.compile else model

    def plain(self) -> Forward:
        """Returns what gives logits of pictures of any size, as a run does that is not compiled."""
        forgets = self._spec.training.gradient_checkpointing
        return self._forgetful(self._model) if forgets else self._model

    def learning(self, inputs: Inputs | None, size: int) -> Forward:
        """Returns what gives logits (B, K) of training batches.

        Args:
            inputs: what the epoch runs on; pictures where None.
            size: side in px that pictures are made to have.
        """
        forward = self._whole if inputs is None else after_cut(inputs, self._model)
        if inputs is None and size < self._spec.images.size:
            forward = _resized(forward, size)
        if not self._spec.training.gradient_checkpointing:
            return forward
        return self._forgetful(forward)

    def _forgetful(self, forward: Forward) -> Forward:
        def logits(batch: Tensor) -> Tensor:
            with forgetting(self._model.backbone):
                return forward(batch)

        return logits


def after_cut(inputs: Inputs, model: Classifier) -> Forward:
    """Returns what gives logits (B, K) of batches of what comes before a cut."""
    return lambda batch: model.head(inputs.cut.after(batch, model.backbone))


def _resized(forward: Forward, size: int) -> Forward:
    def logits(images_BCHW: Tensor) -> Tensor:
        small = v2.functional.resize(images_BCHW, [size, size], antialias=True)
        return forward(laid_out_like(small, images_BCHW))

    return logits


def _compiled(model: Classifier) -> Forward:
    compiled: Forward | None = None

    def logits(images_BCHW: Tensor) -> Tensor:
        nonlocal compiled
        compiled = torch.compile(model) if compiled is None else compiled
        return compiled(images_BCHW)

    return logits


@contextmanager
def compile_errors(spec: RunSpec, model: Classifier) -> Iterator[None]:
    """Turns what compiling stumbles over, forward or backward, into a sentence.

    Raises:
        TrainingError: the network cannot be compiled here.
    """
    if not spec.training.compile:
        yield
        return
    try:
        yield
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise TrainingError(
            f"training.compile is on, but {model.backbone.record.label} cannot be compiled here "
            f"({reason}); switch it off."
        ) from error
