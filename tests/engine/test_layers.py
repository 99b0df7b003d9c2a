"""How far stages move and how much else they see: on made models, and in runs of every kind."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.events import MetricEvent, Value
from engine.models.classifier import Classifier, build_classifier
from engine.models.lora import add_adapters, merge_adapters
from engine.spec import ModelSpec
from engine.training import judge_layers, loop
from engine.training.drift import WeightsBefore
from engine.training.gradients import gradient_norms
from engine.training.layers import Layers
from engine.training.memory import Judging
from engine.training.representation import Watch, find_taps, pooled
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.similarity import Kernel, linear_cka
from engine.training.trainer import run_epochs
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec
from tests.engine.unmeasured import unmeasured

RESNET = "torchvision/resnet18"


def made(backbone: str = RESNET, select: Any = "all") -> Classifier:
    model = build_classifier(ModelSpec(backbone=backbone, weights="random"), 3, seed=0, size=64)
    model.select(select)
    return model.eval()


def images(num: int = 6) -> Tensor:
    return torch.rand(num, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def run_of(
    folder: Path, tmp_path: Path, settings: Mapping[str, Any]
) -> tuple[Session, list[dict[str, Value]]]:
    """A session that has trained all its epochs, and what its epochs told."""
    recorder = Recorder()
    session = set_up(
        tiny_spec(folder, {"model.backbone": RESNET, "model.weights": "random"} | dict(settings)),
        tmp_path,
        recorder,
        0.0,
    )
    run_epochs(session)
    return session, [event.values for event in recorder.of_kind("epoch")]


def of(values: Mapping[str, Value], kind: str) -> dict[str, Any]:
    return {
        name.removeprefix(f"{kind}/"): value
        for name, value in values.items()
        if name.startswith(f"{kind}/")
    }


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


# Runs.


def test_a_frozen_run_computes_nothing_and_tells_nothing_but_how_many_images(
    tiny_folder: Path, tmp_path: Path
) -> None:
    session, epochs = run_of(tiny_folder, tmp_path, {"strategy.name": "frozen"})
    assert session.layers.taps is None
    assert not session.layers.kernels
    for values in epochs:
        assert values["cka_images"] == len(session.manifest.val)
        assert not of(values, "drift") | of(values, "cka") | of(values, "drift_statistics")


def test_a_full_run_moves_every_stage(tiny_folder: Path, tmp_path: Path) -> None:
    session, epochs = run_of(tiny_folder, tmp_path, {"strategy.name": "full"})
    stages = list(session.model.backbone.stages)
    for values in epochs:
        assert list(of(values, "drift")) == stages
        assert list(of(values, "cka")) == stages
        assert all(drift > 0.0 for drift in of(values, "drift").values())
        assert all(drift > 0.0 for drift in of(values, "drift_statistics").values())
        assert all(cka < 1.0 for cka in of(values, "cka").values())


def test_stages_move_as_they_are_set_free(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"strategy.name": "gradual", "strategy.unfreeze_every": 1, "training.epochs": 4}
    session, epochs = run_of(tiny_folder, tmp_path, settings)
    stages = list(session.model.backbone.stages)
    for free, values in enumerate(epochs):
        expected = stages[len(stages) - free :]
        assert list(of(values, "drift")) == list(of(values, "cka")) == expected
        assert all(drift > 0.0 for drift in of(values, "drift").values())
    last = [of(values, "drift")[stages[-1]] for values in epochs[1:]]
    assert last == sorted(last)


def test_what_lies_behind_a_stage_that_moved_sees_other_things(
    tiny_folder: Path, tmp_path: Path
) -> None:
    session, epochs = run_of(tiny_folder, tmp_path, {"strategy.name": "surgical"})
    stages = list(session.model.backbone.stages)
    for values in epochs:
        [moved] = of(values, "drift")
        assert list(of(values, "cka")) == stages[stages.index(moved) :]


def test_statistics_that_move_in_a_frozen_backbone_are_told(
    tiny_folder: Path, tmp_path: Path
) -> None:
    settings = {"strategy.name": "frozen", "training.batch_norm": "update"}
    session, epochs = run_of(tiny_folder, tmp_path, settings)
    for values in epochs:
        assert set(of(values, "drift").values()) == {0.0}
        assert all(drift > 0.0 for drift in of(values, "drift_statistics").values())
        assert all(cka < 1.0 for cka in of(values, "cka").values())
        assert list(of(values, "cka")) == list(session.model.backbone.stages)


@pytest.mark.parametrize("strategy", ["lora", "norm_only", "bias_only", "l2_sp"])
def test_whatever_learns_is_seen_to_move(strategy: str, tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"strategy.name": strategy, "optimiser.lr": 1e-2}
    session, epochs = run_of(tiny_folder, tmp_path, settings)
    assert list(of(epochs[-1], "drift")) == list(session.model.backbone.stages)
    assert all(drift > 0.0 for drift in of(epochs[-1], "drift").values())
    assert all(cka < 1.0 for cka in of(epochs[-1], "cka").values())


def test_the_weights_that_are_judged_are_those_measured(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"strategy.name": "full", "training.ema_decay": 0.99}
    session, epochs = run_of(tiny_folder, tmp_path, settings)
    average = session.learner.average
    assert average is not None
    before = session.layers.before
    for stage, drift in of(epochs[-1], "drift").items():
        assert drift == before.drift(average.module.backbone, stage)
        assert drift < (before.drift(session.model.backbone, stage) or 0.0)


def test_numbers_from_a_cut_are_those_of_pictures(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"strategy.name": "partial", "strategy.last_stages": 2, "training.epochs": 3}
    (tmp_path / "cut").mkdir()
    (tmp_path / "pictures").mkdir()
    session, cut = run_of(tiny_folder, tmp_path / "cut", settings)
    assert session.ran_on == "layer3"
    monkeypatch.setattr(Session, "inputs", lambda self, step: None)
    session, pictures = run_of(tiny_folder, tmp_path / "pictures", settings)
    assert not session.ran_on
    for one, other in zip(cut, pictures, strict=True):
        assert list(of(one, "cka")) == ["layer3", "layer4"]
        for kind in ("cka", "drift"):
            assert of(one, kind) == pytest.approx(of(other, kind), abs=1e-4)


def test_a_stage_that_is_frozen_again_stays_where_it_is(tiny_folder: Path, tmp_path: Path) -> None:
    acts = [{"step": 7, "kind": "freeze", "target": name} for name in ("layer3", "layer4")]
    settings = {
        "strategy.name": "partial",
        "strategy.last_stages": 2,
        "training.epochs": 4,
        "steering": acts,
    }
    session, epochs = run_of(tiny_folder, tmp_path, settings)
    assert session.ran_on == "the head"
    assert of(epochs[3], "drift") == of(epochs[2], "drift")
    assert of(epochs[3], "cka") == of(epochs[2], "cka")
    # Where what was measured is not known, it is measured again, over pictures.
    session.layers.cka, session.layers.kernels = {}, {}
    again = judge_layers.layer_values(session, session.inputs(10**6), {})
    assert of(again, "cka") == pytest.approx(of(epochs[3], "cka"), abs=1e-4)


SETTINGS: dict[str, dict[str, Any]] = {
    "full": {"strategy.name": "full", "model.dropout": 0.3},
    "gradual": {"strategy.name": "gradual", "strategy.unfreeze_every": 1, "training.epochs": 3},
    "average": {
        "strategy.name": "full",
        "training.ema_decay": 0.9,
        "training.mixup": 0.4,
        "images.augmentation": "standard",
        "training.accumulation": 2,
        "training.clip_norm": 1.0,
    },
    "lora": {"strategy.name": "lora"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_measuring_changes_no_bit_of_what_is_learnt(
    name: str, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    session, measured = run_of(tiny_folder, tmp_path / "one", SETTINGS[name])
    with unmeasured():
        plain, told = run_of(tiny_folder, tmp_path / "other", SETTINGS[name])
    assert of(measured[-1], "drift")
    assert not of(told[-1], "drift")
    for one, other in ((session.model, plain.model), (session.judged, plain.judged)):
        tensors = other.state_dict()
        assert all(torch.equal(tensor, tensors[key]) for key, tensor in one.state_dict().items())
    for ours, theirs in zip(measured, told, strict=True):
        assert of(ours, "val") == of(theirs, "val")


def test_where_memory_runs_out_training_goes_on_and_it_is_said(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(judge_layers, "_features", short)
    recorder = Recorder()
    settings = {"model.backbone": RESNET, "model.weights": "random", "strategy.name": "full"}
    session = set_up(tiny_spec(tiny_folder, settings), tmp_path, recorder, 0.0)
    run_epochs(session)
    notes = [e.values["memory_note"] for e in recorder.events if "memory_note" in e.values]
    assert len(notes) == 1
    assert "is not measured" in str(notes[0])
    for event in recorder.of_kind("epoch"):
        assert set(of(event.values, "cka").values()) == {None}
        assert all(of(event.values, "drift").values())


# Gradients.


def steps_of(folder: Path, tmp_path: Path, settings: Mapping[str, Any]) -> list[MetricEvent]:
    recorder = Recorder()
    base = {"model.backbone": RESNET, "model.weights": "random", "training.epochs": 1}
    session = set_up(tiny_spec(folder, base | dict(settings)), tmp_path, recorder, 0.0)
    run_epochs(session)
    return recorder.of_kind("step")


def test_norms_of_gradients_are_those_of_what_learns() -> None:
    model = made()
    model.set_trainable({"layer4"})
    assert gradient_norms(model) == {}
    model(images()).square().sum().backward()
    expected = torch.cat([p.grad.flatten() for p in model.learning["layer4"] if p.grad is not None])
    norms = gradient_norms(model)
    assert list(norms) == ["grad_norm/layer4", "grad_norm/head"]
    assert norms["grad_norm/layer4"] == pytest.approx(float(expected.norm()), rel=1e-3)
    scaled = gradient_norms(model, scale=8.0)
    assert scaled["grad_norm/layer4"] == pytest.approx(float(expected.norm()) / 8, rel=1e-3)
    expected_head = next(model.head.parameters())
    assert expected_head.grad is not None
    expected_head.grad[0, 0] = torch.inf
    assert list(gradient_norms(model)) == ["grad_norm/layer4"]


@pytest.mark.parametrize(
    "change", [{"training.accumulation": 4}, {"training.clip_norm": 1e-3}], ids=["parts", "clipped"]
)
def test_norms_are_those_of_the_whole_batch_before_clipping(
    change: dict[str, Any], tiny_folder: Path, tmp_path: Path
) -> None:
    # In parts, BatchNorm would see others.
    settings = {"strategy.name": "full", "training.batch_norm": "frozen"}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    plain = of(steps_of(tiny_folder, tmp_path / "one", settings)[0].values, "grad_norm")
    other = of(steps_of(tiny_folder, tmp_path / "other", settings | change)[0].values, "grad_norm")
    assert plain
    assert other == pytest.approx(plain, rel=2e-3)


def test_a_frozen_run_tells_of_its_head_alone(tiny_folder: Path, tmp_path: Path) -> None:
    for event in steps_of(tiny_folder, tmp_path, {"strategy.name": "frozen"}):
        assert list(of(event.values, "grad_norm")) == ["head"]


def test_only_steps_that_are_told_are_measured(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    real: Callable[..., dict[str, float]] = loop.gradient_norms

    def count(model: Classifier, scale: float) -> dict[str, float]:
        asked.append(scale)
        return real(model, scale)

    monkeypatch.setattr(loop, "gradient_norms", count)
    monkeypatch.setattr(loop, "MAX_STEP_EVENTS", 2)
    steps = steps_of(tiny_folder, tmp_path, {"strategy.name": "full", "training.epochs": 2})
    assert [event.step for event in steps] == [3, 6]
    assert len(asked) == 2


def test_no_module_is_left_with_a_hook(tiny_folder: Path, tmp_path: Path) -> None:
    session, _ = run_of(tiny_folder, tmp_path, {"strategy.name": "full"})
    modules: list[nn.Module] = list(session.model.modules())
    assert not any(module._forward_hooks for module in modules)
