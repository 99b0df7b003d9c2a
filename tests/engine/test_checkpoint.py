"""Checkpoints hold the weights of the epoch they name, and say so when they are damaged."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import WeightsError
from engine.models.classifier import Classifier, build_classifier
from engine.training import checkpoint as checkpoint_module
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader, load_checkpoint
from tests.engine.specs import tiny_spec

MOVED = frozenset({"top"})


@pytest.fixture
def model() -> Classifier:
    return build_classifier(tiny_spec("photos").model, num_classes=2, seed=0)


SCALE = (0.5, 0.5, 0.5)


def header(epoch: int) -> CheckpointHeader:
    return CheckpointHeader(
        tiny_spec("photos").model_dump(mode="json"), ("cats", "dogs"), epoch, 0.5, SCALE, SCALE
    )


@pytest.fixture
def written(tmp_path: Path, model: Classifier) -> Path:
    best = BestCheckpoint(tmp_path / "best.safetensors", model)
    best.take(header(2), MOVED)
    best.write()
    return best.file


def test_the_best_epochs_weights_are_kept_while_training_goes_on(
    tmp_path: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "WRITE_SECONDS", 1e9)
    best = BestCheckpoint(tmp_path / "best.safetensors", model)
    best.take(header(1), MOVED)
    top = next(model.backbone.stage_parameters("top"))
    with torch.no_grad():
        model.head[1].bias.fill_(7.0)
        top.add_(1.0)
    best.take(header(2), MOVED)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        model.head[1].bias.fill_(9.0)
        top.add_(1.0)
    best.write()
    loaded, found = load_checkpoint(best.file)
    assert found.epoch == 2
    assert all(torch.equal(t, expected[name]) for name, t in loaded.state_dict().items())


def test_short_epochs_do_not_write_each_time(
    tmp_path: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "WRITE_SECONDS", 1e9)
    best = BestCheckpoint(tmp_path / "best.safetensors", model)
    best.write()
    assert not best.file.exists()
    best.take(header(1), MOVED)
    best.write()
    first = best.file.stat().st_mtime_ns
    best.take(header(2), MOVED)
    assert best.file.stat().st_mtime_ns == first
    best.write()
    assert load_checkpoint(best.file)[1].epoch == 2


def test_what_was_written_reads_back(written: Path) -> None:
    model, found = load_checkpoint(written)
    assert found == header(2)
    assert not model.training
    assert list(written.parent.iterdir()) == [written]


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9999])
def test_a_truncated_checkpoint_is_refused(written: Path, kept: float) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(WeightsError, match="missing, damaged or not a checkpoint of Thaw"):
        load_checkpoint(written)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.safetensors is missing"):
        load_checkpoint(tmp_path / "gone.safetensors")


def test_safetensors_of_another_program_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, file)
    with pytest.raises(WeightsError, match="not a checkpoint of Thaw"):
        load_checkpoint(file)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(written: Path) -> None:
    tensors = load_file(written)
    tensors.pop("head.1.bias")
    metadata = {checkpoint_module.HEADER_KEY: json.dumps(asdict(header(2)))}
    save_file(tensors, written, metadata)
    with pytest.raises(WeightsError):
        load_checkpoint(written)
