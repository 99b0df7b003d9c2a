"""What an update keeps, when it is cut off, and what it says where it cannot be done."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import DataError, SpecError, WeightsError
from engine.home import CHECKPOINT_FILE
from engine.models.grown import GrownLinear
from engine.training import state
from engine.training.checkpoint import load_checkpoint
from engine.training.loop import evaluate
from engine.training.metrics import EpochMetrics
from engine.training.predictions import BEFORE_FILE, Predictions
from engine.training.state import state_files
from engine.training.trainer import train
from engine.update.methods import METHODS
from tests.conftest import TINY_CLASSES, Recorder
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import Cut, CutOffError, same, told
from tests.engine.updated import NEW_CLASS, InUse, in_use, new_images
from tests.engine.updating import NUM_OLD, facts, session_of, trained
from tests.sweeps import sweep

__all__ = ["in_use"]


# ---- what is kept


@pytest.mark.parametrize("method", METHODS)
def test_the_kept_model_says_what_was_told_of_it(
    method: str, in_use: InUse, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    trained(in_use.spec(method), folder)
    model, _ = load_checkpoint(folder / CHECKPOINT_FILE)
    session = session_of(in_use.spec(method), tmp_path / "again")
    _, source = session.feed.pictures()
    metrics = EpochMetrics(NUM_OLD + 1, session.device)
    logits_NK = evaluate(0, model, source, session.val_criterion, metrics, Recorder())
    kept = Predictions.load(folder)
    assert kept is not None
    np.testing.assert_allclose(logits_NK.softmax(1).numpy(), kept.probabilities_NK, atol=1e-4)


def test_an_update_is_updated(in_use: InUse, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    trained(in_use.spec("naive"), first)
    later = tmp_path / "july"
    new_images(later, num_known=4, num_new=8, first=28, first_new=12)
    (later / NEW_CLASS).rename(later / f"{NEW_CLASS}-z")
    spec = in_use.spec(
        "replay",
        {
            "data.folder": str(later),
            "update.start": str(first / CHECKPOINT_FILE),
            "update.names": [[f"{NEW_CLASS}-z", ""]],
        },
    )
    recorder, epochs = trained(spec, second)
    manifest = Manifest.from_file(second / MANIFEST_FILE)
    assert [batch.name for batch in manifest.batches] == [in_use.images.name, "june", "july"]
    assert manifest.classes == (*TINY_CLASSES, NEW_CLASS, f"{NEW_CLASS}-z")
    assert sum(batch.num_val for batch in manifest.batches) == len(manifest.val)
    model, _ = load_checkpoint(second / CHECKPOINT_FILE)
    last = model.head[-1]
    assert isinstance(last, GrownLinear)
    assert isinstance(last.old, GrownLinear)
    before = Predictions.load(second, BEFORE_FILE)
    after_first = Predictions.load(first)
    assert before is not None
    assert after_first is not None
    np.testing.assert_allclose(
        before.probabilities_NK[: len(after_first.labels_N), : NUM_OLD + 1],
        after_first.probabilities_NK,
        atol=1e-4,
    )
    assert epochs
    assert int(facts(recorder)["old_images_seen_again"] or 0) > 0  # type: ignore[arg-type]


# ---- cut off


RESUMED: Mapping[str, dict[str, Any]] = {
    "naive": {},
    "replay": {},
    "lwf": {"strategy.name": "gradual"},
    "ewc": {"model.dropout": 0.0},
    "l2_sp": {"training.ema_decay": 0.9},
    "wise_ft": {},
    "frozen_head": {},
}


@pytest.mark.parametrize("method", sweep(RESUMED, ("replay", "ewc", "wise_ft").__contains__))
def test_an_update_that_was_cut_off_goes_on_to_the_same_numbers(
    method: str, in_use: InUse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(state, "MOST_SHARE", 1e9)
    spec = in_use.spec(method, {"training.epochs": 4} | RESUMED[method])
    unbroken, all_told = trained(spec, tmp_path / "whole")
    steps = max(event.step for event in unbroken.events if event.kind == "step") // 4
    parts = [Cut(steps + 1), Cut(3 * steps + 1), Cut()]
    folder = tmp_path / "resumed"
    folder.mkdir()
    for part in parts[:2]:
        with pytest.raises(CutOffError):
            train(spec, folder, part)
    assert state_files(folder)
    train(spec, folder, parts[2])
    assert told(*parts) == all_told
    assert same(
        load_file(folder / CHECKPOINT_FILE), load_file(tmp_path / "whole" / CHECKPOINT_FILE)
    )
    one, other = (Predictions.load(at, BEFORE_FILE) for at in (folder, tmp_path / "whole"))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.probabilities_NK, other.probabilities_NK)


# ---- what goes wrong


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"update.start": "0123456789abcdef"}, "There is no checkpoint"),
        ({"update.start": "/nowhere/best.safetensors"}, "There is no checkpoint"),
        ({"model.head": "mlp"}, "model.head is 'mlp', but the model to update has 'linear'"),
        ({"model.backbone": "resnet18"}, "an update keeps it"),
    ],
)
def test_what_cannot_be_updated_says_why(
    settings: dict[str, Any], sentence: str, in_use: InUse, tmp_path: Path
) -> None:
    with pytest.raises((SpecError, WeightsError), match=sentence):
        session_of(in_use.spec("naive", settings), tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"update.method": "forget"}, "must be one of naive, replay"),
        ({"strategy.name": "full", "update.method": "ncm"}, "choose frozen"),
        ({"update.method": "ncm", "training.epochs": 3}, "takes no steps"),
    ],
)
def test_what_does_not_go_together_is_refused(
    settings: dict[str, Any], sentence: str, in_use: InUse
) -> None:
    given = {"update.start": in_use.start} | settings
    with pytest.raises(SpecError, match=sentence):
        tiny_spec(in_use.new, given)


def _moved(in_use: InUse, tmp_path: Path, split: str, count: int) -> InUse:
    """A copy of the model's run whose list has files that are not there."""
    folder = shutil.copytree(in_use.folder, tmp_path / "copy")
    values = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    for item in values[split][:count]:
        item["path"] += ".gone"
    (folder / MANIFEST_FILE).write_text(json.dumps(values), encoding="utf-8")
    return replace(in_use, folder=folder)


def test_old_images_that_are_gone_are_counted(in_use: InUse, tmp_path: Path) -> None:
    gone = _moved(in_use, tmp_path, "train", 2)
    manifest = session_of(gone.spec("joint"), tmp_path / "run").manifest
    assert "2 earlier images are no longer there." in manifest.notes
    assert sum("no longer there" in one.reason for one in manifest.left_out) == 2
    everything = _moved(in_use, tmp_path / "all", "train", 10_000)
    with pytest.raises(DataError, match="choose a method that reads none"):
        session_of(everything.spec("replay"), tmp_path / "none")
    # Who reads none of them does not ask for them.
    assert session_of(everything.spec("naive"), tmp_path / "naive").manifest.train


def test_validation_images_that_are_gone_end_it(in_use: InUse, tmp_path: Path) -> None:
    gone = _moved(in_use, tmp_path, "val", 1)
    with pytest.raises(DataError, match="1 of the images that the model is judged on"):
        session_of(gone.spec("naive"), tmp_path / "run")


def test_a_checkpoint_of_a_first_model_stands_alone(in_use: InUse, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(in_use.start, alone)
    session = session_of(replace(in_use, folder=alone).spec("naive"), tmp_path / "run")
    old = Manifest.from_file(in_use.folder / MANIFEST_FILE)
    assert session.manifest.val[: len(old.val)] == old.val


def test_a_checkpoint_of_an_update_needs_its_list(in_use: InUse, tmp_path: Path) -> None:
    trained(in_use.spec("naive"), tmp_path / "first")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tmp_path / "first" / CHECKPOINT_FILE, alone)
    with pytest.raises(DataError, match="does not lie beside it"):
        session_of(replace(in_use, folder=alone).spec("naive"), tmp_path / "run")
