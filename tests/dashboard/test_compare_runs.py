"""Compare: which runs are shown, what is said of those that go on, failed or do not fit."""

import shutil

import pytest

from dashboard.runs import label_of
from engine.home import run_folder
from engine.runs.store import Store
from tests.dashboard.compared import estimates, figures, finished_pair, results, settings
from tests.dashboard.made import add_pair, add_run, finish, start
from tests.dashboard.pages import controls_of, open_page, run, runs_in_address, text_of

pytestmark = pytest.mark.usefixtures("small_sample")


def test_runs_of_different_pictures_are_not_judged(store: Store) -> None:
    one = finish(store, add_run(store), (0.5,), fingerprint="a" * 16)
    other = finish(store, add_run(store, "full"), (0.9,), fingerprint="b" * 16)
    page = open_page("compare", [one.id, other.id])
    [warning] = page.warning
    assert "different images or a different split" in warning.value
    assert "ahead" not in text_of(page)
    assert len(results(page)) == 2


def test_runs_of_the_same_pictures_bring_no_warning(store: Store) -> None:
    finished_pair(store)
    assert not open_page("compare").warning


def test_runs_without_epochs_say_so(store: Store) -> None:
    frozen, _ = add_pair(store)
    start(store, frozen)
    page = open_page("compare")
    assert "These 2 runs go on" in page.info[0].value
    assert "No epoch is completed yet" in page.info[1].value
    assert figures(page) == {}
    table = results(page)
    assert list(table["status"]) == ["running", "queued"]
    assert set(table["best val accuracy"]) == {"–"}
    assert set(table["parameters trained"]) == {"–"}


@pytest.mark.parametrize("view", ["Overview", "Cost", "Images", "Updates"])
def test_runs_that_go_on_are_told_in_all_views_and_can_be_followed(store: Store, view: str) -> None:
    frozen, full = add_pair(store)
    finish(store, frozen)
    start(store, full)
    page = open_page("compare", view=view)
    assert page.info[0].value == (
        "1 of these 2 runs goes on: what is shown is what there was so far. The page is drawn anew "
        "as each run ends."
    )
    page.button(key="compare.going_on.live").click()
    run(page)
    assert runs_in_address(page) == [full.id]
    assert page.title[0].value == "Live"


def test_of_runs_that_have_ended_none_is_told_to_go_on(store: Store) -> None:
    finished_pair(store)
    assert not [one for one in open_page("compare").info if "go on" in one.value]


def test_a_run_without_epochs_does_not_hide_the_other(store: Store) -> None:
    frozen, full = add_pair(store)
    finish(store, frozen)
    page = open_page("compare")
    assert list(results(page)["best val accuracy"]) == ["70.0 %", "–"]
    assert len(figures(page)) == 4
    assert set(figures(open_page("compare", view="Classes"))) == {
        f"confusion.{frozen.id}",
        "scores",
        "reliability",
    }
    assert "ahead" not in text_of(page)
    assert label_of(full) in results(page).index


def test_a_failed_run_says_why(store: Store) -> None:
    one = start(store, add_run(store))
    reason = "The training loss became NaN in epoch 1, step 3; lower the learning rate."
    store.set_status(one.id, "failed", reason)
    row = results(open_page("compare")).iloc[0]
    assert (row["status"], row["why it ended"]) == ("failed", reason)


def test_one_run_alone_can_be_looked_at(store: Store) -> None:
    one = finish(store, add_run(store))
    page = open_page("compare", [one.id])
    assert list(results(page).index) == [label_of(one)]
    assert set(settings(page)[""]) == {""}
    assert "settings differ" not in text_of(page)


def test_the_newest_group_is_shown_first(store: Store) -> None:
    finish(store, add_run(store))
    pair = finished_pair(store)
    assert list(results(open_page("compare")).index) == [label_of(one) for one in pair]


def test_the_address_chooses(store: Store) -> None:
    old = finish(store, add_run(store))
    _, full = finished_pair(store)
    page = open_page("compare", [old.id, full.id])
    assert list(results(page).index) == [label_of(old), label_of(full)]


def test_an_unknown_run_in_the_address_is_told(store: Store) -> None:
    frozen, _ = finished_pair(store)
    page = open_page("compare", ["ffffffff", frozen.id])
    [warning] = page.warning
    assert "'ffffffff'" in warning.value
    assert list(results(page).index) == [label_of(frozen)]


def test_picking_runs_is_kept_in_the_address(store: Store) -> None:
    old = finish(store, add_run(store))
    frozen, full = finished_pair(store)
    page = open_page("compare")
    page.multiselect[0].set_value([frozen.id, full.id, old.id])
    run(page)
    assert runs_in_address(page) == [frozen.id, full.id, old.id]
    assert len(results(page)) == 3


def test_choosing_none_asks_to_choose(store: Store) -> None:
    finished_pair(store)
    page = open_page("compare")
    page.multiselect[0].set_value([])
    run(page)
    assert "Choose the runs" in page.info[0].value


def test_many_runs_can_be_compared(store: Store) -> None:
    runs = [finish(store, add_run(store, seed=seed), (0.6 + seed / 100,)) for seed in range(5)]
    page = open_page("compare", [one.id for one in runs])
    assert len(results(page)) == 5
    assert list(settings(page).index[:1]) == ["Seed"]
    assert list(estimates(page)["seeds"]) == [5]


def test_a_run_whose_folder_was_removed_still_has_its_curves(store: Store) -> None:
    frozen, full = finished_pair(store)
    shutil.rmtree(run_folder(frozen.id))
    shown = figures(open_page("compare"))
    assert {one["name"] for one in shown["accuracy.epochs"]["data"]} > {label_of(frozen)}
    shown = figures(open_page("compare", view="Classes"))
    assert f"confusion.{full.id}" in shown
    assert f"confusion.{frozen.id}" not in shown


def test_its_control_has_help(store: Store) -> None:
    finished_pair(store)
    controls = controls_of(open_page("compare"))
    assert controls
    assert all(control.help for control in controls)
