"""Channels first or last: which a run takes, and that its numbers do not depend on it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.training import layout
from engine.training.layout import laid_out_like, layout_for, layout_of_run
from engine.training.trainer import Session, run_epochs, set_up
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

FIRST, LAST = torch.contiguous_format, torch.channels_last
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SGD = {"optimiser.name": "sgd", "optimiser.lr": 1e-3, "training.batch_norm": "frozen"}


def test_a_gpu_takes_channels_last_where_many_pictures_pay_for_it() -> None:
    assert layout_for(GPU, layout.PAYING_IMAGES - 1) is FIRST
    assert layout_for(GPU, layout.PAYING_IMAGES) is LAST
    assert layout_for(CPU, 1) is LAST


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, FIRST),
        ({"training.epochs": 20}, FIRST),
        ({"training.epochs": 20, "images.augmentation": "flip"}, LAST),
        ({"training.epochs": 20, "images.augmentation": "flip", "images.views": 2}, FIRST),
        ({"training.epochs": 9, "strategy.name": "full"}, FIRST),
        ({"training.epochs": 10, "strategy.name": "full"}, LAST),
        ({"training.epochs": 12, "strategy.name": "lp_ft"}, FIRST),
        ({"training.epochs": 30, "strategy.name": "lp_ft"}, LAST),
    ],
    ids=str,
)
def test_only_passes_through_the_backbone_count(
    settings: dict[str, Any], expected: torch.memory_format
) -> None:
    num_train = layout.PAYING_IMAGES // 10
    assert layout_of_run(tiny_spec("photos", settings), GPU, num_train) is expected


def test_images_are_laid_out_like_others() -> None:
    images = torch.rand(2, 3, 4, 5)
    for memory_format in (FIRST, LAST):
        like = torch.rand(2, 3, 4, 5).contiguous(memory_format=memory_format)
        for given in (images, images.contiguous(memory_format=LAST)):
            found = laid_out_like(given, like)
            assert found.is_contiguous(memory_format=memory_format)
            assert torch.equal(found, images)


def session_of(pictures: Path, folder: Path, settings: dict[str, Any]) -> Session:
    folder.mkdir()
    return set_up(tiny_spec(pictures, SGD | settings), folder, Recorder(), 0.0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"strategy.name": "partial", "strategy.last_stages": 3},
        {"strategy.name": "full", "training.mixup": 0.4, "images.start_size": 32},
        {"strategy.name": "gradual", "images.augmentation": "flip", "training.ema_decay": 0.9},
    ],
    ids=str,
)
def test_a_run_has_the_same_numbers_in_either(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    losses = []
    for name, memory_format in (("last", LAST), ("first", FIRST)):
        monkeypatch.setenv("THAW_HOME", str(tmp_path / f"home-{name}"))
        monkeypatch.setattr(
            layout, "layout_for", lambda device, count, chosen=memory_format: chosen
        )
        session = session_of(tiny_folder, tmp_path / name, settings)
        images = next(iter(session.feed.pictures()[0].epoch(1)))[0]
        weight = session.model.backbone.network.conv_stem.weight
        for tensor in (images, weight):
            assert tensor.is_contiguous(memory_format=memory_format)  # type: ignore[union-attr]
        run_epochs(session)
        reporter = session.reporter
        assert isinstance(reporter, Recorder)
        values = [event.values for event in reporter.of_kind("epoch")]
        losses.append(
            [float(one[f"{split}/loss"] or 0) for one in values for split in ("train", "val")]
        )
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)
