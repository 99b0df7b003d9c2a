"""A head that grew says of the old classes what it said before, bit for bit."""

import pytest
import torch
from torch import nn

from engine.models.classifier import build_head
from engine.models.grown import GrownLinear, grow_head
from engine.spec import ModelSpec


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize(("features", "classes", "new"), [(1280, 8, 2), (2048, 5, 1), (64, 97, 31)])
def test_old_logits_are_the_same_bits(
    kind: str, batch: int, features: int, classes: int, new: int
) -> None:
    torch.manual_seed(0)
    head = build_head(ModelSpec.parse({"head": kind}), features, classes).eval()
    inputs = torch.randn(batch, features)
    before = head(inputs)
    grown = grow_head(head, new, seed=3).eval()
    after = grown(inputs)
    assert after.shape == (batch, classes + new)
    assert torch.equal(after[:, :classes], before)
    twice = grow_head(grown, 4, seed=5).eval()(inputs)
    assert torch.equal(twice[:, : classes + new], after)
    assert twice.shape == (batch, classes + new + 4)


def test_the_new_rows_depend_on_the_seed_alone() -> None:
    head = nn.Sequential(nn.Dropout(0.0), nn.Linear(16, 3))
    inputs = torch.randn(4, 16)
    first, again, other = (grow_head(head, 2, seed)(inputs)[:, 3:] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_grows_where_no_class_came() -> None:
    head = nn.Sequential(nn.Dropout(0.0), nn.Linear(16, 3))
    assert grow_head(head, 0, seed=0) is head


def test_both_parts_learn() -> None:
    head = grow_head(nn.Sequential(nn.Linear(16, 3)), 2, seed=0)
    nn.CrossEntropyLoss()(
        head(torch.randn(8, 16)), torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    ).backward()
    last = head[-1]
    assert isinstance(last, GrownLinear)
    for parameter in last.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().sum()) > 0


def test_another_end_cannot_grow() -> None:
    with pytest.raises(TypeError, match="ReLU"):
        grow_head(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), 1, seed=0)
