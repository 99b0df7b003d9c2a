"""BatchNorm folded into the convolution before it, for as long as a model only evaluates.

In eval mode BatchNorm multiplies and shifts each channel by constants, which a convolution's own
weight and bias can do at no cost (Jacob et al. 2018, section 3.2). Which convolution feeds which
norm is seen from what passes through them; that folding changes nothing but the last digits is
tried on real pictures before it is used.

Shapes: B images, C channels, H rows, W columns.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.utils.fusion import fuse_conv_bn_weights

from engine.models.backbone import Backbone
from engine.models.exact import exact_convolutions
from engine.models.replaced import replaced_forward

# Folding errs by about 1e-6 of the largest output; a norm that is not alone in using what its
# convolution gives errs by all of its statistics.
TOLERANCE = 1e-3


class Folds:
    """Pairs of a convolution and the norm that alone takes what it gives.

    Attributes:
        pairs: their names in the backbone.
    """

    def __init__(self, backbone: Backbone, images_BCHW: Tensor):
        """Finds the pairs of a backbone; there are none where folding them is not safe.

        Args:
            backbone: is left as it was.
            images_BCHW: real ones, normalised, to try it on; the first few are enough.
        """
        # A GPU that rounds would err by 1e-2, sometimes more and sometimes less.
        with backbone.evaluating(), torch.no_grad(), exact_convolutions():
            self.pairs = _pairs(backbone, images_BCHW)
            if self.pairs and not self._changes_nothing(backbone, images_BCHW):
                self.pairs = ()

    @contextmanager
    def applied(self, backbone: Backbone) -> Iterator[None]:
        """Folds the norms of a backbone of the same make that are in eval mode, for a while.

        Weights must not change meanwhile.
        """
        with ExitStack() as undone:
            for conv_name, norm_name in self.pairs:
                norm = backbone.get_submodule(norm_name)
                if norm.training:
                    continue
                _fold(backbone.get_submodule(conv_name), norm, undone)
            yield

    def _changes_nothing(self, backbone: Backbone, images_BCHW: Tensor) -> bool:
        with _shaken(backbone, [norm for _, norm in self.pairs]):
            plain = backbone(images_BCHW)
            with self.applied(backbone):
                folded = backbone(images_BCHW)
        return bool((plain - folded).abs().max() <= TOLERANCE * plain.abs().max())


def _pairs(backbone: Backbone, images_BCHW: Tensor) -> tuple[tuple[str, str], ...]:
    names = {module: name for name, module in backbone.named_modules()}
    given: dict[int, tuple[nn.Module, Tensor]] = {}
    found: list[tuple[str, str]] = []
    calls: Counter[str] = Counter()

    def leave(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        calls[names[module]] += 1
        # Kept with the tensor itself, so that no other can get its id.
        given[id(output)] = module, output

    def enter(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        calls[names[module]] += 1
        if args and id(args[0]) in given:
            found.append((names[given[id(args[0])][0]], names[module]))

    handles = [
        module.register_forward_hook(leave)
        for module in names
        if isinstance(module, nn.Conv2d) and _has_own_weight(module)
    ]
    handles += [module.register_forward_pre_hook(enter) for module in names if _is_known(module)]
    try:
        backbone(images_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(pair for pair in found if all(calls[name] == 1 for name in pair))


def _has_own_weight(conv: nn.Conv2d) -> bool:
    # That of a layer with an adapter is computed anew at each use.
    return isinstance(conv._parameters.get("weight"), Parameter)


def _is_known(module: nn.Module) -> bool:
    # Others of this family norm in another way, such as over several devices.
    if not isinstance(module, nn.BatchNorm2d):
        return False
    is_plain = type(module) in (nn.BatchNorm2d, BatchNormAct2d)
    return is_plain and module.running_mean is not None and module.affine


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _fold(conv: nn.Module, norm: nn.Module, undone: ExitStack) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    mean, var = _statistics(norm)
    weight, bias = conv._parameters["weight"], conv._parameters["bias"]
    assert weight is not None
    with torch.no_grad():
        folded = fuse_conv_bn_weights(weight, bias, mean, var, norm.eps, norm.weight, norm.bias)
    undone.callback(conv._parameters.update, weight=weight, bias=bias)
    conv._parameters["weight"], conv._parameters["bias"] = folded
    undone.enter_context(replaced_forward(norm, _after_norm(norm)))


def _after_norm(norm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Returns what a norm does beside norming."""
    if not isinstance(norm, BatchNormAct2d):
        return lambda inputs: inputs
    drop, act = norm.drop, norm.act
    return lambda inputs: act(drop(inputs))


@contextmanager
def _shaken(backbone: Backbone, norm_names: list[str]) -> Iterator[None]:
    """Gives norms other statistics for a while: those of random weights do next to nothing."""
    generator = torch.Generator().manual_seed(0)
    kept: list[tuple[Tensor, Tensor]] = []
    for name in norm_names:
        norm = backbone.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        mean, var = _statistics(norm)
        kept += [(mean, mean.clone()), (var, var.clone())]
        noise = torch.rand(2, len(mean), generator=generator).to(mean)
        mean.add_(var.sqrt() * (noise[0] - 0.5))
        var.mul_(0.75 + noise[1] / 2)
    try:
        yield
    finally:
        for tensor, own in kept:
            tensor.copy_(own)
