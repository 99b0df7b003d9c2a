"""Depth: start a frontier, follow it, read which depth is best."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine.data.samples
from dashboard.depth_form import OF_TRAIN_PAGE
from dashboard.runs import label_of
from engine.insight.frontier import frontier_groups
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, record_speed
from tests.dashboard.made import NUM_VAL, add_pair, add_run, finish, start
from tests.dashboard.made_frontier import (
    BACKBONE,
    RISING,
    base_spec,
    finished_frontier,
    frontier_that_goes_on,
    launch_frontier,
)
from tests.dashboard.pages import (
    APP,
    choose,
    controls_of,
    run,
    runs_in_address,
    start_button,
    text_of,
)


@pytest.fixture(autouse=True)
def _samples(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.data.samples, "sample_folder", lambda name: tiny_folder)


def open_depth(group_id: str = "", held: RunSpec | None = None) -> AppTest:
    """Returns the page, as it is opened without a look at the Train page unless that is held."""
    page = AppTest.from_file(APP, default_timeout=30)
    run(page)
    if OF_TRAIN_PAGE in page.session_state:
        del page.session_state[OF_TRAIN_PAGE]
    if held is not None:
        page.session_state[OF_TRAIN_PAGE] = held.model_dump_json()
    if group_id:
        page.query_params["frontier"] = group_id
    page.switch_page("app_pages/depth.py")
    return run(page)


def button(page: AppTest, label: str) -> Any:
    [found] = [one for one in page.button if one.label == label]
    return found


def bases(page: AppTest) -> list[str]:
    [found] = [one for one in page.selectbox if one.key == "depth.base"]
    return list(found.options)


def table(page: AppTest) -> Any:
    return page.dataframe[0].value.set_index("k")


def figures(page: AppTest) -> dict[str, Any]:
    return {
        one.proto.id.rpartition("-depth.")[2].partition(".")[0]: json.loads(one.proto.spec)
        for one in page.get("plotly_chart")
    }


def started_runs(store: Store) -> list[Run]:
    [group] = frontier_groups(store.all_runs())
    return sorted(group, key=lambda one: one.spec.strategy.last_stages)


# ---- starting one


def test_without_a_frontier_it_says_what_to_do(store: Store) -> None:
    page = open_depth()
    assert "No frontier yet. Press the button below" in page.info[0].value
    assert figures(page) == {}
    assert not page.dataframe


def test_at_first_it_starts_from_the_sample(store: Store, started: list[str]) -> None:
    page = open_depth()
    assert bases(page) == ["The sample of clip art, with usual settings"]
    assert "**10 runs**: EfficientNet-Lite0" in text_of(page)
    assert "18 images" in text_of(page)
    assert "**learning rate 1e-3** at all depths" in text_of(page)
    start_button(page).click()
    run(page)
    runs = started_runs(store)
    assert [one.spec.strategy.last_stages for one in runs] == list(range(10))
    assert {one.spec.strategy.name for one in runs} == {"partial"}
    assert {one.spec.optimiser.lr for one in runs} == {STRATEGIES["partial"].default_lr}
    assert set(started) == {"supervisor"}
    assert page.query_params["frontier"] in ([runs[0].group_id], runs[0].group_id)
    assert "0 of 10 runs have ended · waiting to start" in text_of(page)


def test_it_starts_from_the_newest_run_where_there_is_one(store: Store, tiny_folder: Path) -> None:
    settings: dict[str, Any] = {
        "data": {"folder": str(tiny_folder)},
        "model": {"backbone": BACKBONE},
        "seed": 4,
    }
    newest = add_run(store, "full", **settings)
    page = open_depth()
    assert bases(page)[0] == f"As in the newest run: {label_of(newest)}"
    start_button(page).click()
    run(page)
    runs = started_runs(store)
    shared = newest.spec.flat() | {"strategy.name": "partial"}
    assert [one.spec.flat() for one in runs] == [
        shared | {"strategy.last_stages": depth} for depth in range(6)
    ]


def test_it_starts_as_the_train_page_is_set(store: Store, tiny_folder: Path) -> None:
    add_run(store)
    held = base_spec(data={"folder": str(tiny_folder)}, optimiser={"lr": 0.0123})
    page = open_depth(held=held)
    assert bases(page)[0] == "As the Train page is set now"
    assert "**learning rate 1.23e-2** at all depths" in text_of(page)
    start_button(page).click()
    run(page)
    assert {one.spec.optimiser.lr for one in started_runs(store)} == {0.0123}


def test_several_seeds_make_several_frontiers_at_once(store: Store) -> None:
    page = choose(open_depth(), "depth.seeds", 3)
    assert "**30 runs**" in text_of(page)
    start_button(page).click()
    run(page)
    assert {one.spec.seed for one in started_runs(store)} == {0, 1, 2}


def test_images_that_are_gone_are_a_sentence(store: Store) -> None:
    page = open_depth(held=base_spec(data={"folder": "/not/there"}))
    assert "There is no folder /not/there" in page.error[0].value
    assert start_button(page).disabled


def test_the_time_is_that_of_all_runs_once_the_machine_is_measured(store: Store) -> None:
    assert "Time: not measured on this machine yet" in text_of(open_depth())
    for work, speed in ((FORWARD, 18.0), (TRAIN_FULL, 1.0)):
        record_speed("efficientnet_lite0", work, Speed(speed, 160))
    # 18 + 6 pictures, ten epochs: features once, then nine depths of full training at most.
    seconds = (18 + 6) / 18 + 9 * 10 * (18 + 6 / 18)
    assert f"At most about {seconds / 60:.0f} min of computing" in text_of(open_depth())


# ---- what came of one


def test_the_verdict_says_how_much_of_it_may_be_chance(store: Store) -> None:
    found = finished_frontier(store)
    written = text_of(open_depth())
    assert f"**{found.sentence}**" in written
    assert f"24 more of the {NUM_VAL} validation pictures than the head alone" in written
    assert "Quickest of those within chance of it: the last 3 stages (k = 3)" in written


def test_three_charts_and_a_table(store: Store) -> None:
    found = finished_frontier(store)
    page = open_depth()
    shown = figures(page)
    assert list(shown) == ["accuracy", "seconds", "memory"]
    assert shown["accuracy"]["data"][-1]["y"] == list(RISING)
    rows = table(page)
    assert list(rows.index) == [0, 1, 2, 3, 4, 5]
    assert list(rows["best val accuracy (%)"]) == pytest.approx([100 * one for one in RISING])
    assert rows.loc[4, "status"] == "finished, best"
    assert rows.loc[0, "stage added"] == "none: the head alone"
    assert list(rows["peak memory (MiB)"]) == [512] * 6
    assert rows.loc[2, "run"] == f"compare?run={found.points[2].reports[0].run.id}"


def test_its_runs_can_be_seen_live_and_compared(store: Store) -> None:
    found = finished_frontier(store)
    page = open_depth()
    button(page, "Show its runs on Live").click()
    run(page)
    assert runs_in_address(page) == [one.id for one in found.runs]
    page = open_depth()
    button(page, "Compare the ends and the best").click()
    run(page)
    assert runs_in_address(page) == [found.runs[0].id, found.runs[4].id, found.runs[5].id]


def test_where_an_end_is_best_two_are_compared(store: Store) -> None:
    found = finished_frontier(store, (0.9, 0.8, 0.8, 0.8, 0.8, 0.8))
    page = open_depth()
    button(page, "Compare the ends").click()
    run(page)
    assert runs_in_address(page) == [found.runs[0].id, found.runs[5].id]


def test_while_it_goes_on_it_says_how_far_it_is(store: Store) -> None:
    found = frontier_that_goes_on(store)
    start(store, found.runs[3])
    page = open_depth()
    written = text_of(page)
    assert "3 of 6 runs have ended · Depth 3 of 5 · photos, epoch 1 of 10" in written
    assert "Best so far: the last 2 stages (k = 2)" in written
    assert list(table(page)["status"][3:]) == ["running", "queued", "queued"]


def test_before_the_first_epoch_it_says_what_is_to_come(store: Store) -> None:
    launch_frontier(store)
    page = open_depth()
    assert "The first depth is on its way" in page.info[0].value
    assert figures(page) == {}


def test_stop_all_stops_what_goes_on_and_what_waits(store: Store) -> None:
    found = frontier_that_goes_on(store)
    start(store, found.runs[3])
    page = open_depth()
    button(page, "Stop all").click()
    run(page)
    assert [store.run(one.id).status for one in found.runs] == [
        *["finished"] * 3,
        "stopping",
        *["stopped"] * 2,
    ]
    assert "2 runs stopped before the end" in page.info[0].value


def test_a_frontier_that_has_ended_cannot_be_stopped(store: Store) -> None:
    finished_frontier(store)
    assert "Stop all" not in [one.label for one in open_depth().button]


def test_a_run_that_is_paused_has_not_ended(store: Store) -> None:
    found = frontier_that_goes_on(store)
    start(store, found.runs[3])
    store.request_pause(found.runs[3].id)
    page = open_depth()
    assert "epoch 1 of 10, pausing" in text_of(page)
    store.set_status(found.runs[3].id, "paused")
    page = open_depth()
    assert "3 of 6 runs have ended" in text_of(page)
    assert "1 run paused: resume on the Live page" in page.info[0].value
    assert table(page).loc[3, "status"] == "paused"


def test_runs_that_failed_are_told_with_the_reason(store: Store) -> None:
    runs = launch_frontier(store)
    for one in runs[:5]:
        finish(store, one, (0.5, 0.6))
    start(store, runs[5])
    store.set_status(runs[5].id, "failed", "The training loss became NaN; lower the learning rate.")
    page = open_depth()
    [error] = [one for one in page.error if "did not finish" in one.value]
    assert error.value.startswith("1 run did not finish")
    assert "The training loss became NaN; lower the learning rate." in error.value
    assert len(figures(page)) == 3
    assert table(page).loc[5, "status"] == "failed"


def test_pictures_that_changed_in_between_are_told(store: Store) -> None:
    runs = launch_frontier(store)
    for index, one in enumerate(runs):
        finish(store, one, (0.5,), fingerprint=f"{index > 2}")
    [warning] = open_depth().warning
    assert "different images or a different split" in warning.value


# ---- which one is shown


def test_the_newest_is_shown_and_another_can_be_chosen(store: Store) -> None:
    old = finished_frontier(store, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4))
    add_pair(store)
    new = finished_frontier(store)
    page = open_depth()
    assert new.sentence in text_of(page)
    [pick] = [one for one in page.selectbox if one.label == "Frontier"]
    assert len(pick.options) == 2
    pick.set_value(old.group_id)
    run(page)
    assert old.sentence in text_of(page)
    assert page.query_params["frontier"] in ([old.group_id], old.group_id)


def test_the_address_chooses(store: Store) -> None:
    old = finished_frontier(store, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4))
    finished_frontier(store)
    assert old.sentence in text_of(open_depth(old.group_id))


def test_an_unknown_frontier_in_the_address_is_told(store: Store) -> None:
    found = finished_frontier(store)
    page = open_depth("ffffffff")
    assert "'ffffffff'" in page.warning[0].value
    assert found.sentence in text_of(page)


def test_frontiers_of_the_store_are_told_from_other_runs(store: Store) -> None:
    add_pair(store)
    page = open_depth()
    assert "No frontier yet" in page.info[0].value


def test_every_control_has_help(store: Store) -> None:
    finished_frontier(store)
    page = open_depth()
    controls = [*controls_of(page), *page.button]
    assert controls
    assert all(control.help for control in controls)


# ---- the button on the Train page


def test_the_train_page_starts_one_with_its_settings(store: Store) -> None:
    page = run(AppTest.from_file(APP, default_timeout=30))
    choose(page, "train.training.epochs", 4)
    choose(page, "train.images.fit", "pad")
    button(page, "Depth frontier: k = 0 … 9").click()
    run(page)
    runs = started_runs(store)
    assert len(runs) == 10
    assert {(one.spec.training.epochs, one.spec.images.fit) for one in runs} == {(4, "pad")}
    assert {one.spec.optimiser.lr for one in runs} == {STRATEGIES["partial"].default_lr}
    assert page.title[0].value == "Depth"
    assert page.query_params["frontier"] in ([runs[0].group_id], runs[0].group_id)


def test_the_rate_is_that_of_the_partial_strategy_where_it_was_moved(store: Store) -> None:
    page = run(AppTest.from_file(APP, default_timeout=30))
    choose(page, "train.strategy", ["frozen", "partial"])
    choose(page, "train.optimiser.lr.partial", 5e-4)
    button(page, "Depth frontier: k = 0 … 9").click()
    run(page)
    assert {one.spec.optimiser.lr for one in started_runs(store)} == {5e-4}


def test_the_depth_page_knows_how_the_train_page_is_set(store: Store) -> None:
    page = run(AppTest.from_file(APP, default_timeout=30))
    choose(page, "train.training.epochs", 4)
    page.switch_page("app_pages/depth.py")
    run(page)
    assert bases(page)[0] == "As the Train page is set now"
    assert "4 epochs each" in text_of(page)
