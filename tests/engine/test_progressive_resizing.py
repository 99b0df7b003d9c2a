"""Pictures that are small at first, and grow."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import SpecError
from engine.models.backbone import Backbone
from engine.spec import RunSpec
from engine.training.plan import rate_plan
from engine.training.sizes import train_size
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, estimate_time, record_speed
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

STAGES = ("stem", "middle", "top")


def grown(start: int, full: int, epochs: int) -> list[int]:
    spec = tiny_spec(
        "/nowhere",
        {
            "images.start_size": start,
            "images.size": full,
            "training.epochs": epochs,
            "strategy.name": "full",
        },
    )
    phases = rate_plan(spec, STAGES, 1).phases
    return [train_size(spec, phases, epoch, "stem") for epoch in range(1, epochs + 1)]


def test_sizes_grow_in_three_quarters_of_the_epochs() -> None:
    assert grown(128, 224, 8) == [128, 128, 160, 160, 192, 192, 224, 224]
    assert grown(96, 160, 4) == [96, 96, 128, 160]
    assert grown(100, 110, 4) == [100, 100, 100, 110]
    assert grown(48, 96, 8)[0] == 48
    assert grown(112, 224, 8)[0] == 112
    assert grown(128, 224, 1) == [224]
    for epochs in range(1, 40):
        sizes = grown(64, 320, epochs)
        assert sizes == sorted(sizes)
        assert sizes[-1] == 320
        assert all(64 <= size <= 320 for size in sizes)


def test_size_is_full_where_the_first_stages_are_frozen_or_nothing_is_asked() -> None:
    settings = {"images.start_size": 32, "training.epochs": 8, "strategy.name": "full"}
    spec = tiny_spec("/nowhere", settings)
    phases = rate_plan(spec, STAGES, 1).phases
    assert train_size(spec, phases, 1, "stem") == 32
    assert train_size(spec, phases, 1, "stem", ("stem",)) == 32
    assert train_size(spec, phases, 1, "stem", ("middle", "top")) == 64
    spec = tiny_spec("/nowhere", settings | {"strategy.name": "partial"})
    phases = rate_plan(spec, STAGES, 1).phases
    assert train_size(spec, phases, 1, "stem") == 64
    assert train_size(spec, phases, 1, "stem", STAGES) == 64, "set free by hand, as not planned"
    assert grown(0, 64, 4) == [64] * 4


def test_they_grow_once_the_stem_begins_to_learn() -> None:
    settings = {"images.start_size": 32, "images.size": 128, "training.epochs": 16}
    spec = tiny_spec("/nowhere", settings | {"strategy.name": "lp_ft"})
    phases = rate_plan(spec, STAGES, 1).phases
    first = phases[-1].start_epoch
    sizes = [train_size(spec, phases, epoch, "stem") for epoch in range(1, 17)]
    assert sizes[: first - 1] == [128] * (first - 1)
    assert sizes[first - 1] == 32
    assert sizes[-1] == 128


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, int]]:
    """Whether each pass learns, and the side of its pictures."""
    seen: list[tuple[bool, int]] = []
    real = Backbone.forward

    def note(self: Backbone, images_BCHW: Tensor) -> Tensor:
        assert images_BCHW.is_contiguous(memory_format=torch.channels_last)
        if len(images_BCHW) > 2:
            seen.append((torch.is_grad_enabled(), images_BCHW.shape[-1]))
        return real(self, images_BCHW)

    monkeypatch.setattr(Backbone, "forward", note)
    return seen


def test_training_sees_small_pictures_and_validation_large_ones(
    tiny_folder: Path, tmp_path: Path, shapes: list[tuple[bool, int]]
) -> None:
    settings = {"strategy.name": "full", "images.start_size": 32, "training.epochs": 4}
    train(tiny_spec(tiny_folder, settings), tmp_path, Recorder())
    learnt = [size for learns, size in shapes if learns]
    assert learnt == sorted(learnt)
    assert set(learnt) == {32, 64}
    assert {size for learns, size in shapes if not learns} == {64}


def test_frozen_stages_are_still_computed_once(
    tiny_folder: Path, tmp_path: Path, shapes: list[tuple[bool, int]]
) -> None:
    settings = {"strategy.name": "lp_ft", "images.start_size": 32, "training.epochs": 6}
    recorder = Recorder()
    train(tiny_spec(tiny_folder, settings), tmp_path, recorder)
    found = [one.values for one in recorder.of_kind("progress") if one.values["task"] == "features"]
    assert found[0]["features_before"] == "head"
    assert {size for learns, size in shapes if learns} == {32, 64}


@pytest.mark.parametrize("settings", [{"images.augmentation": "standard"}, {"training.mixup": 0.4}])
def test_it_goes_with_what_changes_pictures(
    tiny_folder: Path, tmp_path: Path, shapes: list[tuple[bool, int]], settings: dict[str, Any]
) -> None:
    more = {"strategy.name": "full", "images.start_size": 32} | settings
    train(tiny_spec(tiny_folder, more), tmp_path, Recorder())
    assert next(size for learns, size in shapes if learns) == 32


@pytest.mark.parametrize("start", [16, 64, 65, 224])
def test_a_size_that_cannot_grow_is_refused(start: int) -> None:
    with pytest.raises(SpecError, match=f"images.start_size is {start}; it must be 0 or from 32"):
        tiny_spec("/nowhere", {"images.start_size": start})


def test_a_size_that_the_network_cannot_take_is_refused_before_it_trains(
    tiny_folder: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    settings = {
        "model.backbone": "torchvision/alexnet.IMAGENET1K_V1",
        "model.weights": "random",
        "strategy.name": "lp_ft",
        "images.size": 96,
        "images.start_size": 32,
    }
    with pytest.raises(SpecError, match=r"images.start_size is 32; .* on pictures that small"):
        train(tiny_spec(tiny_folder, settings), tmp_path, recorder)
    assert not recorder.of_kind("step")


def test_a_backbone_of_one_size_is_refused() -> None:
    with pytest.raises(SpecError, match="takes pictures of one size only; choose 0"):
        RunSpec.parse(
            {
                "data": {"folder": "/nowhere"},
                "model": {"backbone": "torchvision/vit_b_16.IMAGENET1K_V1"},
                "images": {"size": 224, "start_size": 128},
            }
        )


def test_estimates_count_small_epochs_as_small() -> None:
    settings = {"strategy.name": "full", "images.size": 128, "training.epochs": 8}
    plain, growing = (tiny_spec("/n", settings | {"images.start_size": one}) for one in (0, 64))
    record_speed(plain.model.backbone, FORWARD, Speed(1e9, 128))
    record_speed(plain.model.backbone, TRAIN_FULL, Speed(100.0, 128))
    stages = ("stem", "top")
    phases = rate_plan(growing, stages, 1).phases
    sizes = [train_size(growing, phases, epoch, "stem") for epoch in range(1, 9)]
    expected = sum((size / 128) ** 2 for size in sizes)
    for spec, seconds in ((plain, 8.0), (growing, expected)):
        estimate = estimate_time(spec, stages, 100, 10)
        assert estimate is not None
        assert estimate.seconds == pytest.approx(seconds, rel=1e-3)
    assert expected < 7
