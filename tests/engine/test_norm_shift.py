"""How far images lie from a backbone's pre-training: by hand, without chance, in real BatchNorm."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.insight.norm_shift import NormSums, layer_shifts, norm_shift
from engine.insight.norm_watch import NormTally, NormWatch, norm_sums
from engine.models.backbone import build_backbone


def sums_of(images_NC: np.ndarray, groups: int = 1) -> NormSums:
    """Sums of images of a single place each, dealt out to groups in turn."""
    of_N = np.arange(len(images_NC)) % groups
    rows = np.stack([images_NC, images_NC**2, images_NC**2], axis=1)
    sums = np.stack([rows[of_N == one].sum(axis=0) for one in range(groups)])
    return NormSums(np.bincount(of_N, minlength=groups), sums)


def test_the_shift_by_hand() -> None:
    """Means 3 and 4 that hardly vary, in one layer of two channels and one of a single one."""
    images = np.array([[3.0, 4.0, 2.0], [3.0, 4.0, 2.0]])
    assert layer_shifts(sums_of(images), (2, 1)) == pytest.approx([np.sqrt(12.5), 2.0])


def test_what_chance_adds_is_taken_off() -> None:
    random = np.random.default_rng(0)
    found = [
        layer_shifts(sums_of(random.normal(size=(10, 400))), (400,))[0] ** 2 for _ in range(200)
    ]
    # As it comes it would be 1 / 10.
    assert np.mean(found) < 0.01
    moved = layer_shifts(sums_of(random.normal(0.5, 1.0, size=(10, 4000))), (4000,))
    assert moved[0] == pytest.approx(0.5, abs=0.02)


def test_an_interval_holds_the_truth_and_a_real_difference_lies_outside_zero() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(40):
        # Images of one kind share what they show, so their channels go together.
        old = random.normal(0.3, 1.0, size=(120, 60))
        new = random.normal(0.6, 1.0, size=(80, 60))
        found = norm_shift(["a", "b"], (30, 30), sums_of(old, 20), sums_of(new, 20))
        held += found.more.low <= 0.3 <= found.more.high
        assert found.more.low > 0.0
    assert held >= 34


def test_variance_is_in_that_of_the_pre_training() -> None:
    random = np.random.default_rng(2)
    old, new = random.normal(size=(4000, 8)), random.normal(0.0, 2.0, size=(4000, 8))
    [layer] = norm_shift(["a"], (8,), sums_of(old, 20), sums_of(new, 20)).layers
    assert layer.old_variance == pytest.approx(1.0, rel=0.05)
    assert layer.new_variance == pytest.approx(4.0, rel=0.05)


def test_images_that_a_batchnorm_learnt_from_lie_at_nought_in_it() -> None:
    """A BatchNorm whose statistics are those of the very images sees no shift and no change."""
    torch.manual_seed(0)
    backbone = build_backbone("efficientnet_lite0", 64)
    images = torch.rand(24, 3, 64, 64)
    watch = NormWatch(backbone, images[:1])
    assert len(watch.names) == len([m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)])
    assert next(iter(watch.names)) == "bn1"
    norm = backbone.network.get_submodule("bn1")
    seen: list[torch.Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.inference_mode(), backbone.evaluating():
        backbone(images)
    handle.remove()
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(seen[0].mean(dim=(0, 2, 3)))
    var_C = seen[0].var(dim=(0, 2, 3), correction=0)
    norm.running_var.copy_(var_C)
    groups = np.arange(24)[:, None] % 4
    tally = NormTally(groups, 4, sum(watch.widths))
    with torch.inference_mode(), backbone.evaluating(), watch.hooked():
        for start in (0, 12):
            backbone(images[start : start + 12])
            tally.add(torch.arange(start, start + 12), watch.batch())
    sums = norm_sums(groups, tally.sums_G3C)
    assert sums.counts_G.tolist() == [6, 6, 6, 6]
    width = watch.widths[0]
    mean, _, whole = sums.of(range(4)).sums_G3C[0][:, :width] / 24
    assert np.abs(mean).max() < 1e-4
    assert whole == pytest.approx((var_C / (var_C + norm.eps)).numpy(), abs=1e-3)
    assert layer_shifts(sums.of(range(4)), watch.widths)[0] == 0.0
    assert layer_shifts(sums.of(range(4)), watch.widths)[1:].max() > 0.1


def test_a_backbone_is_as_it_was_after_being_watched() -> None:
    backbone = build_backbone("efficientnet_lite0", 64)
    images = torch.rand(2, 3, 64, 64)
    watch = NormWatch(backbone, images)
    with torch.inference_mode(), backbone.evaluating():
        plain = backbone(images)
        with watch.hooked():
            assert torch.equal(backbone(images), plain)
    hooks = [module._forward_pre_hooks for module in backbone.modules()]
    assert not any(hooks)
