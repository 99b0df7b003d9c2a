"""Update: the new images, their classes, the methods and their settings."""

from pathlib import Path

from engine.data.manifest import build_manifest
from engine.runs.store import Run, Store
from engine.spec import DataSpec
from engine.update.methods import METHODS
from tests.dashboard.pages import (
    choose,
    controls_of,
    start_button,
    text_of,
)
from tests.dashboard.updating import (
    add_model,
    batch,
    batch_of,
    controls,
    known_class,
    model,
    open_update,
    press,
    started_runs,
)

__all__ = ["batch", "model"]


# ---- the new images


def test_a_folder_that_is_missing_is_told(model: Run, tmp_path: Path) -> None:
    page = open_update(tmp_path / "nowhere")
    [error] = page.error
    assert "nowhere" in error.value
    assert start_button(page).disabled


def test_it_says_what_the_model_knows_and_what_is_new(
    model: Run, batch: Path, tiny_folder: Path
) -> None:
    page = open_update(batch)
    written = text_of(page)
    assert f"**The model knows** 1: {known_class(tiny_folder)}." in written
    assert "**New to it** are 1: boats." in written
    assert "2 of the model's 3 classes have no new images" in written
    table = page.dataframe[0].value
    assert list(table["for the model"]) == ["known as birds", "new"]
    assert list(table["to learn from"] + table["to judge by"]) == [6, 6]


def test_a_single_class_will_do(model: Run, tmp_path: Path) -> None:
    page = open_update(batch_of(tmp_path, {"boats": "boats"}))
    assert not page.error
    assert not start_button(page).disabled


def test_images_that_the_model_has_learnt_from_are_told(model: Run, tiny_folder: Path) -> None:
    page = open_update(tiny_folder)
    assert any("The model has learnt from" in one.value for one in page.warning)
    assert any("No image is left to judge by" in one.value for one in page.warning)


def test_a_close_name_is_asked_and_answered(
    store: Store, model: Run, tmp_path: Path, tiny_folder: Path
) -> None:
    known = known_class(tiny_folder)
    nearly = known[:-1]
    page = open_update(batch_of(tmp_path, {nearly: "fruit", "boats": "boats"}))
    assert "1 name is close to one of the model's, but not equal" in text_of(page)
    assert f"**Not settled** are 1: {nearly}." in text_of(page)
    assert start_button(page).disabled
    key = f"update.name.{model.id}.{nearly}"
    assert controls(page)[key].value is None
    choose(page, key, known)
    assert f"**The model knows** 1: {nearly} (as {known})." in text_of(page)
    press(page)
    assert {one.spec.update.names for one in started_runs(store)} == {((nearly, known),)}


def test_a_close_name_can_be_a_new_class(
    store: Store, model: Run, tmp_path: Path, tiny_folder: Path
) -> None:
    nearly = known_class(tiny_folder)[:-1]
    page = open_update(batch_of(tmp_path, {nearly: "fruit", "boats": "boats"}))
    choose(page, f"update.name.{model.id}.{nearly}", "")
    assert f"**New to it** are 2: {nearly}, boats." in text_of(page)
    press(page)
    assert {one.spec.update.names for one in started_runs(store)} == {((nearly, ""),)}


def test_a_name_that_is_not_close_can_be_one_of_the_models(
    store: Store, model: Run, batch: Path, tiny_folder: Path
) -> None:
    page = open_update(batch)
    other = sorted(path.name for path in tiny_folder.iterdir())[1]
    choose(page, f"update.name.{model.id}.boats", other)
    assert f"boats (as {other})" in text_of(page)
    press(page)
    assert {one.spec.update.names for one in started_runs(store)} == {(("boats", other),)}


# ---- methods, settings, and the button


def test_several_methods_and_seeds_are_one_group(
    store: Store, model: Run, batch: Path, started: list[str]
) -> None:
    page = open_update(batch)
    choose(page, "update.methods", ["naive", "replay", "ncm", "l2_sp"])
    choose(page, "update.update.replay_share", 0.5)
    choose(page, "update.update.replay_choice", "random")
    choose(page, "update.strategy.pull.l2_sp.method", 0.3)
    choose(page, "update.training.epochs", 2)
    choose(page, "update.seeds", 3)
    assert "**12 runs in all**, 4 methods, each method with 3 seeds" in text_of(page)
    press(page)
    runs = started_runs(store)
    assert started == ["supervisor"]
    assert len({one.group_id for one in runs}) == 1
    specs = [one.spec for one in runs]
    assert [(one.update.method, one.seed) for one in specs] == [
        (method, seed) for seed in range(3) for method in ("naive", "replay", "l2_sp", "ncm")
    ]
    assert {one.update.start for one in specs} == {model.id}
    assert {one.data.folder for one in specs} == {str(batch)}
    moving = [one for one in specs if one.update.method != "ncm"]
    assert {(one.strategy.name, one.training.epochs) for one in moving} == {("full", 2)}
    still = [one for one in specs if one.update.method == "ncm"]
    assert {(one.strategy.name, one.training.epochs) for one in still} == {("frozen", 1)}
    replay = next(one.update for one in specs if one.update.method == "replay")
    assert (replay.replay_share, replay.replay_choice) == (0.5, "random")
    assert next(one.strategy.pull for one in specs if one.update.method == "l2_sp") == 0.3
    assert "12 updates are in the queue" in page.success[0].value
    assert len(page.dataframe[-1].value) == 12


def test_each_setting_of_each_method_has_a_control(model: Run, batch: Path) -> None:
    page = open_update(batch)
    for method in METHODS.values():
        choose(page, "update.methods", [method.name])
        for path in method.settings:
            suffix = f".{method.name}.method" if path.startswith("strategy.") else ""
            assert f"update.{path}{suffix}" in controls(page), path
        assert not page.error, method.name


def test_what_is_not_said_stays_as_the_model_was_trained(
    store: Store, tiny_folder: Path, batch: Path
) -> None:
    model = add_model(
        store,
        tiny_folder,
        seed=7,
        optimiser={"lr": 5e-5, "weight_decay": 0.01},
        images={"fit": "pad"},
    )
    press(open_update(batch))
    spec = started_runs(store)[0].spec
    assert (spec.seed, spec.optimiser.lr, spec.training.epochs) == (7, 5e-5, 4)
    same = {"model", "images", "optimiser", "training", "strategy", "seed"}
    assert spec.model_dump(include=same) == model.spec.model_dump(include=same)


def test_another_strategy_comes_with_its_own_rate_and_settings(
    store: Store, model: Run, batch: Path
) -> None:
    page = open_update(batch)
    choose(page, "update.strategy.name", "partial")
    choose(page, "update.strategy.last_stages.partial", 3)
    choose(page, "update.optimiser.lr.partial", 2e-4)
    press(page)
    runs = started_runs(store)
    assert {one.spec.strategy.name for one in runs} == {"partial"}
    assert {one.spec.strategy.last_stages for one in runs} == {3}
    assert {one.spec.optimiser.lr for one in runs} == {2e-4}
    assert runs[0].name.startswith("New images only, ")


def test_new_classes_only_has_a_rate_of_its_own(store: Store, model: Run, batch: Path) -> None:
    page = open_update(batch)
    choose(page, "update.methods", ["naive", "frozen_head"])
    choose(page, "update.optimiser.lr.frozen", 0.01)
    press(page)
    rates = {one.spec.update.method: one.spec.optimiser.lr for one in started_runs(store)}
    assert rates["frozen_head"] == 0.01
    assert rates["naive"] == model.spec.optimiser.lr


def test_new_classes_only_needs_new_classes(model: Run, tmp_path: Path, tiny_folder: Path) -> None:
    page = open_update(batch_of(tmp_path, {known_class(tiny_folder): "fruit"}))
    choose(page, "update.methods", ["frozen_head"])
    assert "the new images have none; choose another method" in page.error[0].value
    assert start_button(page).disabled


def test_the_plan_counts_earlier_images(model: Run, batch: Path) -> None:
    page = choose(open_update(batch), "update.methods", ["naive", "replay", "joint", "ncm"])
    manifest = build_manifest(DataSpec(folder=model.spec.data.folder))
    num = len(manifest.train)
    again = 3 * round(0.2 * num / 3)
    written = text_of(page)
    assert "Learns from 10 new images, for 4 epochs." in written
    assert f"Learns from 10 new images and {again} of the {num} earlier ones" in written
    assert f"Learns from 10 new images and all {num} earlier ones" in written
    assert f"mean of each class over 10 new images and all {num} earlier ones" in written
    assert f"**{len(manifest.val)} old** validation images" in written


def test_without_a_method_it_says_so(model: Run, batch: Path) -> None:
    page = choose(open_update(batch), "update.methods", [])
    assert "Choose a method first" in text_of(page)
    assert start_button(page).disabled


def test_every_control_has_help(model: Run, batch: Path) -> None:
    page = choose(open_update(batch), "update.methods", list(METHODS))
    silent = [one.key for one in controls_of(page) if not one.help]
    assert [key for key in silent if key not in ("update.added", "update.data.added")] == []
