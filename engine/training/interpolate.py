"""Weights between and amid others: WiSE-FT's blend of two, and the uniform soup of many.

Running statistics of BatchNorm are interpolated and averaged like weights, as in the code of both
papers, which takes every entry of the state dict alike. Stochastic weight averaging (Izmailov et
al. 2018) computes them anew with a pass over the training images instead. For weights that lie as
close as these it is the worse choice: the ends would no longer be the run's own models, since a
head that was trained on the old statistics does not fit new ones. Measured on the clip art sample
(EfficientNet-Lite0, head alone and then all of it, 96 px, 97 validation images): at alpha 0, 0.5
and 1, interpolated statistics get 0.63, 0.64 and 0.62 right, new ones 0.33, 0.48 and 0.63.

Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models (WiSE-FT); Wortsman et al.
2022, Model soups.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from engine.errors import WeightsError

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_SHOWN = 3

Model = TypeVar("Model", bound=nn.Module)


def blend(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """Returns (1 - alpha) · start + alpha · end, tensor by tensor, each in its own dtype.

    Alpha 0 and 1 return the ends bit for bit, and a tensor that is equal in both stays as it is at
    every alpha. Integers, such as BatchNorm's count of batches, are those of `end`.

    Args:
        start: state dict before fine-tuning.
        end: state dict after it.
        alpha: from 0 to 1.

    Raises:
        WeightsError: alpha is out of range, or names or shapes differ.

    Source: Wortsman et al. 2022 (WiSE-FT).
    """
    if not 0.0 <= alpha <= 1.0:
        raise WeightsError(f"alpha is {alpha}; it must be a number from 0 to 1.")
    _check_alike(start, end)
    return {name: _between(start[name], tensor, alpha) for name, tensor in end.items()}


def average(state_dicts: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the mean of state dicts, added up in float64, each tensor in its own dtype.

    Equal tensors give that tensor bit for bit. Integers are those of the first state dict.

    Args:
        state_dicts: one or more; read one at a time, so that a generator keeps only one in memory.

    Raises:
        WeightsError: there are none, or names or shapes differ.

    Source: Wortsman et al. 2022 (Model soups), the uniform soup.
    """
    first: dict[str, Tensor] = {}
    sums: dict[str, Tensor] = {}
    count = 0
    for count, state_dict in enumerate(state_dicts, start=1):
        if count == 1:
            first = {name: tensor.detach().clone() for name, tensor in state_dict.items()}
            sums = {
                name: tensor.to(torch.float64, copy=True)
                for name, tensor in first.items()
                if tensor.is_floating_point()
            }
            continue
        _check_alike(first, state_dict)
        for name, total in sums.items():
            total += state_dict[name].detach()
    if count == 0:
        raise WeightsError("There are no weights to average; name two runs or more.")
    return first | {name: (sums[name] / count).to(first[name].dtype) for name in sums}


def interpolation_curve(
    model: Model,
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    evaluate: Callable[[Model], float],
    alphas: Iterable[float] = ALPHAS,
) -> list[tuple[float, float]]:
    """Returns (alpha, accuracy) of the blend of two state dicts at each alpha.

    The model's own weights are put back at the end, whether that is reached or not; whether it
    trains or evaluates is left as it is.

    Args:
        model: each blend is laid into it.
        start: state dict before fine-tuning.
        end: state dict after it.
        evaluate: gives the accuracy (fraction) of the model that it is handed.
        alphas: from 0 to 1.

    Raises:
        WeightsError: an alpha is out of range, or names or shapes differ.

    Source: Wortsman et al. 2022 (WiSE-FT).
    """
    own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    curve = []
    try:
        for alpha in alphas:
            model.load_state_dict(blend(start, end, alpha))
            curve.append((alpha, evaluate(model)))
    finally:
        model.load_state_dict(own)
    return curve


def _between(start: Tensor, end: Tensor, alpha: float) -> Tensor:
    start, end = start.detach(), end.detach()
    if alpha == 1.0 or not end.is_floating_point():
        return end.clone()
    if alpha == 0.0:
        return start.to(end.dtype, copy=True)
    return torch.lerp(start.to(end.dtype), end, alpha)


def _check_alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    """Raises a WeightsError that names what differs in two state dicts."""
    if odd := sorted(one.keys() ^ other.keys()):
        raise WeightsError(
            "These weights are of different models, so nothing lies between them: only one of "
            f"them has {_list(odd)}; use weights of the same backbone and head."
        )
    misshapen = [
        f"{name} ({_shape(one[name])} and {_shape(other[name])})"
        for name in one
        if one[name].shape != other[name].shape
    ]
    if misshapen:
        raise WeightsError(
            "These weights are of different models, so nothing lies between them: shapes differ "
            f"in {_list(misshapen)}; use weights of the same backbone and head."
        )


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return "×".join(str(size) for size in tensor.shape) or "a number"
