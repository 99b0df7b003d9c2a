"""What runs tell of their layers, at no change to what they learn."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.events import MetricEvent, Value
from engine.models.classifier import Classifier
from engine.training import judge_layers, loop
from engine.training.gradients import gradient_norms
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import run_epochs
from tests.conftest import Recorder
from tests.engine.layered import RESNET, images, made
from tests.engine.specs import tiny_spec
from tests.engine.unmeasured import unmeasured


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
