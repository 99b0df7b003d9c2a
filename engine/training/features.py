"""What a frozen part of a backbone gives: computed once, kept on disk, used in every epoch.

Shapes: B images, N of them in all, D features.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import timm
import torch
import torchvision
from torch import nn

from engine.caching import ArrayCache
from engine.data.manifest import Item
from engine.data.scale import Scale
from engine.data.squares import contents_digest
from engine.data.transforms import EvalTransform
from engine.errors import CacheError
from engine.models.backbone import Backbone
from engine.models.cut import Cut, CutError
from engine.training.reporter import Preparation
from engine.training.sources import Source

KIND = "features"
# Fixed, so that a value does not depend on the batch size of the run that computed it; where memory
# runs out there are fewer, which the key of what is kept then says.
BATCH_SIZE = 32
MEMORY_SHARE = 0.25


@dataclass(frozen=True)
class Kept:
    """Inputs of the part of a backbone that is run in every epoch.

    Attributes:
        array: the inputs, in the order of the items that they were computed from.
        was_there: nobody had to compute them now.
        num_bytes: that they take.
        seconds: that computing them took, now or back then.
        why_not: why they are not on disk, in one sentence; empty where they are.
    """

    array: np.ndarray
    was_there: bool
    num_bytes: int
    seconds: float
    why_not: str = ""


def measure_scale(source: Source, preparation: Preparation) -> Scale:
    """Returns mean and standard deviation of all pixels of a source, per channel.

    Args:
        source: pictures on a 0..1 scale; the epoch asked for is the first.
        preparation: told how many images are done.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    sums = torch.zeros(2, 3, dtype=torch.float64)
    num_pixels = 0
    for images_BCHW, _, positions_B in source.epoch(1):
        pixels = images_BCHW.double()
        sums[0] += pixels.sum(dim=(0, 2, 3)).cpu()
        sums[1] += pixels.square().sum(dim=(0, 2, 3)).cpu()
        num_pixels += len(positions_B) * images_BCHW.shape[2] * images_BCHW.shape[3]
        preparation.advance(len(positions_B))
    mean, square = sums / num_pixels
    # A data set of one colour has no spread to divide by.
    std = (square - mean.square()).clamp(min=1e-6).sqrt()
    return Scale(_rgb(mean), _rgb(std))


def _rgb(channels: torch.Tensor) -> tuple[float, float, float]:
    red, green, blue = channels.tolist()
    return red, green, blue


def find_cut(backbone: Backbone, stage: str | None, images_BCHW: torch.Tensor) -> Cut | None:
    """Returns where to divide a backbone of which nothing before a stage learns.

    That is just before the stage, or further down where the network cannot be divided there. What
    is kept must not be larger than the pictures themselves. None where no place will do.

    Args:
        backbone: is left as it was.
        stage: the first that learns; None where none does.
        images_BCHW: some real ones to try it on.
    """
    if stage is None:
        return Cut(backbone, None, images_BCHW)
    names = list(backbone.stages)
    for name in reversed(names[1 : names.index(stage) + 1]):
        try:
            cut = Cut(backbone, name, images_BCHW)
        except (CutError, RuntimeError, TypeError, ValueError):
            continue
        if np.prod(cut.shape) <= images_BCHW[0].numel():
            return cut
    return None


def features_key(
    cut: Cut,
    unique: Sequence[Item],
    transform: EvalTransform,
    dtype: str,
    view: dict[str, Any] | None,
    device: torch.device,
    layout: torch.memory_format,
    at_once: int = BATCH_SIZE,
) -> dict[str, Any]:
    """Returns everything that decides the inputs that are kept.

    Args:
        cut: where the backbone is divided; its weights are those of now.
        unique: the items, in the order of the rows.
        transform: makes images of them.
        dtype: in which they are kept.
        view: what decides random changes of the pictures, where there are any.
        device: computes them.
        layout: in which images lie in memory.
        at_once: pictures that are computed in one batch.
    """
    return {
        "version": 2,
        "contents": contents_digest(unique),
        "pictures": transform.square_key(),
        "scale": [list(transform.scale.mean), list(transform.scale.std)],
        "view": view,
        "backbone": cut.backbone.record.name,
        "size": transform.spec.size,
        "weights": weights_digest(cut.backbone, cut.stage),
        "before": cut.stage,
        "dtype": dtype,
        "batch_size": at_once,
        "device": device.type
        if device.type == "cpu"
        else f"{torch.cuda.get_device_name(device)}, {layout}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
    }


def weights_digest(backbone: Backbone, stage: str | None) -> str:
    """Returns what stands for all tensors of a backbone that are used before a stage."""
    names = list(backbone.stages)
    later = names[len(names) if stage is None else names.index(stage) :]
    left_out = {tensor for name in later for tensor in backbone.stage_tensor_names(name)}
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(backbone.state_dict().items()):
        if name in left_out or name.endswith("num_batches_tracked"):
            continue
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        flat = tensor.detach().contiguous().reshape(-1).cpu().view(torch.uint8)
        digest.update(flat.numpy().data)
    return digest.hexdigest()


def keep_features(
    key: dict[str, Any],
    label: str,
    shape: tuple[int, ...],
    fill: Callable[[np.ndarray], None],
    waiting: Callable[[], None],
    always: bool,
) -> Kept | None:
    """Returns the array of a key, from the cache on disk or, where that has no room, from memory.

    Args:
        key: everything that decides the values, `dtype` among them.
        label: what a person reads of it.
        shape: of the array.
        fill: writes the values.
        waiting: called while another process does.
        always: keep it in memory however large it is; None is returned else if it is too large.
    """
    dtype = key["dtype"]
    try:
        cached = ArrayCache(KIND).get(key, label, shape, dtype, fill, waiting)
    except CacheError as error:
        num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if not always and num_bytes > MEMORY_SHARE * psutil.virtual_memory().available:
            return None
        array: np.ndarray = np.empty(shape, dtype=dtype)
        started = time.perf_counter()
        fill(array)
        return Kept(array, False, num_bytes, time.perf_counter() - started, str(error))
    entry = cached.entry
    return Kept(cached.array, cached.was_there, entry.num_bytes, entry.fill_seconds)


@torch.inference_mode()
def effect_of_half(cut: Cut, head: nn.Module, images_BCHW: torch.Tensor) -> float:
    """Returns by how much a logit changes at most where features are kept in half precision."""
    learns = head.training
    head.eval()
    with cut.backbone.evaluating():
        inputs = cut.before(images_BCHW)
        exact_BK, rounded_BK = (head(cut.after(one)) for one in (inputs, inputs.half().float()))
    head.train(learns)
    return float((exact_BK - rounded_BK).abs().max())


@torch.inference_mode()
def fill_features(
    array: np.ndarray, cut: Cut, source: Source, epoch: int, told: Preparation
) -> None:
    """Writes what goes into the second part of a backbone, for every image of a source.

    Args:
        array: is written; its rows are the source's positions.
        cut: where the backbone is divided; it should be in eval mode.
        source: images.
        epoch: of the source.
        told: how many images are done.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    for images_BCHW, _, positions_B in source.epoch(epoch):
        inputs = cut.before(images_BCHW).permute(cut.axes).cpu().numpy()
        array[positions_B.numpy()] = inputs.astype(array.dtype, copy=False)
        told.advance(len(positions_B))
