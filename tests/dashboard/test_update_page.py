"""The Update page: which model is updated, and the list of its updates."""

import shutil
from pathlib import Path

import pytest

from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, finish, start
from tests.dashboard.pages import (
    choose,
    run,
    runs_in_address,
    start_button,
    text_of,
)
from tests.dashboard.updating import (
    add_model,
    batch,
    model,
    of_update,
    open_update,
    press,
    started_runs,
)

__all__ = ["batch", "model"]


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
