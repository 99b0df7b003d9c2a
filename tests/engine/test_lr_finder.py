"""The learning-rate finder: it leaves a session as it was, and moves only what it tests."""

import copy
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.errors import DataError
from engine.models.classifier import Classifier
from engine.training import lr_finder
from engine.training.lr_finder import WARM_STEPS, Limits, find_both, find_for_spec, find_rates
from engine.training.range_test import Group, RangeTest
from engine.training.reporter import StopTrainingError
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import run_epochs
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

QUICK = Limits(num_steps=12, seconds=math.inf)
STEPS = Limits(num_steps=60, seconds=math.inf)
SetUp = Callable[..., Session]


@pytest.fixture(autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def tiny_session(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """Sets up a run on the tiny pictures, ready for its first epoch."""

    def prepare(
        settings: dict[str, Any] | None = None, recorder: Recorder | None = None
    ) -> Session:
        spec = tiny_spec(tiny_folder, settings)
        return set_up(spec, tmp_path_factory.mktemp("run"), recorder or Recorder(), 0.0)

    return prepare


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Classifier]:
    """The models on which rates are tried, as they are left."""
    models: list[Classifier] = []
    real = lr_finder.build_optimiser

    def note(spec: Any, model: Classifier, decays: bool = True) -> Any:
        models.append(model)
        return real(spec, model, decays)

    monkeypatch.setattr(lr_finder, "build_optimiser", note)
    return models


def snapshot(session: Session) -> dict[str, Any]:
    """All of a session, and of the process, that a test of rates could disturb."""
    model, learner = session.model, session.learner
    average = learner.average
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "average": {} if average is None else copy.deepcopy(average.state_dict()),
        "optimiser": copy.deepcopy(learner.optimiser.state_dict()),
        "modes": [module.training for module in model.modules()],
        "learns": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "features": {place: id(kept.array) for place, kept in session.feed._kept.items()},
        "sources": id(session.feed._sources),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(legacy=False),
        "python": random.getstate(),
        "moved": set(session.moved),
        "outcome": copy.deepcopy(session.outcome),
        "files": sorted(file.name for file in session.folder.iterdir()),
    }


def assert_same(before: Any, after: Any, where: str = "") -> None:
    """Bit for bit."""
    if isinstance(before, Tensor):
        assert torch.equal(before, after), where
    elif isinstance(before, np.ndarray):
        assert np.array_equal(before, after), where
    elif isinstance(before, dict):
        assert before.keys() == after.keys(), where
        for key, value in before.items():
            assert_same(value, after[key], f"{where}.{key}")
    elif isinstance(before, list | tuple):
        assert len(before) == len(after), where
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    else:
        assert before == after, where


def changed(model: nn.Module, start: nn.Module) -> set[str]:
    """Names of the tensors that differ."""
    after = model.state_dict()
    return {
        name for name, tensor in start.state_dict().items() if not torch.equal(tensor, after[name])
    }


# ---- a session stays as it was


@pytest.mark.parametrize("group", ["head", "backbone"])
@pytest.mark.parametrize(
    "settings",
    [
        {"model.dropout": 0.3},
        {"strategy.name": "full", "training.ema_decay": 0.9, "optimiser.name": "lion"},
        {"strategy.name": "lora", "optimiser.name": "sgd"},
        {"strategy.name": "l2_sp", "training.mixup": 0.3},
        {"strategy.name": "lp_ft", "images.augmentation": "flip"},
    ],
    ids=lambda settings: settings.get("strategy.name", "frozen"),
)
def test_a_session_is_bit_identical_afterwards(
    tiny_session: SetUp, settings: dict[str, Any], group: Group
) -> None:
    session = tiny_session(settings)
    before = snapshot(session)
    find_rates(session, group, QUICK)
    assert_same(before, snapshot(session))


def test_a_session_that_is_stopped_is_bit_identical_too(tiny_session: SetUp) -> None:
    class Impatient(Recorder):
        def should_stop(self) -> bool:
            return self.events[-1].values.get("task") == "trying rates for the backbone"

    session = tiny_session({"strategy.name": "full"}, Impatient())
    before = snapshot(session)
    with pytest.raises(StopTrainingError):
        find_rates(session, "backbone", QUICK)
    assert_same(before, snapshot(session))


@pytest.mark.parametrize("strategy", ["frozen", "full"])
def test_a_run_gives_the_same_numbers_after_a_finder(tiny_session: SetUp, strategy: str) -> None:
    settings = {"strategy.name": strategy, "model.dropout": 0.2, "images.augmentation": "flip"}

    def losses(finds: bool) -> list[Any]:
        recorder = Recorder()
        session = tiny_session(settings, recorder)
        if finds:
            find_both(session, QUICK)
        run_epochs(session)
        steps = [event.values["train/loss"] for event in recorder.of_kind("step")]
        return steps + [event.values["val/loss"] for event in recorder.of_kind("epoch")]

    plain = losses(finds=False)
    assert len(plain) == 2 * 3 + 2
    assert losses(finds=True) == plain


def test_features_that_the_run_has_are_not_computed_again(
    tiny_session: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tiny_session()
    monkeypatch.setattr("engine.training.feeding.keep_features", None)
    assert len(find_rates(session, "head", QUICK).rates) == 12


# ---- only what is tested moves


def test_the_head_is_tested_on_a_frozen_backbone(
    tiny_session: SetUp, tried: list[Classifier]
) -> None:
    session = tiny_session({"strategy.name": "full"})
    find_rates(session, "head", QUICK)
    [model] = tried
    assert changed(model.backbone, session.model.backbone) == set()
    assert changed(model.head, session.model.head) == {"1.weight", "1.bias"}


def test_the_head_of_a_pair_is_tested_alike(tiny_session: SetUp) -> None:
    frozen, full = (
        find_rates(tiny_session({"strategy.name": name}), "head", STEPS)
        for name in ("frozen", "full")
    )
    assert full == frozen


def test_the_backbone_is_tested_under_a_head_that_was_trained_and_is_kept_still(
    tiny_session: SetUp, tried: list[Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tiny_session({"strategy.name": "partial", "strategy.last_stages": 1})
    warm: list[dict[str, Tensor]] = []
    real = lr_finder._Bench._warm_up

    def note(bench: Any, learner: Any, rate: float) -> None:
        real(bench, learner, rate)
        warm.append({name: t.clone() for name, t in learner.model.head.state_dict().items()})

    monkeypatch.setattr(lr_finder._Bench, "_warm_up", note)
    test = find_rates(session, "backbone", QUICK)
    _, model = tried
    assert_same(warm[0], dict(model.head.state_dict()))
    assert changed(model.head, session.model.head) == {"1.weight", "1.bias"}
    last = list(session.model.backbone.stages)[-1]
    own = session.model.backbone.stage_tensor_names(last)
    moved = changed(model.backbone, session.model.backbone)
    assert moved
    assert moved <= own
    assert f"{WARM_STEPS} steps on features" in test.method
    assert f"1 of {len(session.model.backbone.stages)} stages" in test.method


def test_stages_learn_at_their_own_factor_on_the_rate_shown(
    tiny_session: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[dict[str, float]] = []
    real = lr_finder._set

    def note(learner: Any, given: dict[str, float]) -> None:
        real(learner, given)
        rates.append({group["name"]: group["lr"] for group in learner.optimiser.param_groups})

    monkeypatch.setattr(lr_finder, "_set", note)
    session = tiny_session({"strategy.name": "discriminative", "strategy.lr_decay": 0.5})
    test = find_rates(session, "backbone", QUICK)
    stages = list(session.model.backbone.stages)
    last = rates[-1]
    assert last[stages[-1]] == pytest.approx(0.5 * test.rates[-1])
    assert last[stages[0]] == pytest.approx(0.5 ** len(stages) * test.rates[-1])
    assert last["head"] == 0.0
    assert "0.5 times the rate shown" in test.method


@pytest.mark.parametrize("strategy", ["gradual", "lp_ft", "fine_tune"])
def test_stages_that_learn_later_are_tested_too(tiny_session: SetUp, strategy: str) -> None:
    session = tiny_session({"strategy.name": strategy, "strategy.unfreeze_every": 1})
    test = find_rates(session, "backbone", QUICK)
    assert len(test.rates) > 1


def test_a_frozen_backbone_has_no_curve_and_says_why(
    tiny_session: SetUp, tried: list[Classifier]
) -> None:
    test = find_rates(tiny_session(), "backbone", QUICK)
    assert test == RangeTest("backbone", (), (), (), None, test.reason)
    assert "No stage of the backbone learns under Frozen" in test.reason
    assert tried == []


def test_pictures_are_used_where_a_run_would_use_them(tiny_session: SetUp) -> None:
    changed_pictures = find_rates(tiny_session({"images.augmentation": "flip"}), "head", QUICK)
    features = find_rates(tiny_session(), "head", QUICK)
    assert "changed pictures" in changed_pictures.method
    assert "features" in features.method
    assert changed_pictures.losses != features.losses


# ---- the curve


def test_real_pictures_give_a_curve_and_a_suggestion(tiny_session: SetUp) -> None:
    test = find_rates(tiny_session(), "head", STEPS)
    assert test.rates[0] == pytest.approx(1e-7)
    assert list(test.rates) == sorted(test.rates)
    assert test.suggestion is not None
    assert 1e-5 < test.suggestion < 1e-1
    assert min(test.losses) < 0.5 * test.losses[0]


def test_the_same_session_gives_the_same_curve(tiny_session: SetUp) -> None:
    session = tiny_session({"strategy.name": "full", "model.dropout": 0.2})
    assert find_both(session, QUICK) == find_both(session, QUICK)


class Spoiled(nn.Module):
    """Cross entropy, multiplied by `factor` from one call on, counted from 1."""

    def __init__(self, factor: float, from_call: int) -> None:
        super().__init__()
        self.factor = factor
        self.from_call = from_call
        self.calls = 0

    def forward(self, logits_BK: Tensor, labels_B: Tensor) -> Tensor:
        self.calls += 1
        loss = nn.functional.cross_entropy(logits_BK, labels_B)
        return loss * self.factor if self.calls >= self.from_call else loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_test_and_is_not_in_it(
    tiny_session: SetUp, value: float
) -> None:
    session = tiny_session()
    session.learner.criterion = Spoiled(value, from_call=31)
    test = find_rates(session, "head", STEPS)
    assert len(test.rates) == len(test.losses) == len(test.smoothed) == 30
    assert all(math.isfinite(loss) for loss in test.losses)


def test_a_loss_that_is_no_number_at_once_is_said(tiny_session: SetUp) -> None:
    session = tiny_session()
    session.learner.criterion = Spoiled(math.nan, from_call=1)
    test = find_rates(session, "head", STEPS)
    assert test.rates == ()
    assert test.suggestion is None
    assert "no curve to read" in test.reason


def test_the_test_ends_once_the_smoothed_loss_is_four_times_its_best(
    tiny_session: SetUp,
) -> None:
    session = tiny_session()
    session.learner.criterion = Spoiled(1000.0, from_call=31)
    test = find_rates(session, "head", STEPS)
    assert len(test.rates) == 31
    assert test.smoothed[-1] > 4 * min(test.smoothed)


def test_no_more_steps_are_taken_than_time_allows(tiny_session: SetUp) -> None:
    limits = Limits(num_steps=60, seconds=1e-9, least_steps=15)
    test = find_rates(tiny_session(), "head", limits)
    assert len(test.rates) <= 15
    hurried = find_rates(tiny_session(), "head", Limits(num_steps=20, seconds=1e9))
    assert hurried.rates[:3] == pytest.approx([1e-7 * 10 ** (7 * step / 19) for step in range(3)])


def test_progress_is_told_step_by_step(tiny_session: SetUp) -> None:
    recorder = Recorder()
    find_both(tiny_session({"strategy.name": "full"}, recorder), QUICK)
    told = [event.values for event in recorder.of_kind("progress") if "done" in event.values]
    for group in ("head", "backbone"):
        own = [values for values in told if values["task"] == f"trying rates for the {group}"]
        assert [values["done"] for values in own] == list(range(1, len(own) + 1))
        assert {values["total"] for values in own} == {12}


# ---- from a spec


def test_a_spec_is_enough_and_nothing_is_left_behind(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    head, backbone = find_for_spec(tiny_spec(tiny_folder), Recorder(), QUICK)
    assert (head.group, backbone.group) == ("head", "backbone")
    assert [file for file in tmp_path.iterdir() if "thaw-lr" in file.name] == []


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        find_for_spec(tiny_spec(tmp_path / "nowhere"), Recorder(), QUICK)
