"""Search: start one, follow it, read what came of it, take the best along."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine.data.samples
from dashboard.search_form_axes import SEARCHED
from engine.runs import search_study
from engine.runs.search_study import (
    STOP_REQUESTED,
    all_searches,
    find_search,
    load_study,
    open_studies,
)
from engine.runs.store import Store
from engine.spec import RunSpec
from tests.dashboard.made import add_run, finish
from tests.dashboard.made_search import Made, add_search, search_spec
from tests.dashboard.pages import (
    APP,
    choose,
    controls_of,
    run,
    runs_in_address,
    start_button,
    text_of,
)

BACKBONE = "torchvision/mobilenet_v2.IMAGENET1K_V2"
FROZEN = {"optimiser.lr": 0.003, "strategy.name": "frozen"}
FULL = {"optimiser.lr": 0.000412, "strategy.name": "full"}


@pytest.fixture(autouse=True)
def drivers(started: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Searches whose process would have been started, in order."""
    names: list[str] = []
    monkeypatch.setattr(search_study, "start_driver", names.append)
    monkeypatch.setattr(search_study, "driver_at_work", lambda _: True)
    return names


@pytest.fixture(autouse=True)
def _samples(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.data.samples, "sample_folder", lambda name: tiny_folder)


def open_search(search_id: str = "") -> AppTest:
    page = AppTest.from_file(APP, default_timeout=30)
    run(page)
    if search_id:
        page.query_params["search"] = search_id
    page.switch_page("app_pages/search.py")
    return run(page)


def button(page: AppTest, label: str) -> Any:
    [found] = [one for one in page.button if one.label == label]
    return found


def table(page: AppTest) -> Any:
    return page.dataframe[0].value.set_index("trial")


def figures(page: AppTest) -> dict[str, Any]:
    return {
        one.proto.id.rpartition("-search.")[2].partition(".")[0]: json.loads(one.proto.spec)
        for one in page.get("plotly_chart")
    }


def two_trials(store: Store, **settings: Any) -> Any:
    trials = [Made(FROZEN, (0.5, 0.7, 0.65)), Made(FULL, (0.6, 0.8, 0.9))]
    return add_search(store, trials, **settings)


# ---- starting one


def test_without_a_search_it_says_what_to_do(drivers: list[str]) -> None:
    page = open_search()
    assert "No search yet" in page.info[0].value
    assert not page.dataframe
    assert "**20 trials** of 10 epochs" in text_of(page)
    assert drivers == []


def test_the_button_starts_a_search_of_what_was_chosen(
    drivers: list[str], tiny_folder: Path
) -> None:
    page = open_search()
    choose(page, "search.searched", ["images.fit", "model.dropout", "strategy.name"])
    choose(page, "search.space.images.fit", ["crop", "pad"])
    choose(page, "search.trials", 7)
    choose(page, "search.epochs", 4)
    choose(page, "search.pruning", False)
    button(page, "Start the search").click()
    run(page)
    [search] = all_searches()
    assert drivers == [search.id]
    assert page.query_params["search"] in (search.id, [search.id])
    spec = search.spec
    assert spec.space["images.fit"] == ("crop", "pad")
    assert spec.space["strategy.name"] == ("frozen", "full")
    assert spec.space["model.dropout"].high == 0.5  # type: ignore[union-attr]
    assert (spec.trials, spec.pruning, spec.sampler) == (7, False, "tpe")
    assert spec.base.training.epochs == 4
    assert spec.base.data.folder == str(tiny_folder)
    assert "0 of 7 trials have ended" in text_of(page)


def test_a_grid_says_how_many_combinations_it_has(drivers: list[str]) -> None:
    page = choose(open_search(), "search.sampler", "grid")
    assert "**8 combinations** of 10 epochs" in text_of(page)
    choose(page, "search.points", 6)
    assert "**12 combinations** of 10 epochs" in text_of(page)
    assert not [one for one in page.slider if one.key == "search.trials"]


def test_the_settings_of_the_newest_run_can_be_shared(store: Store, tiny_folder: Path) -> None:
    own = {"data": {"folder": str(tiny_folder), "val_fraction": 0.3}, "seed": 5}
    finish(store, add_run(store, "full", **own))
    page = choose(open_search(), "search.base", "newest")
    button(page, "Start the search").click()
    run(page)
    [search] = all_searches()
    assert search.spec.base.seed == 5
    assert search.spec.base.data.val_fraction == 0.3
    assert search.spec.base.strategy.name == "full"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("search.searched", [], "Nothing is searched"),
        ("search.space.strategy.name", ["full"], "at least two choices"),
        ("search.space.optimiser.lr", (1e-3, 1e-3), "the first must be less"),
    ],
)
def test_what_cannot_be_searched_is_told_and_the_button_waits(
    key: str, value: Any, sentence: str
) -> None:
    page = choose(open_search(), key, value)
    assert sentence in page.error[0].value
    assert button(page, "Start the search").disabled


@pytest.mark.parametrize(
    ("folder", "sentence"), [("", "Type the path"), ("/nowhere/at/all", "There is no folder")]
)
def test_a_folder_that_cannot_be_used(folder: str, sentence: str) -> None:
    page = choose(open_search(), "search.source.recipe", "folder")
    if folder:
        choose(page, "search.folder", folder)
    assert sentence in text_of(page)
    assert button(page, "Start the search").disabled


def test_a_wrong_number_of_slots_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_MAX_RUNS", "none")
    assert "must be a whole number of at least 1" in open_search().error[0].value


def test_every_control_has_help() -> None:
    page = choose(open_search(), "search.searched", list(SEARCHED))
    controls = controls_of(page)
    assert len(controls) > 12
    assert all(control.help for control in controls)


def test_everything_on_offer_can_be_searched(drivers: list[str]) -> None:
    page = choose(open_search(), "search.searched", list(SEARCHED))
    assert page.error[0].value.endswith("; give at least two choices, all different.")
    choose(page, "search.space.model.backbone", ["efficientnet_lite0", BACKBONE])
    assert "**20 trials** on tiny" in text_of(page)
    button(page, "Start the search").click()
    run(page)
    [search] = all_searches()
    assert list(search.spec.space) == list(SEARCHED)


def test_every_slider_and_choice_of_a_spec_is_on_offer() -> None:
    left_out = {path for path in open_spec().flat() if path not in SEARCHED}
    data = {path for path in left_out if path.startswith(("data.", "update."))}
    costs = {"training.gradient_checkpointing", "training.compile", "training.max_minutes"}
    others = {"model.weights", "strategy.block", "steering", "seed", "device"}
    assert left_out - data == costs | others


def open_spec() -> RunSpec:
    return RunSpec.parse({"data": {"folder": "/photos"}})


# ---- following one


def test_a_search_that_goes_on_shows_how_far_it_is(store: Store) -> None:
    trials = [
        Made(FROZEN),
        Made(FULL, (0.2, 0.2), "pruned", "its accuracy lay below the median"),
        Made(FULL, (), "failed", "The training loss became NaN."),
        Made(FROZEN, (0.4,), "running"),
    ]
    search = add_search(store, trials, "running", search_spec(trials=10))
    page = open_search(search.id)
    told = "3 of 10 trials have ended (1 complete, 1 pruned, 1 failed) · 1 running"
    assert told in text_of(page)
    assert "Best so far: trial 1 with **70.0 %**" in text_of(page)
    assert not button(page, "Stop").disabled
    rows = table(page)
    assert list(rows.index) == [4, 3, 2, 1]
    assert list(rows["status"]) == ["running", "failed", "pruned", "complete"]
    assert rows.loc[3, "why it ended"] == "The training loss became NaN."


def test_before_the_first_result_it_says_where_to_look(store: Store) -> None:
    search = add_search(store, [Made(FROZEN, (), "running")], "running", search_spec(trials=5))
    page = open_search(search.id)
    assert "Live page" in page.info[0].value
    assert figures(page) == {}
    assert not [one for one in page.button if one.label.startswith("Use")]


def test_stopping_asks_the_search_to_end(store: Store) -> None:
    search = add_search(store, [Made(FROZEN, (0.4,), "running")], "running", search_spec(trials=5))
    page = open_search(search.id)
    button(page, "Stop").click()
    run(page)
    assert find_search(search.id).status == "stopping"
    assert button(page, "Stopping").disabled


def test_a_stopped_search_can_go_on(store: Store, drivers: list[str]) -> None:
    search = add_search(store, [Made(FROZEN)], "stopped", search_spec(trials=5))
    page = open_search(search.id)
    button(page, "Go on").click()
    run(page)
    assert find_search(search.id).status == "running"
    assert drivers == [search.id]


def test_a_search_whose_process_is_gone_gets_another(
    store: Store, drivers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = add_search(store, [Made(FROZEN)], "running", search_spec(trials=5))
    monkeypatch.setattr(search_study, "driver_at_work", lambda _: False)
    open_search(search.id)
    assert search.id in drivers


def test_a_failed_search_says_why_and_what_to_do(store: Store) -> None:
    trials = [Made(FULL, (), "failed", "The training loss became NaN.")] * 2
    reason = "The last 5 trials have all failed, the last one so: The training loss became NaN."
    search = add_search(store, trials, "failed", search_spec(trials=9), reason)
    page = open_search(search.id)
    [error] = page.error
    assert "became NaN" in error.value
    assert "Start another search" in error.value
    assert button(page, "Go on")


def test_a_search_that_ended_without_a_result_says_so(store: Store) -> None:
    search = add_search(store, [Made(FULL, (), "stopped")], "stopped", search_spec(trials=9))
    assert "so there is no best one" in text_of(open_search(search.id))


# ---- what came of it


def test_the_results_of_a_finished_search(store: Store) -> None:
    search = two_trials(store)
    page = open_search(search.id)
    assert "2 of 2 trials have ended (2 complete)" in text_of(page)
    assert "Best: trial 2 with **90.0 %**" in text_of(page)
    assert "learning rate **0.000412**, strategy **full**" in text_of(page)
    assert not [one for one in page.button if one.label in ("Stop", "Go on")]
    drawn = figures(page)
    assert set(drawn) == {"parallel", "cost"}
    labels = [one["label"] for one in drawn["parallel"]["data"][0]["dimensions"]]
    assert labels == ["Learning rate", "Strategy", "Val accuracy (%)"]
    assert {one["name"] for one in drawn["cost"]["data"]} == {"best for its time", "Frozen", "Full"}


def test_each_trial_links_to_its_run_on_compare(store: Store) -> None:
    search = two_trials(store)
    links = list(table(open_search(search.id))["run"])
    run_ids = [one.run_id for one in search_study.trials_of(search.id)]
    assert links == [f"compare?run={run_id}" for run_id in reversed(run_ids)]


def test_the_best_fills_the_train_page_and_is_trained_again_from_there(
    store: Store, own_folder: Path
) -> None:
    base = RunSpec.parse(
        {
            "data": {"folder": str(own_folder), "val_fraction": 0.3},
            "model": {"head": "mlp", "hidden_units": 64, "dropout": 0.33},
            "images": {"size": 131, "fit": "pad"},
            "optimiser": {"weight_decay": 0.0042},
            "training": {"epochs": 150, "batch_size": 24},
        }
    )
    spec = search_spec(trials=2).model_copy(update={"base": base})
    search = two_trials(store, spec=spec)
    page = open_search(search.id)
    button(page, "Use the best on the Train page").click()
    run(page)
    assert "How should this model be updated" in page.title[0].value
    started = {one.key: one.value for one in controls_of(page)}
    assert started["train.optimiser.lr.full"] == 0.000412
    assert (started["train.source"], started["train.folder"]) == ("folder", str(own_folder))
    start_button(page).click()
    run(page)
    again = store.all_runs()[0].spec
    best = search_study.best_trial(search_study.trials_of(search.id))
    assert best is not None
    assert again == store.run(str(best.run_id)).spec


def test_the_best_can_be_saved_as_an_exact_spec(store: Store) -> None:
    page = open_search(two_trials(store).id)
    [saved] = page.get("download_button")
    assert saved.proto.label == "Save the best as a spec"


def test_the_best_three_are_compared(store: Store) -> None:
    trials = [Made(FROZEN, (accuracy,)) for accuracy in (0.5, 0.9, 0.7, 0.8)]
    search = add_search(store, trials)
    page = open_search(search.id)
    by_number = {one.number: one.run_id for one in search_study.trials_of(search.id)}
    button(page, "Compare the best three").click()
    run(page)
    assert page.title[0].value == "Compare"
    assert runs_in_address(page) == [by_number[1], by_number[3], by_number[2]]


def test_the_newest_search_is_shown_and_another_can_be_chosen(store: Store) -> None:
    old = two_trials(store)
    new = add_search(store, [Made(FROZEN, (0.3,))])
    page = open_search()
    [picker] = [one for one in page.selectbox if one.label == "Search"]
    assert picker.value == new.id
    picker.set_value(old.id)
    run(page)
    assert page.query_params["search"] in (old.id, [old.id])
    assert "**90.0 %**" in text_of(page)


def test_an_unknown_search_in_the_address_is_told(store: Store) -> None:
    two_trials(store)
    page = open_search("ffffffff")
    assert "'ffffffff'" in page.warning[0].value
    assert "**90.0 %**" in text_of(page)


def test_a_search_that_ends_while_it_is_watched_is_drawn_anew(store: Store) -> None:
    search = add_search(store, [Made(FROZEN)], "running", search_spec(trials=5))
    page = open_search(search.id)
    with open_studies() as storage:
        study = load_study(storage, search.id)
        study.set_user_attr(STOP_REQUESTED, True)
        search_study.set_status(study, "stopped")
    run(page)
    assert button(page, "Go on")
    assert "Best: trial 1" in text_of(page)
