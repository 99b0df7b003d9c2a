"""Which parameters of a stage may learn.

`all` are the network's own, `norms` those of normalisation layers (Frankle et al. 2020, "Training
BatchNorm and Only BatchNorm"), `biases` every bias (BitFit, Ben Zaken et al. 2022) and `adapters`
the low-rank matrices beside frozen weights (LoRA, Hu et al. 2021).
"""

from torch import nn
from torch.nn import Parameter

from engine.models.backbone import Backbone
from engine.models.catalogue import Select

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def selected_parameters(backbone: Backbone, select: Select) -> dict[str, list[Parameter]]:
    """Returns the parameters that may learn, by the name of their stage; a list may be empty.

    Args:
        backbone: has its adapters already where those are asked for.
        select: which of a stage's parameters.
    """
    if select == "adapters":
        return {name: list(backbone.stage_adapter_parameters(name)) for name in backbone.stages}
    own = {name: list(backbone.stage_parameters(name)) for name in backbone.stages}
    if select == "all":
        return own
    find = norm_parameters if select == "norms" else bias_parameters
    wanted = {id(parameter) for parameter in find(backbone.network)}
    return {name: [p for p in held if id(p) in wanted] for name, held in own.items()}


def norm_parameters(network: nn.Module) -> list[Parameter]:
    """Returns the parameters of normalisation layers, as a rule a weight and a bias each."""
    return [
        parameter
        for module in network.modules()
        if is_norm(module)
        for parameter in module.parameters(recurse=False)
    ]


def bias_parameters(network: nn.Module) -> list[Parameter]:
    """Returns every bias, those of norms included: `bias`, `in_proj_bias`, `q_bias` and the like.

    Tables of position biases in attention are no vectors, and no biases in this sense.
    """
    return [
        parameter
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if "bias" in name.split("_") and parameter.ndim == 1
    ]


def is_norm(module: nn.Module) -> bool:
    """Tells whether a module is a normalisation layer.

    Most derive from PyTorch's. timm's others, such as RmsNorm and EvoNorm, derive from nothing but
    say it in the name of their class, as do blocks of a convolution and its norm, which differ in
    that their parameters lie in children.
    """
    if isinstance(module, _NORMS):
        return True
    named = any(
        "Norm" in one.__name__ or one.__name__ == "InplaceAbn" for one in type(module).__mro__
    )
    return named and not any(True for child in module.children() for _ in child.parameters())
