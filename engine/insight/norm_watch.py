"""Takes down what goes into a backbone's BatchNorm layers while images go through it.

Shapes: B images, C channels of all layers, G groups of images, N images in all, M of their groups.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.insight.norm_shift import NormSums
from engine.models.backbone import Backbone


class NormWatch:
    """Sums, image by image, of what goes into BatchNorm layers, in their own means and deviations.

    Attributes:
        names: of the layers, in the order in which images go through them.
        widths: channels of each.
    """

    def __init__(self, backbone: Backbone, images_BCHW: Tensor):
        """Finds the layers through which images go.

        Args:
            backbone: is left as it was, and stays in eval mode while it is watched.
            images_BCHW: some to find them with; their values do not matter.
        """
        paths = {module: path for path, module in backbone.network.named_modules()}
        self._norms: list[_BatchNorm] = []
        with ExitStack() as undone, backbone.evaluating(), torch.inference_mode():
            for module in filter(_keeps_statistics, paths):

                def note(module: nn.Module, args: Any) -> None:
                    if isinstance(module, _BatchNorm) and module not in self._norms:
                        self._norms.append(module)

                undone.callback(module.register_forward_pre_hook(note).remove)
            backbone(images_BCHW)
        self.names = [paths[norm] for norm in self._norms]
        self.widths = [norm.num_features for norm in self._norms]
        self._now: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Watches, for a while."""
        with ExitStack() as undone:
            for norm in self._norms:
                undone.callback(norm.register_forward_pre_hook(self._take).remove)
            yield

    def _take(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(module, _BatchNorm)
        assert module.running_mean is not None
        assert module.running_var is not None
        inputs = args[0].float()
        places = tuple(range(2, inputs.ndim))
        mean_BC = inputs.mean(places) if places else inputs
        # Much faster than the variance, and nothing is copied.
        norm_BC = torch.linalg.vector_norm(inputs, dim=places) if places else inputs.abs()
        scale_C = (module.running_var + module.eps).rsqrt()
        shift_BC = (mean_BC - module.running_mean) * scale_C
        variance_BC = (norm_BC**2 / inputs[0, 0].numel() - mean_BC**2).clamp(min=0.0)
        # Of a layer that is used several times the last one counts.
        self._now[module] = (shift_BC, variance_BC * scale_C**2 + shift_BC**2)

    def batch(self) -> Tensor:
        """Returns what the last batch gave (B, 3, C): mean, its square, and mean square."""
        taken = [self._now[norm] for norm in self._norms]
        self._now = {}
        shift_BC = torch.cat([shift for shift, _ in taken], dim=1)
        whole_BC = torch.cat([whole for _, whole in taken], dim=1)
        return torch.stack([shift_BC, shift_BC**2, whole_BC], dim=1).double().cpu()


class NormTally:
    """Adds up what a watch gives, for groups of images; an image may be in several."""

    def __init__(self, groups_NM: NDArray[np.int64], num_groups: int, num_channels: int):
        self._groups_NM = torch.from_numpy(groups_NM)
        self._sums_G3C = torch.zeros(num_groups, 3, num_channels, dtype=torch.float64)

    def add(self, positions_B: Tensor, values_B3C: Tensor) -> None:
        """Counts a batch of images, by their positions among all."""
        for groups_N in self._groups_NM.T:
            self._sums_G3C.index_add_(0, groups_N[positions_B], values_B3C)

    @property
    def sums_G3C(self) -> NDArray[np.float64]:
        """What was added up."""
        return self._sums_G3C.numpy()


def norm_sums(groups_NM: NDArray[np.int64], sums_G3C: NDArray[np.floating]) -> NormSums:
    """Returns sums with the number of images of each group."""
    counts_G = np.bincount(groups_NM.ravel(), minlength=len(sums_G3C))
    return NormSums(counts_G, np.asarray(sums_G3C, dtype=np.float64))


def _keeps_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None
