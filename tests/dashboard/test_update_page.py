"""The Update page: a model, new images whose names are settled, methods and seeds, and the list."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.data.manifest import build_manifest
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs.store import Run, Store
from engine.spec import DataSpec, RunSpec
from engine.update.foreseen import Way, named_updates
from engine.update.methods import METHODS
from engine.update.request import base_of_run
from tests.conftest import CLIPART
from tests.dashboard.made import add_run, finish, start
from tests.dashboard.pages import (
    choose,
    controls_of,
    open_page,
    run,
    runs_in_address,
    start_button,
    text_of,
)
from tests.dashboard.test_runs_page import click, tick

BATCH = CLIPART.parent / "new"


@pytest.fixture
def model(store: Store, tiny_folder: Path) -> Run:
    """A finished run whose images are there, and that has kept a model of some kind."""
    return add_model(store, tiny_folder)


def add_model(store: Store, folder: Path, strategy: str = "full", **settings: Any) -> Run:
    data = DataSpec(folder=str(folder))
    settings = {"data": data.model_dump(), "training": {"epochs": 4}, **settings}
    made = finish(store, add_run(store, strategy, **settings))
    manifest = build_manifest(data)
    write_text(run_folder(made.id) / "manifest.json", json.dumps(manifest.to_dict()))
    (run_folder(made.id) / "best.safetensors").write_bytes(b"weights")
    return made


@pytest.fixture
def batch(tmp_path: Path, tiny_folder: Path) -> Path:
    """New images: more of one known class, and one that is new."""
    return batch_of(tmp_path, {known_class(tiny_folder): "fruit", "boats": "boats"})


def known_class(tiny_folder: Path) -> str:
    return sorted(path.name for path in tiny_folder.iterdir())[0]


def batch_of(tmp_path: Path, classes: dict[str, str]) -> Path:
    """Returns a folder of classes, each with pictures of a class of the new clip art."""
    folder = tmp_path / "arrived"
    for name, source in classes.items():
        (folder / name).mkdir(parents=True)
        for file in sorted((BATCH / "train" / source).iterdir())[:6]:
            shutil.copy(file, folder / name)
    return folder


def open_update(folder: Path | None = None, runs: tuple[str, ...] = ()) -> AppTest:
    page = open_page("update", runs)
    return page if folder is None else name_folder(page, folder)


def name_folder(page: AppTest, folder: Path) -> AppTest:
    choose(page, "update.source", "folder")
    return choose(page, "update.folder", str(folder))


def started_runs(store: Store) -> list[Run]:
    """Returns the updates in the store, the first that was added first."""
    found = [one for one in store.all_runs() if one.spec.update.start]
    return found[::-1]


def press(page: AppTest) -> AppTest:
    start_button(page).click()
    return run(page)


def controls(page: AppTest) -> dict[str, Any]:
    return {one.key: one for one in controls_of(page)}


# ---- the model


def test_without_a_model_it_says_what_to_do() -> None:
    page = open_update()
    assert "train one on the Train page first" in page.info[0].value
    assert start_button(page).disabled
    assert "Choose a model first" in text_of(page)


def test_a_run_that_goes_on_or_kept_nothing_is_not_on_offer(store: Store) -> None:
    start(store, add_run(store))
    finish(store, add_run(store))
    assert "train one on the Train page first" in open_update().info[0].value


def test_the_latest_model_is_picked_and_stays_so(store: Store, tiny_folder: Path) -> None:
    add_model(store, tiny_folder)
    newer = add_model(store, tiny_folder)
    page = open_update()
    assert runs_in_address(page) == [newer.id]
    add_model(store, tiny_folder)
    run(page)
    assert runs_in_address(page) == [newer.id]


def test_a_model_that_was_updated_since_comes_first(
    store: Store, model: Run, batch: Path, tiny_folder: Path
) -> None:
    other = add_model(store, tiny_folder)
    assert runs_in_address(open_update()) == [other.id]
    update = of_update(store, model, batch)
    (run_folder(update.id) / CHECKPOINT_FILE).write_bytes(b"weights")
    assert runs_in_address(open_update()) == [model.id]
    newest = add_model(store, tiny_folder)
    assert runs_in_address(open_update()) == [newest.id]


def test_the_address_picks_the_model(store: Store, model: Run, tiny_folder: Path) -> None:
    add_model(store, tiny_folder, strategy="frozen")
    page = open_update(runs=(model.id,))
    assert page.selectbox[0].value == model.id
    assert "trained as *Full*" in text_of(page)


def test_a_run_in_the_address_that_goes_on_is_refused_in_a_sentence(store: Store) -> None:
    going = start(store, add_run(store))
    page = open_update(runs=(going.id,))
    assert "still goes on; update it once it has ended" in page.error[0].value
    assert start_button(page).disabled


def test_a_checkpoint_that_is_none_is_told(model: Run, tmp_path: Path) -> None:
    page = choose(open_update(), "update.model", "file")
    assert "Type the path of a checkpoint" in text_of(page)
    file = tmp_path / "other.safetensors"
    file.write_bytes(b"none")
    choose(page, "update.checkpoint", str(file))
    assert "not a checkpoint of Thaw" in page.error[0].value
    choose(page, "update.checkpoint", str(tmp_path / "gone.safetensors"))
    assert "There is no weights file" in page.error[0].value


def test_a_model_whose_images_lie_elsewhere_is_refused(
    model: Run, batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_ROOTS", str(batch))
    page = open_update(batch)
    assert "lies outside the folders that Thaw may read here" in page.error[0].value
    assert start_button(page).disabled


def test_images_that_the_model_is_judged_on_have_to_be_there(
    store: Store, own_folder: Path, batch: Path
) -> None:
    add_model(store, own_folder)
    shutil.move(own_folder, own_folder.with_name("moved"))
    page = open_update(batch)
    assert "without them nobody can say what an update forgets" in page.error[0].value


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


# ---- the list of updates


def test_updates_of_another_model_are_not_listed(
    store: Store, model: Run, batch: Path, tiny_folder: Path
) -> None:
    press(open_update(batch))
    other = add_model(store, tiny_folder)
    page = open_update(runs=(other.id,))
    assert "None yet" in text_of(page)
    page = open_update(runs=(model.id,))
    assert len(page.dataframe[-1].value) == 2


def test_a_failed_update_is_told_with_its_reason(store: Store, model: Run, batch: Path) -> None:
    press(open_update(batch))
    first = started_runs(store)[0]
    start(store, first)
    store.set_status(first.id, "failed", "The training loss became NaN; lower the learning rate.")
    page = open_update(runs=(model.id,))
    assert "The training loss became NaN" in page.error[0].value


# ---- an update's settings again


def of_update(
    store: Store, model: Run, batch: Path, split: Mapping[str, Any] | None = None, **given: Any
) -> Run:
    base, data = base_of_run(model), DataSpec.parse({"folder": str(batch), **(split or {})})
    names = {"boats": base.classes[1]}
    way = Way("replay", {"update.replay_share": 0.35, **given})
    [made] = store.add_runs(named_updates(base, data, [way], names))
    return finish(store, made)


def with_its_settings(update: Run) -> AppTest:
    """Returns the page that "Use its settings" on the Runs page leads to."""
    page = click(tick(open_page("runs"), update.name), "Use its settings")
    assert page.title[0].value == "Update"
    # What is clicked next is a matter of that page, which a test has to be told.
    page.switch_page("app_pages/update.py")
    return run(page)


def test_the_settings_of_an_update_are_put_on_the_update_page(
    store: Store, model: Run, batch: Path
) -> None:
    update = of_update(store, model, batch, seed=5, **{"optimiser.lr": 2e-4})
    press(with_its_settings(update))
    again = started_runs(store)[-1]
    assert again.id != update.id
    assert again.spec == update.spec


def test_so_are_those_of_its_split(store: Store, model: Run, batch: Path, tmp_path: Path) -> None:
    shutil.copytree(batch, tmp_path / "held back")
    split = {"val_folder": str(tmp_path / "held back"), "split_seed": 3}
    update = of_update(store, model, batch, split)
    press(with_its_settings(update))
    assert [one.spec for one in started_runs(store)] == [update.spec, update.spec]


def test_what_the_page_has_no_control_for_is_told_and_kept(
    store: Store, model: Run, batch: Path
) -> None:
    update = of_update(store, model, batch, **{"training.batch_size": 8})
    page = with_its_settings(update)
    assert "Batch size 8" in text_of(page)
    press(page)
    assert [one.spec for one in started_runs(store)] == [update.spec, update.spec]
    press(click(page, "Take them from the model"))
    batch_size = model.spec.training.batch_size
    assert started_runs(store)[-1].spec.training.batch_size == batch_size


def test_the_update_of_a_file_is_put_there_with_its_path(tmp_path: Path) -> None:
    spec = RunSpec.parse(
        {
            "data": {"folder": str(tmp_path)},
            "update": {"start": str(tmp_path / "best.safetensors"), "method": "lwf"},
        }
    )

    def script(text: str) -> None:
        import streamlit as st

        from dashboard.update_fill import address_of, show_on_update
        from engine.spec import RunSpec

        spec = RunSpec.parse(text)
        show_on_update(spec)
        state = st.session_state
        st.text(f"{state['update.model']} {state['update.checkpoint']} {address_of(spec)}")

    page = AppTest.from_function(script, default_timeout=30, args=(spec.model_dump_json(),)).run()
    shown = page.text[0].value
    assert shown == f"file {tmp_path / 'best.safetensors'} {{}}"


def test_the_runs_page_leads_to_the_update_of_a_model(store: Store, model: Run) -> None:
    newer = add_model(store, Path(model.spec.data.folder), strategy="frozen")
    page = click(tick(open_page("runs"), model.name), "Update it")
    assert page.title[0].value == "Update"
    assert page.selectbox[0].value == model.id != newer.id
