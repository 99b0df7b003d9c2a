"""What frozen stages give is computed once and kept, and changes no number of any run."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.caching import ArrayCache, cache_bytes
from engine.data.squares import Rows
from engine.errors import DataError
from engine.models.backbone import Backbone
from engine.spec import RunSpec
from engine.training.feeding import Feed
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import run_epochs, train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

# Adam makes much of the smallest gradients, and so of how a sum is rounded.
SGD = {"optimiser.name": "sgd", "optimiser.lr": 1e-2}
PARTIAL = {"strategy.name": "partial", "strategy.last_stages": 3} | SGD
TIMES = ("seconds", "images_per_second", "peak_memory")

SetUp = Callable[..., Session]


@pytest.fixture
def session_of(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    def made(settings: dict[str, Any] | None = None, folder: Path | None = None) -> Session:
        spec = tiny_spec(folder or tiny_folder, settings)
        return set_up(spec, tmp_path_factory.mktemp("run"), Recorder(), 0.0)

    return made


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of images of each time that a backbone is run on pictures for its features."""
    seen: list[int] = []
    real = Backbone.forward

    def note(self: Backbone, images_BCHW: torch.Tensor) -> torch.Tensor:
        if images_BCHW.stride(-1):  # what stands for pictures before a cut has none
            seen.append(len(images_BCHW))
        return real(self, images_BCHW)

    monkeypatch.setattr(Backbone, "forward", note)
    return seen


def metrics_of(session: Session) -> list[dict[str, Any]]:
    reporter = session.reporter
    assert isinstance(reporter, Recorder)
    return [
        {k: v for k, v in event.values.items() if not any(time in k for time in TIMES)}
        for event in reporter.of_kind("epoch")
    ]


def told(session: Session) -> list[dict[str, Any]]:
    reporter = session.reporter
    assert isinstance(reporter, Recorder)
    events = reporter.of_kind("progress")
    return [dict(one.values) for one in events if one.values["task"] == "features"]


def uncached(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(Session, "inputs", lambda self, step: None)
    run_epochs(session)
    return session


# ---- the same numbers


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model.head": "mlp", "model.dropout": 0.3},
        PARTIAL,
        PARTIAL | {"training.ema_decay": 0.9},
        PARTIAL | {"training.class_balance": "sampling", "training.batch_norm": "frozen"},
        {"strategy.name": "surgical", "strategy.block": "block7"} | SGD,
        {"strategy.name": "lp_ft", "training.epochs": 4} | SGD | {"optimiser.lr": 1e-3},
        {"strategy.name": "gradual", "strategy.unfreeze_every": 2, "training.epochs": 5} | SGD,
        PARTIAL | {"images.augmentation": "standard", "images.views": 2, "training.epochs": 3},
        {"images.augmentation": "flip", "images.views": 2, "training.epochs": 3},
    ],
    ids=str,
)
def test_a_run_on_what_was_kept_has_the_numbers_of_one_on_pictures(
    session_of: SetUp, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    frozen = "strategy.name" not in settings
    kept = session_of(settings)
    assert kept.inputs(0) is not None
    run_epochs(kept)
    direct = uncached(session_of(settings), monkeypatch)
    for one, other in zip(metrics_of(kept), metrics_of(direct), strict=True):
        assert one == pytest.approx(other, abs=1e-5 if frozen else 1e-3)


def test_a_second_run_gives_the_numbers_of_the_first_bit_for_bit(session_of: SetUp) -> None:
    first, second = session_of(PARTIAL), session_of(PARTIAL)
    for session in (first, second):
        run_epochs(session)
    assert metrics_of(first) == metrics_of(second)
    assert [one["features_found"] for one in (*told(first), *told(second))] == [False, True]


def test_what_others_left_decides_no_digit(session_of: SetUp) -> None:
    """Phases of one epoch run on pictures, whether what they begin with is there or not."""
    gradual = {"strategy.name": "gradual", "training.epochs": 4} | SGD
    alone = session_of(gradual)
    run_epochs(alone)
    for last_stages in (1, 2, 3):
        run_epochs(session_of(PARTIAL | {"strategy.last_stages": last_stages}))
    after = session_of(gradual)
    run_epochs(after)
    assert [facts["features_before"] for facts in told(after)] == ["head"]
    assert metrics_of(after) == metrics_of(alone)


# ---- computed once


def test_stages_before_the_first_that_learns_see_each_picture_once(
    session_of: SetUp, passes: list[int]
) -> None:
    session = session_of(PARTIAL | {"training.epochs": 3})
    run_epochs(session)
    num_images = len(session.manifest.train) + len(session.manifest.val)
    # A cut, what is folded, and where each stage ends are tried on two pictures.
    trial = (3 + 3 + 1) * 2
    assert sum(passes) == num_images + trial


def test_another_strategy_seed_and_split_find_what_was_kept(
    session_of: SetUp, passes: list[int]
) -> None:
    session_of()
    passes.clear()
    others = [
        {"seed": 5, "data.split_seed": 5, "data.val_fraction": 0.4},
        {"strategy.name": "lp_ft", "model.head": "mlp", "training.batch_size": 4},
        {"strategy.name": "gradual", "training.epochs": 9},
    ]
    for settings in others:
        [facts] = told(session_of(settings))
        assert facts["features_found"], settings
        assert facts["features_seconds"] > 0
    assert sum(passes) == len(others) * 2


def test_lp_ft_and_gradual_take_what_is_frozen_from_the_cache_phase_by_phase(
    session_of: SetUp,
) -> None:
    def places(settings: dict[str, Any]) -> list[str]:
        session = session_of(settings)
        run_epochs(session)
        return [facts["features_before"] for facts in told(session)]

    assert places({"strategy.name": "lp_ft", "training.epochs": 6}) == ["head"]
    steps = places(
        {"strategy.name": "gradual", "strategy.unfreeze_every": 2, "training.epochs": 12}
    )
    assert steps[0] == "head"
    assert len(steps) > 3
    assert len(set(steps)) == len(steps)


# ---- what decides a value is in its key


@pytest.mark.parametrize(
    "settings",
    [
        {"images.size": 96},
        {"images.fit": "crop"},
        {"images.normalisation": "rescale"},
        {"model.weights": "random"},
        {"model.backbone": "torchvision/squeezenet1_1", "model.weights": "random"},
        {"training.feature_precision": "half"},
        PARTIAL,
        {"images.augmentation": "flip", "images.views": 1},
    ],
    ids=str,
)
def test_whatever_changes_a_value_is_computed_anew(
    session_of: SetUp, settings: dict[str, Any]
) -> None:
    session_of()
    assert not told(session_of(settings))[0]["features_found"]


def test_a_changed_picture_is_computed_anew(own_folder: Path, session_of: SetUp) -> None:
    session_of(folder=own_folder)
    file = next(own_folder.rglob("*.jpg"), None) or next(own_folder.rglob("*.png"))
    Image.new("RGB", (80, 60), "red").save(file)
    session = session_of(folder=own_folder)
    assert not told(session)[0]["features_found"]
    [(features, _, _)] = list(session.feed.features(session.model.backbone)[1].epoch(1))
    [(images, _, _)] = list(session.feed.pictures()[1].epoch(1))
    with torch.no_grad():
        expected = session.model.backbone.eval()(images)
    torch.testing.assert_close(features, expected, atol=1e-3, rtol=1e-3)


def test_weights_that_moved_are_another_key(session_of: SetUp) -> None:
    session = session_of()
    before = copy.deepcopy(told(session))
    with torch.no_grad():
        next(session.model.backbone.stage_parameters("block3")).add_(0.01)
    session.feed.forget({"block3"})
    session.feed.features(session.model.backbone)
    assert [one["features_found"] for one in told(session)[len(before) :]] == [False]


def test_views_come_in_turn_and_are_drawn_from_the_seed(session_of: SetUp) -> None:
    session = session_of({"images.augmentation": "standard", "images.views": 2})
    inputs = session.inputs(0)
    assert inputs is not None

    def epoch(number: int) -> torch.Tensor:
        batches = list(inputs.train.epoch(number))
        order = torch.cat([positions for _, _, positions in batches]).argsort()
        return torch.cat([features for features, _, _ in batches])[order]

    assert torch.equal(epoch(1), epoch(3))
    assert not torch.equal(epoch(1), epoch(2))
    other = session_of({"images.augmentation": "standard", "images.views": 2, "seed": 1}).inputs(0)
    assert other is not None
    assert not told(session_of({"images.augmentation": "standard", "images.views": 2, "seed": 2}))[
        0
    ]["features_found"]


@pytest.mark.parametrize(
    "settings",
    [
        {"images.augmentation": "flip"},
        {"training.mixup": 0.2},
        {"training.batch_norm": "update"},
        {"strategy.name": "full"},
        {"strategy.name": "lora"},
    ],
    ids=str,
)
def test_what_differs_from_epoch_to_epoch_is_not_kept(
    session_of: SetUp, settings: dict[str, Any]
) -> None:
    session = session_of(settings)
    assert session.inputs(0) is None
    assert told(session) == []


# ---- half precision


def test_half_precision_takes_half_the_room_and_moves_logits_a_little(session_of: SetUp) -> None:
    full, half = session_of(), session_of({"training.feature_precision": "half"})
    sizes = [told(one)[0]["features_mib"] for one in (full, half)]
    assert sizes[0] == 2 * sizes[1]
    [facts] = told(half)
    assert 0 < facts["features_logits_off"] < 0.05
    assert "features_logits_off" not in told(full)[0]
    inputs = half.inputs(0)
    assert inputs is not None
    [(features, _, _)] = list(inputs.val.epoch(1))
    assert features.dtype == torch.float32


# ---- no room


def test_without_room_on_disk_a_run_has_the_same_numbers(
    session_of: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room = session_of(PARTIAL)
    run_epochs(with_room)
    held = cache_bytes()
    monkeypatch.setenv("THAW_CACHE_GIB", "0")
    for entry in ArrayCache("features").entries():
        ArrayCache("features").remove(entry.digest)
    without = session_of(PARTIAL)
    run_epochs(without)
    assert metrics_of(with_room) == metrics_of(without)
    assert "more than the cache may hold" in told(without)[0]["features_note"]
    assert cache_bytes() < held


def test_a_stop_while_features_are_computed_leaves_nothing_half_done(
    tiny_folder: Path, tmp_path: Path
) -> None:
    recorder = Recorder(stop_at=("progress", 4))
    assert train(tiny_spec(tiny_folder), tmp_path, recorder).status == "stopped"
    assert ArrayCache("features").entries() == []
    assert list(ArrayCache("features").folder.glob("*.part")) == []


# ---- pictures


def test_pictures_are_decoded_once_for_all_runs(
    session_of: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"strategy.name": "full", "training.epochs": 1}
    run_epochs(session_of(settings))
    monkeypatch.setattr("engine.training.pictures.read_square", None)
    monkeypatch.setattr("engine.data.loader.read_square", None)
    session = session_of(settings | {"seed": 3})
    assert len(list(session.feed.pictures()[0].epoch(1))) == 3


@pytest.mark.parametrize("augmentation", ["none", "standard"])
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_kept_pictures_are_those_of_the_files(
    session_of: SetUp, monkeypatch: pytest.MonkeyPatch, fit: str, augmentation: str
) -> None:
    settings = {"strategy.name": "full", "images.fit": fit, "images.augmentation": augmentation}
    kept = session_of(settings)
    batches = [list(source.epoch(2)) for source in kept.feed.pictures()]
    monkeypatch.setenv("THAW_CACHE_GIB", "0")
    for entry in ArrayCache("pixels").entries():
        ArrayCache("pixels").remove(entry.digest)
    direct = session_of(settings)
    for ours, source in zip(batches, direct.feed.pictures(), strict=True):
        for one, other in zip(ours, source.epoch(2), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
            assert one[0].is_contiguous(memory_format=torch.channels_last)


def test_a_picture_that_changes_after_it_was_checked_is_refused_and_never_kept(
    own_folder: Path, session_of: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = next(own_folder.rglob("*.*g"))
    real = Feed.__init__

    def changed_meanwhile(self: Feed, *args: Any) -> None:
        Image.new("RGB", (80, 60), "red").save(file)
        real(self, *args)

    monkeypatch.setattr(Feed, "__init__", changed_meanwhile)
    with pytest.raises(DataError, match="it has changed; put it back or remove it"):
        session_of(folder=own_folder)
    for kind in ("pixels", "features"):
        assert ArrayCache(kind).entries() == []


def test_rows_survive_the_way_to_another_process(session_of: SetUp) -> None:
    import pickle

    session_of({"strategy.name": "full"}).feed.pictures()
    [entry] = ArrayCache("pixels").entries()
    found = ArrayCache("pixels").find(entry.key)
    assert found is not None
    rows = Rows(found.array, np.array([3, 1]))
    sent = pickle.dumps(rows)
    assert len(sent) < 2000
    assert np.array_equal(pickle.loads(sent)[[0, 1]], found.array[[3, 1]])


def test_specs_of_before_are_read(tiny_folder: Path) -> None:
    values = tiny_spec(tiny_folder).model_dump()
    del values["images"]["views"]
    del values["training"]["feature_precision"]
    assert RunSpec.parse(values) == tiny_spec(tiny_folder)
