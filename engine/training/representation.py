"""What each stage of a backbone makes of pictures, as one row of numbers a picture.

A stage's output is averaged over the places of a picture, or over its tokens.

Shapes: B images, N chosen ones, T tokens, D features of a stage.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.data.loader import Batch
from engine.models.backbone import Backbone
from engine.training.loop import Forward
from engine.training.sources import Source


def pooled(output: Any, num_images: int) -> Tensor | None:
    """Returns the means (B, D) of what a module gave, over places or tokens; None of other things.

    Of four dimensions, the second counts channels, or the last where the two before it are alike
    and it is not: pictures are squares. Several tensors are put side by side.
    """
    if isinstance(output, tuple | list):
        parts = [pooled(one, num_images) for one in output]
        found = [part for part in parts if part is not None]
        return torch.cat(found, dim=1) if found and len(found) == len(parts) else None
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if not 2 <= output.ndim <= 4 or len(output) != num_images:
        return None
    rows: Tensor = output
    if output.ndim == 4:
        _, second, third, last = output.shape
        rows = output.mean(dim=(1, 2) if second == third != last else (2, 3))
    elif output.ndim == 3:
        rows = output.mean(dim=1)
    return rows.float()


@torch.no_grad()
def find_taps(backbone: Backbone, images_BCHW: Tensor) -> dict[str, str]:
    """Returns for each stage the path of the module that gives what the stage hands on.

    That is the last of its modules to end. A stage that hands on something else than numbers for
    each picture is left out.

    Args:
        backbone: is left as it was.
        images_BCHW: some real ones to try it on.
    """
    paths = {module: path for path, module in backbone.named_modules()}
    found: dict[str, str] = {}
    with ExitStack() as undone, backbone.evaluating():
        for stage in backbone.stages:
            for module in {one for top in backbone.stage_modules(stage) for one in top.modules()}:

                def note(module: nn.Module, args: Any, output: Any, stage: str = stage) -> None:
                    if pooled(output, len(images_BCHW)) is not None:
                        found[stage] = paths[module]

                undone.callback(module.register_forward_hook(note).remove)
        backbone(images_BCHW)
    return {stage: found[stage] for stage in backbone.stages if stage in found}


class Watch:
    """Takes down what stages make of chosen images while a split is judged, batch by batch."""

    def __init__(
        self, backbone: Backbone, taps: Mapping[str, str], positions: Collection[int] | None
    ):
        """Takes what is to be watched.

        Args:
            backbone: runs the pictures.
            taps: path of a module for each stage; none of them where nothing is watched.
            positions: of the chosen images in the split; all of them where None.
        """
        self._backbone = backbone
        self._taps = dict(taps)
        self._positions = None if positions is None else set(positions)
        self._num_images = 0
        self._now: dict[str, Tensor] = {}
        self._parts: dict[str, list[Tensor]] = {}
        self._rows: dict[str, list[Tensor]] = {stage: [] for stage in taps}

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Watches, for a while."""
        with ExitStack() as undone:
            for stage, path in self._taps.items():

                def take(module: nn.Module, args: Any, output: Any, stage: str = stage) -> None:
                    row = pooled(output, self._num_images)
                    if row is not None:
                        self._now[stage] = row

                module = self._backbone.get_submodule(path)
                undone.callback(module.register_forward_hook(take).remove)
            yield

    def forward(self, forward: Forward) -> Forward:
        """Returns what runs batches as `forward` does, and lets them be watched."""
        if not self._taps:
            return forward

        def watched(inputs: Tensor) -> Tensor:
            self._num_images = len(inputs)
            given = forward(inputs)
            for stage, rows in self._now.items():
                self._parts.setdefault(stage, []).append(rows)
            self._now = {}
            return given

        return watched

    def source(self, source: Source) -> Source:
        """Returns the same batches, of each of which the chosen images are kept once it was run."""
        return _Noted(source, self) if self._taps else source

    def batch_ended(self, positions_B: Tensor) -> None:
        """Keeps the chosen images of a batch.

        Where memory ran out it was run again in more parts, so that its rows are the last ones.
        """
        chosen = self._positions
        places = [
            place
            for place, position in enumerate(positions_B.tolist())
            if chosen is None or position in chosen
        ]
        for stage, parts in self._parts.items():
            rows_BD = torch.cat(parts)[-len(positions_B) :]
            if places:
                self._rows[stage].append(rows_BD[torch.tensor(places, device=rows_BD.device)])
        self._parts = {}

    def features(self) -> dict[str, np.ndarray]:
        """Returns the chosen images' features (N, D) of each stage that was run, in order."""
        return {stage: torch.cat(rows).cpu().numpy() for stage, rows in self._rows.items() if rows}


class _Noted:
    """A source that tells a watch of each batch, once the next one is asked for."""

    def __init__(self, source: Source, watch: Watch):
        self._source = source
        self._watch = watch

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return self._source.num_batches

    @property
    def num_images(self) -> int:
        """Images in an epoch."""
        return self._source.num_images

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch."""
        for batch in self._source.epoch(epoch, skip):
            yield batch
            self._watch.batch_ended(batch[2])
