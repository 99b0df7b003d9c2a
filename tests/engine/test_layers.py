"""How far stages move and how much else they see, on made models."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.models.lora import add_adapters, merge_adapters
from engine.training.drift import WeightsBefore
from engine.training.layers import Layers
from engine.training.memory import Judging
from engine.training.representation import Watch, find_taps, pooled
from engine.training.similarity import Kernel, linear_cka
from tests.engine.layered import RESNET, images, made
from tests.engine.specs import tiny_spec

# Drift on made models.


@pytest.mark.parametrize("share", [1e-4, 0.03, 2.0])
def test_weights_that_grow_by_a_share_have_drifted_by_it(share: float) -> None:
    model = made()
    before = WeightsBefore(model)
    before.keep({"layer2", "layer4"})
    with torch.no_grad():
        for parameter in model.backbone.stage_parameters("layer2"):
            parameter.mul_(1.0 + share)
    assert before.drift(model.backbone, "layer2") == pytest.approx(share, rel=1e-3)
    assert before.drift(model.backbone, "layer4") == 0.0
    assert before.drift(model.backbone, "stem") == 0.0


def test_drift_is_the_norm_over_all_of_a_stage_by_hand() -> None:
    model = made()
    before = WeightsBefore(model)
    before.keep(list(model.backbone.stages))
    old = {name: p.detach().double() for name, p in model.backbone.named_parameters()}
    old = copy.deepcopy(old)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    inside = [name for name in old if name.startswith("network.layer3.")]
    now = {name: p.detach().double() for name, p in model.backbone.named_parameters()}
    away = torch.cat([(now[name] - old[name]).flatten() for name in inside]).norm()
    length = torch.cat([old[name].flatten() for name in inside]).norm()
    assert before.drift(model.backbone, "layer3") == pytest.approx(float(away / length), rel=1e-6)


def test_weights_count_as_whole_where_only_norms_learn() -> None:
    model = made(select="norms")
    before = WeightsBefore(model)
    before.keep({"layer1"})
    [*norms] = model.learning["layer1"]
    whole = torch.cat([p.detach().flatten() for p in model.backbone.stage_parameters("layer1")])
    with torch.no_grad():
        norms[0].add_(1.0)
    away = len(norms[0]) ** 0.5
    assert before.drift(model.backbone, "layer1") == pytest.approx(away / float(whole.norm()))


def test_adapters_have_drifted_as_far_as_the_weights_that_they_are_merged_into() -> None:
    model = made()
    plain = copy.deepcopy(model.backbone)
    add_adapters(model.backbone.network, rank=3, scale=2.0, seed=0)
    model.select("adapters")
    before = WeightsBefore(model)
    stages = list(model.backbone.stages)
    before.keep(stages)
    assert [before.drift(model.backbone, stage) for stage in stages] == [0.0] * len(stages)
    with torch.no_grad():
        for parameters in model.learning.values():
            for parameter in parameters:
                parameter.add_(0.02 * torch.randn_like(parameter))
    found = [before.drift(model.backbone, stage) for stage in stages]
    merged = copy.deepcopy(model.backbone)
    merge_adapters(merged.network)
    for stage, drift in zip(stages, found, strict=True):
        old = torch.cat([p.detach().flatten() for p in plain.stage_parameters(stage)]).double()
        new = dict(merged.named_parameters())
        names = [n for n, p in plain.named_parameters() if id(p) in ids_of(plain, stage)]
        now = torch.cat([new[name].detach().flatten() for name in names]).double()
        olds = dict(plain.named_parameters())
        was = torch.cat([olds[name].detach().flatten() for name in names]).double()
        assert drift == pytest.approx(float((now - was).norm() / old.norm()), rel=1e-4)
        assert drift is not None
        assert drift > 0.0


def ids_of(backbone: Any, stage: str) -> set[int]:
    return {id(parameter) for parameter in backbone.stage_parameters(stage)}


def test_statistics_that_move_count_apart_from_weights() -> None:
    model = made()
    before = WeightsBefore(model)
    before.keep(())
    model.train()
    model(images())
    model.eval()
    assert before.drift(model.backbone, "layer1") == 0.0
    moved = before.drift_of_statistics(model.backbone, "layer1")
    assert moved is not None
    assert moved > 0.01


@pytest.mark.parametrize("adapted", [False, True])
def test_a_backbone_computes_what_it_did_at_first_for_a_while(adapted: bool) -> None:
    model = made()
    if adapted:
        add_adapters(model.backbone.network, rank=2, scale=1.0, seed=0)
        model.select("adapters")
    before = WeightsBefore(model)
    with torch.no_grad():
        first = model.backbone(images())
    before.keep(list(model.backbone.stages))
    model.train()
    model(images())
    model.eval()
    with torch.no_grad():
        for parameters in model.learning.values():
            for parameter in parameters:
                parameter.add_(0.1)
        moved = model.backbone(images())
        kept = {name: t.clone() for name, t in model.state_dict().items()}
        with before.as_before(model.backbone):
            assert torch.equal(model.backbone(images()), first)
        assert torch.equal(model.backbone(images()), moved)
    assert not torch.equal(moved, first)
    assert all(torch.equal(t, kept[name]) for name, t in model.state_dict().items())


# Representations.


def test_features_are_means_over_places_and_tokens() -> None:
    first = torch.rand(2, 5, 3, 3)
    found = pooled(first, 2)
    assert found is not None
    assert torch.allclose(found, first.mean(dim=(2, 3)))
    last = pooled(first.permute(0, 2, 3, 1), 2)
    assert last is not None
    assert torch.allclose(last, first.mean(dim=(2, 3)))
    tokens = torch.rand(2, 7, 4)
    both = pooled((tokens, first), 2)
    assert both is not None
    assert torch.allclose(both, torch.cat([tokens.mean(dim=1), first.mean(dim=(2, 3))], dim=1))
    assert pooled(torch.rand(4, 5), 2) is None
    assert pooled({"a": first}, 2) is None
    assert pooled(torch.ones(2, 3, dtype=torch.long), 2) is None


@pytest.mark.parametrize(
    "backbone", [RESNET, "efficientnet_lite0", "torchvision/densenet121", "torchvision/swin_t"]
)
def test_each_stage_is_watched_at_what_it_hands_on(backbone: str) -> None:
    model = made(backbone)
    taps = find_taps(model.backbone, images(2))
    assert list(taps) == list(model.backbone.stages)
    watch = Watch(model.backbone, taps, None)
    forward = watch.forward(model.backbone)
    with torch.no_grad(), watch.hooked():
        given = forward(images(4))
        watch.batch_ended(torch.arange(4))
    features = watch.features()
    assert [len(rows) for rows in features.values()] == [4] * len(taps)
    assert all(np.ptp(rows, axis=0).max() > 0 for rows in features.values())
    assert not model.backbone._forward_hooks
    with torch.no_grad():
        assert torch.equal(model.backbone(images(4)), given)


def test_the_last_stage_of_a_resnet_is_seen_just_before_its_pooling() -> None:
    model = made()
    watch = Watch(model.backbone, find_taps(model.backbone, images(2)), None)
    forward = watch.forward(model.backbone)
    with torch.no_grad(), watch.hooked():
        given = forward(images(4))
        watch.batch_ended(torch.arange(4))
    assert np.allclose(watch.features()["layer4"], given.numpy(), atol=1e-6)


def test_chosen_images_are_kept_in_order_though_memory_runs_out() -> None:
    model = made()
    every = Watch(model.backbone, find_taps(model.backbone, images(2)), None)
    forward = every.forward(model.backbone)
    with torch.no_grad(), every.hooked():
        forward(images(6))
        every.batch_ended(torch.arange(6))
    some = Watch(model.backbone, find_taps(model.backbone, images(2)), [4, 1, 99])
    tries = iter([torch.OutOfMemoryError(), None, torch.OutOfMemoryError(), None, None, None, None])
    watched = some.forward(model.backbone)

    def short(part: Tensor) -> Tensor:
        given = watched(part)
        if (error := next(tries)) is not None:
            raise error
        return given

    with torch.no_grad(), some.hooked():
        Judging()(short, images(6))
        some.batch_ended(torch.arange(6))
    for stage, rows in some.features().items():
        assert np.allclose(rows, every.features()[stage][[1, 4]], atol=1e-5)


def test_kernels_that_are_kept_give_linear_cka() -> None:
    drawn = np.random.default_rng(0)
    one, other = drawn.normal(size=(30, 8)), drawn.normal(size=(30, 5))
    first, second = Kernel.of(one), Kernel.of(other)
    assert first is not None
    assert second is not None
    assert first.alignment(second) == linear_cka(one, other)
    assert first.alignment(first) == pytest.approx(1.0)
    assert Kernel.of(one[:3]) is None


def test_more_learning_affords_more_images() -> None:
    model = made()
    spec = tiny_spec("/photos", {"training.epochs": 10})
    assert len(Layers.of_run(spec, model, 100, 20).positions_N) == 20
    assert len(Layers.of_run(spec, model, 100, 2000).positions_N) == 64
    assert len(Layers.of_run(spec, model, 500, 2000).positions_N) == 300
    many = Layers.of_run(spec, model, 10_000, 2000).positions_N
    assert len(set(many.tolist())) == 512
    assert sorted(many.tolist()) == many.tolist()
    again = Layers.of_run(spec, model, 10_000, 2000).positions_N
    assert np.array_equal(many, again)
