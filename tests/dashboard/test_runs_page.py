"""The Runs page: all runs, what is said of them, and what can be done with several."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, finish, start
from tests.dashboard.pages import choose, open_page, run, start_button, text_of


@pytest.fixture
def three(store: Store) -> list[Run]:
    """A finished run, a stopped one and one that waits, the newest first."""
    done = finish(store, start(store, add_run(store)))
    stopped = start(store, add_run(store))
    store.set_status(stopped.id, "stopped", "stopped by hand")
    waiting = add_run(store)
    for one, name in ((done, "Done"), (stopped, "Stopped"), (waiting, "Waiting")):
        store.mark(one.id, name=name)
    return [store.run(one.id) for one in (waiting, stopped, done)]


def names(page: AppTest) -> list[str]:
    return list(page.dataframe[0].value["name"]) if page.dataframe else []


def tick(page: AppTest, *ticked: str) -> AppTest:
    """Ticks runs of the table by their names."""
    shown = page.dataframe[0].value
    rows = [names(page).index(name) for name in ticked]
    key = f"runs.table.{'-'.join(shown['id'])}"
    page.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return run(page)


def labels(page: AppTest) -> set[str]:
    return {one.label for one in page.button}


def click(page: AppTest, label: str) -> AppTest:
    next(one for one in page.button if one.label == label).click()
    return run(page)


def test_nothing_yet() -> None:
    assert "No run yet." in text_of(open_page("runs"))


def test_faults_of_the_installation_are_told_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "THAW_" not in text_of(open_page("runs"))
    monkeypatch.setenv("THAW_WEIGHTS", "/nowhere/at_all")
    monkeypatch.setenv("THAW_MAXRUNS", "3")
    told = [one.value for one in open_page("runs").warning]
    assert len(told) == 1
    assert "names /nowhere/at\\_all, which cannot be read" in told[0]


def test_all_runs_are_listed_the_newest_first(three: list[Run]) -> None:
    page = open_page("runs")
    assert names(page) == ["Waiting", "Stopped", "Done"]
    assert "Tick runs on the left" in text_of(page)


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        (
            "Done",
            {"Compare", "Show the curves", "Use its settings", "Try again", "Star", "Archive"}
            | {"Delete"},
        ),
        (
            "Stopped",
            {"Compare", "Show the curves", "Use its settings", "Resume", "Try again", "Star"}
            | {"Archive", "Delete"},
        ),
        (
            "Waiting",
            {"Compare", "Show the curves", "Use its settings", "Stop", "Pause", "Start next"}
            | {"Start last"}
            | {"Star"},
        ),
    ],
)
def test_only_what_can_be_done_is_offered(three: list[Run], name: str, offered: set[str]) -> None:
    assert labels(tick(open_page("runs"), name)) - {"Save"} == offered


def test_what_is_deleted_comes_back_with_one_click(store: Store, three: list[Run]) -> None:
    page = click(tick(open_page("runs"), "Done", "Stopped"), "Delete")
    assert names(page) == ["Waiting"]
    assert "**2 runs** deleted" in text_of(page)
    click(page, "Undo")
    assert names(page) == ["Waiting", "Stopped", "Done"]
    assert "deleted" not in text_of(page)


def test_what_was_deleted_before_is_restored_from_the_list(store: Store, three: list[Run]) -> None:
    store.delete(three[2].id)
    page = choose(open_page("runs"), "runs.shown", "deleted")
    assert names(page) == ["Done"]
    click(tick(page, "Done"), "Restore")
    assert store.run(three[2].id).deleted_at is None


def test_stars_and_archives(store: Store, three: list[Run]) -> None:
    page = click(tick(open_page("runs"), "Done"), "Star")
    assert list(page.dataframe[0].value[""]) == ["", "", "★"]
    choose(page, "runs.shown", "starred")
    assert names(page) == ["Done"]
    click(tick(page, "Done"), "No star")
    assert not store.run(three[2].id).starred
    page = click(tick(open_page("runs"), "Stopped"), "Archive")
    assert names(page) == ["Waiting", "Done"]
    choose(page, "runs.shown", "archived")
    click(tick(page, "Stopped"), "Bring back")
    assert not store.run(three[1].id).archived


def test_name_tags_and_note_are_kept_and_found(store: Store, three: list[Run]) -> None:
    page = tick(open_page("runs"), "Done")
    name, tags = (one for one in page.text_input if one.label in ("Name", "Tags"))
    name.set_value("The *best*")
    tags.set_value("paper, x, paper")
    page.text_area[0].set_value("Why: [it](won)")
    click(page, "Save")
    kept = store.run(three[2].id)
    assert (kept.name, kept.tags, kept.note) == ("The *best*", ("paper", "x"), "Why: [it](won)")
    choose(page, "runs.words", "WON best")
    assert names(page) == ["The *best*"]
    choose(page, "runs.words", "lost")
    assert "No run fits" in text_of(page)
    choose(page, "runs.words", "")
    choose(page, "runs.tags", ["paper"])
    assert names(page) == ["The *best*"]


def test_a_run_needs_a_name(store: Store, three: list[Run]) -> None:
    page = tick(open_page("runs"), "Done")
    next(one for one in page.text_input if one.label == "Name").set_value("  ")
    click(page, "Save")
    assert "A run needs a name." in text_of(page)
    assert store.run(three[2].id).name == "Done"


def test_waiting_runs_are_reordered_stopped_and_resumed(
    store: Store, three: list[Run], started: list[str]
) -> None:
    later = add_run(store)
    store.mark(later.id, name="Later")
    page = open_page("runs")
    assert list(page.dataframe[0].value["status"][:2]) == ["queued, 2 of 2", "queued, 1 of 2"]
    click(tick(page, "Later"), "Start next")
    assert list(page.dataframe[0].value["status"][:2]) == ["queued, 1 of 2", "queued, 2 of 2"]
    click(tick(page, "Later"), "Start last")
    assert store.queue_order() == [three[0].id, later.id]
    click(tick(page, "Later"), "Start next")
    claimed = store.claim_next(9, "here")
    assert claimed is not None
    assert claimed[0] == later.id
    click(tick(page, "Waiting"), "Stop")
    assert store.run(three[0].id).status == "stopped"
    click(tick(page, "Stopped"), "Resume")
    assert store.run(three[1].id).status == "queued"
    assert "supervisor" in started
    click(tick(page, "Stopped"), "Pause")
    assert store.run(three[1].id).status == "paused"
    click(tick(page, "Stopped"), "Resume")
    assert store.run(three[1].id).status == "queued"


def test_a_run_is_tried_again_with_the_same_settings(
    store: Store, three: list[Run], started: list[str]
) -> None:
    page = click(tick(open_page("runs"), "Done"), "Try again")
    assert names(page) == ["Done", "Waiting", "Stopped", "Done"]
    [newest, *_] = store.all_runs()
    assert (newest.status, newest.spec) == ("queued", three[2].spec)
    assert store.run(three[2].id).status == "finished"
    assert "supervisor" in started


def test_the_settings_of_a_run_fill_the_train_page(store: Store, three: list[Run]) -> None:
    page = click(tick(open_page("runs"), "Done"), "Use its settings")
    spec = three[2].spec
    controls: dict[str, Any] = {one.key: one.value for one in page.segmented_control}
    assert controls["train.images.fit"] == spec.images.fit
    folder = next(one for one in page.text_input if one.key == "train.folder")
    assert folder.value == spec.data.folder


def test_so_do_those_of_its_split(store: Store, tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "held back")
    split = {"val_folder": str(tmp_path / "held back"), "split_seed": 3, "train_fraction": 0.5}
    finish(store, add_run(store, name="Done", data={"folder": str(tiny_folder)} | split))
    page = click(tick(open_page("runs"), "Done"), "Use its settings")
    page.switch_page("app_pages/train.py")
    start_button(run(page)).click()
    run(page)
    made, _ = store.all_runs()
    assert made.spec.data.model_dump().items() >= split.items()


def test_a_run_that_was_put_away_can_still_be_compared(store: Store, three: list[Run]) -> None:
    store.mark(three[2].id, archived=True)
    for name in ("compare", "live"):
        page = open_page(name, [three[2].id])  # type: ignore[arg-type]
        assert three[2].id in page.multiselect[0].value
