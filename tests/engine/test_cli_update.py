"""`thaw update`, as a person or a script runs it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.insight.updates import update_of
from engine.runs.store import Run, Store
from engine.spec import DataSpec, field_info
from engine.update.methods import METHODS
from engine.update.request import base_of_file, base_of_run, update_spec
from tests.conftest import TINY_CLASSES
from tests.engine.commands import document, refusal, thaw
from tests.engine.specs import tiny_spec
from tests.engine.trained_runs import trained_runs
from tests.engine.updated import NEW_CLASS, new_images

SMALL = ("--image-size", "64", "--epochs", "2", "--batch-size", "8")


@pytest.fixture
def came(tmp_path: Path) -> Path:
    """New images of one class that the model knows, and of one that it does not."""
    return new_images(tmp_path / "june")


@pytest.fixture
def base(thaw_home: Path, tiny_folder: Path) -> Run:
    """A run that has ended, in the THAW_HOME of the test."""
    with trained_runs(thaw_home, tiny_folder, {"base": {}}) as store:
        [run] = store.all_runs()
    return run


@pytest.mark.slow
def test_several_methods_and_seeds_are_one_table(base: Run, came: Path) -> None:
    arguments = ("--data", str(came), "--method", "naive,frozen_head", "--method", "ncm")
    found = document(thaw("update", base.id, *arguments, "--seeds", "2", "--json"))
    assert found["updates"] == base.id
    assert [one["method"] for one in found["methods"]] == ["naive", "frozen_head", "ncm"]
    store = Store()
    for one in found["methods"]:
        assert one["seeds"] == [0, 1]
        for each in one["updates"]:
            run = store.run(each["id"])
            update = update_of(run)
            assert update is not None
            right = update.predicted.predicted_N == update.predicted.labels_N
            assert each["after"]["all"] == pytest.approx(float(right.mean()))
            assert each["after"]["all"] == pytest.approx(run.summary["best_val_accuracy"])
            assert each["updates"] == base.id
        mean = sum(each["forgotten"] for each in one["updates"]) / 2
        assert one["forgotten"]["mean"] == pytest.approx(mean)
        assert one["before_old"]["deviation"] == 0.0
    ids = [each["id"] for one in found["methods"] for each in one["updates"]]
    compared = document(thaw("compare", *ids, "--json"))
    assert compared["updates"] == found["methods"]
    shown = thaw("update", base.id, "--data", str(came), "--method", "ncm")
    assert shown.returncode == 0, shown.stderr
    assert "Nearest class mean" in shown.stdout
    assert "forgotten" in shown.stdout


def test_a_name_that_is_close_is_asked_about(base: Run, came: Path) -> None:
    (came / TINY_CLASSES[0]).rename(came / "Birds")
    asked = refusal(thaw("update", base.id, "--data", str(came)))
    assert "--same Birds=birds" in asked
    assert "--new Birds" in asked
    answered = ("--data", str(came), "--method", "ncm", "--same", "Birds=birds", "--json")
    found = document(thaw("update", base.id, *answered))
    [update] = found["methods"][0]["updates"]
    assert update["after"]["num_new"] > 0
    run = Store().run(update["id"])
    assert run.spec.update.names == (("Birds", "birds"),)
    assert run.summary["new_classes"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--method", "forget"), "There is no method 'forget'; choose one of naive, replay"),
        (("--same", "birds"), "--same birds names no class of the model"),
        (("--same", "birds=dogs"), "The model has no class 'dogs'"),
        (("--new", "cats"), "There is no class 'cats' in the new images"),
        (("--new", "birds"), "so it cannot be a new one"),
        (("--set", "update.replay_share=0"), "update.replay_share is '0'; it must be a number"),
        (("--set", "model.head=mlp"), "model.head"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    base: Run, came: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in refusal(thaw("update", base.id, "--data", str(came), *arguments))
    assert len(Store().all_runs()) == 1


def test_new_classes_only_without_one_is_refused_before_it_starts(base: Run, came: Path) -> None:
    shutil.rmtree(came / NEW_CLASS)
    asked = ("--data", str(came), "--method", "naive,frozen_head")
    assert "the new images have none" in refusal(thaw("update", base.id, *asked))
    assert len(Store().all_runs()) == 1


def test_what_cannot_be_updated_is_refused(came: Path, tmp_path: Path) -> None:
    assert "There is no run" in refusal(thaw("update", "0123456789abcdef", "--data", str(came)))
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"no tensors")
    assert "not a checkpoint of Thaw" in refusal(thaw("update", str(other), "--data", str(came)))
    [run] = Store().add_runs([("waits", tiny_spec(came))])
    assert "still goes on" in refusal(thaw("update", run.id, "--data", str(came)))
    Store().set_status(run.id, "failed", "no reason")
    assert "no model" in refusal(thaw("update", run.id, "--data", str(came)))


def test_a_checkpoint_that_was_copied_can_be_updated(
    base: Run, came: Path, tmp_path: Path, thaw_home: Path
) -> None:
    file = tmp_path / "model.safetensors"
    shutil.copy(thaw_home / "runs" / base.id / "best.safetensors", file)
    found = document(thaw("update", str(file), "--data", str(came), "--method", "ncm", "--json"))
    [update] = found["methods"][0]["updates"]
    assert update["updates"] == str(file)


def test_all_else_stays_as_the_model_had_it(base: Run, came: Path) -> None:
    data = DataSpec(folder=str(came))
    own = base_of_run(base)
    spec = update_spec(own, data, "naive", {})
    assert spec.data == data
    kept = {"data", "update"}
    assert spec.model_dump(exclude=kept) == base.spec.model_dump(exclude=kept)
    given: dict[str, Any] = {"strategy.name": "full", "training.epochs": 7}
    full = update_spec(own, data, "replay", {NEW_CLASS: ""}, given)
    # Another strategy comes with its own learning rate.
    assert (full.strategy.name, full.optimiser.lr, full.training.epochs) == ("full", 3e-4, 7)
    assert full.update.names == ((NEW_CLASS, ""),)
    assert update_spec(own, data, "ncm", {}).training.epochs == 1
    assert json.loads(full.flat()["update.names"]) == [[NEW_CLASS, ""]]


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_brought_with_it_goes_with_it(base: Run, came: Path, method: str) -> None:
    data, first = DataSpec(folder=str(came)), base_of_run(base)
    own = {"optimiser.weight_decay": 0.07}
    spec = update_spec(first, data, method, {}, own)
    again = update_spec(replace(first, start="july", spec=spec), data, "naive", {})
    assert again.optimiser.weight_decay == 0.07
    kept = update_spec(first, data, "naive", {}, own)
    defaults = METHODS[method].defaults
    assert {path: again.flat()[path] for path in defaults} == {
        path: field_info(path).default for path in defaults
    }
    apart = {name for name, value in again.flat().items() if kept.flat()[name] != value}
    assert apart - set(defaults) - {"optimiser.lr"} == {"update.start"}


def test_a_file_says_of_its_model_what_the_run_does(base: Run, thaw_home: Path) -> None:
    file = base_of_file(thaw_home / "runs" / base.id / "best.safetensors")
    own = base_of_run(base)
    assert (file.spec, file.classes) == (own.spec, own.classes)
