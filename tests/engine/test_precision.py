"""Fewer bits and smaller parts: what changes, what does not, and what is said where they cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import engine.training.precision
from engine.errors import TrainingError
from engine.home import CHECKPOINT_FILE
from engine.models.classifier import Classifier
from engine.training.checkpoint import load_checkpoint
from engine.training.precision import Precision, mixed_dtype
from engine.training.setting_up import set_up
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

FULL = {
    "strategy.name": "full",
    "optimiser.name": "sgd",
    "optimiser.lr": 1e-2,
    "training.batch_norm": "frozen",
}


def losses(folder: Path, run: Path, settings: dict[str, Any]) -> list[float]:
    recorder = Recorder()
    run.mkdir()
    train(tiny_spec(folder, settings), run, recorder)
    epochs = recorder.of_kind("epoch")
    return [float(one.values[f"{split}/loss"] or 0) for one in epochs for split in ("train", "val")]


# ---- parts of a batch


@pytest.mark.parametrize("parts", [3, 64])
@pytest.mark.parametrize(
    "more", [{}, {"training.label_smoothing": 0.1}, {"training.mixup": 0.4}], ids=str
)
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    tiny_folder: Path, tmp_path: Path, more: dict[str, Any], parts: int
) -> None:
    session = set_up(tiny_spec(tiny_folder, FULL | more), tmp_path, Recorder(), 0.0)
    session.model.train_stages(session.model.backbone.stages, "frozen")
    images, labels, _ = next(iter(session.feed.pictures()[0].epoch(1)))
    mixed, targets = session.learner.mixer(images, labels, 1)
    whole = replace(session.learner, accumulation=1)
    found = []
    for learner in (whole, replace(whole, accumulation=parts)):
        loss, logits = learner.learn(session.model, mixed, targets)
        gradients = [p.grad.clone() for p in session.model.parameters() if p.grad is not None]
        found.append((loss, logits, torch.cat([one.flatten() for one in gradients])))
    (loss, logits, gradient), (other_loss, other_logits, other) = found
    torch.testing.assert_close(other_loss, loss, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other_logits, logits, atol=1e-3, rtol=1e-3)
    assert float((other - gradient).norm() / gradient.norm()) < 1e-3


@pytest.mark.parametrize(
    "more",
    [
        {"training.clip_norm": 0.5, "training.class_balance": "loss"},
        {"strategy.name": "l2_sp"},
        {"strategy.name": "partial", "training.ema_decay": 0.9},
    ],
    ids=str,
)
def test_any_run_can_take_its_batches_in_parts(
    tiny_folder: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    settings = FULL | more | {"optimiser.lr": 1e-3}
    whole = losses(tiny_folder, tmp_path / "whole", settings)
    in_parts = losses(tiny_folder, tmp_path / "parts", settings | {"training.accumulation": 3})
    assert in_parts == pytest.approx(whole, abs=0.05)
    assert in_parts != whole


def test_only_a_part_is_computed_at_a_time(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = Classifier.forward

    def note(self: Classifier, images_BCHW: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            sizes.append(len(images_BCHW))
        return real(self, images_BCHW)

    monkeypatch.setattr(Classifier, "forward", note)
    losses(tiny_folder, tmp_path / "run", FULL | {"training.accumulation": 3})
    assert sum(sizes) == 2 * 18
    assert max(sizes) <= 3


# ---- mixed precision


def test_it_is_refused_where_the_processor_has_no_units(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.training.precision, "mixed_dtype", lambda device: None)
    with pytest.raises(TrainingError, match="this processor has no 16-bit units"):
        losses(tiny_folder, tmp_path / "run", FULL | {"training.precision": "mixed"})


def test_it_computes_in_fewer_bits_and_learns_about_the_same(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.training.precision, "mixed_dtype", lambda device: torch.bfloat16)
    gentle = FULL | {"optimiser.lr": 1e-3}
    exact = losses(tiny_folder, tmp_path / "exact", gentle)
    mixed = losses(tiny_folder, tmp_path / "mixed", gentle | {"training.precision": "mixed"})
    assert mixed != exact
    assert mixed == pytest.approx(exact, abs=0.15)
    model, _ = load_checkpoint(tmp_path / "mixed" / CHECKPOINT_FILE)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_full_precision_changes_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    forward = torch.nn.Linear(3, 2)
    precision = Precision("full", torch.device("cpu"))
    assert precision.dtype is None
    assert not precision.scaler.is_enabled()
    assert precision.wrapped(forward) is forward


def test_float16_scales_the_loss_and_bfloat16_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for dtype, scales in ((torch.float16, True), (torch.bfloat16, False)):
        monkeypatch.setattr(
            engine.training.precision, "mixed_dtype", lambda device, dtype=dtype: dtype
        )
        assert Precision("mixed", torch.device("cpu")).scaler.is_enabled() is scales


def test_the_processor_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (True, False):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer, raising=False)
        wanted = torch.bfloat16 if answer else None
        assert mixed_dtype(torch.device("cpu")) is wanted


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_in_mixed_precision(tiny_folder: Path, tmp_path: Path) -> None:
    gentle = FULL | {"optimiser.lr": 1e-3, "device": "cuda"}
    exact = losses(tiny_folder, tmp_path / "exact", gentle)
    mixed = losses(tiny_folder, tmp_path / "mixed", gentle | {"training.precision": "mixed"})
    assert mixed != exact
    assert mixed == pytest.approx(exact, abs=0.15)
