"""A head that has grown: more classes, and what it says of the old ones unchanged.

Shapes: B images, D features, K classes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class GrownLinear(nn.Module):
    """The last layer of a head with rows for new classes below the old ones.

    The old rows stay a layer of their own. In one larger product their logits could be rounded
    otherwise, so that a model would answer differently before it has learnt anything.
    """

    def __init__(self, old: nn.Module, num_features: int, num_new: int):
        """Takes the old layer as it is; the new rows are drawn from the present generator."""
        super().__init__()
        self.old = old
        self.new = nn.Linear(num_features, num_new)

    @property
    def in_features(self) -> int:
        """Features that it takes."""
        return self.new.in_features

    def forward(self, features_BD: Tensor) -> Tensor:
        """Returns logits (B, K) of features (B, D), those of the old classes first."""
        return torch.cat([self.old(features_BD), self.new(features_BD)], dim=1)


def grow_head(head: nn.Sequential, num_new: int, seed: int) -> nn.Sequential:
    """Returns a head with logits for so many more classes; its parts are the same as before.

    Args:
        head: ends with a linear layer, grown or not.
        num_new: classes to add; the head is returned as it is where there are none.
        seed: decides the first weights of the new rows.

    Raises:
        TypeError: the head ends with another layer.
    """
    if not num_new:
        return head
    last = head[-1]
    if not isinstance(last, nn.Linear | GrownLinear):
        raise TypeError(f"a head that ends with {type(last).__name__} cannot grow")
    torch.manual_seed(seed)
    return nn.Sequential(*head[:-1], GrownLinear(last, last.in_features, num_new))


def grown_like(head: nn.Sequential, tensors: Mapping[str, Tensor]) -> nn.Sequential:
    """Returns a head that has grown as often as one whose tensors are known, with any weights.

    Args:
        head: ends with a linear layer; returned as it is where theirs has not grown.
        tensors: of the other head, by their names in it.

    Raises:
        KeyError: they are those of a head of another make.
    """
    place, rows = f"{len(head) - 1}.", []
    while f"{place}new.bias" in tensors:
        rows.append(len(tensors[f"{place}new.bias"]))
        place += "old."
    if not rows:
        return head
    features = tensors[f"{place}weight"].shape[1]
    last: nn.Module = nn.Linear(features, len(tensors[f"{place}weight"]))
    for num_new in reversed(rows):
        last = GrownLinear(last, features, num_new)
    return nn.Sequential(*head[:-1], last)
