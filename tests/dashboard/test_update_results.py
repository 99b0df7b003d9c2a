"""The Updates view of Compare: what is shown of updates, and what is said where there are none."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.palette import COLD, WARM
from dashboard.runs import label_of
from dashboard.stream import card
from dashboard.update_colours import way_colours
from engine.home import run_folder
from engine.insight.update_methods import method_results
from engine.insight.updates import Update, update_of
from engine.runs.store import Run, Store
from engine.training.curves import save_curve
from tests.dashboard.made import add_run, finish
from tests.dashboard.made_updates import (
    BEFORE_NEW,
    BEFORE_OLD,
    NUM_NEW,
    NUM_OLD,
    add_update,
    finish_update,
    tell_update,
)
from tests.dashboard.pages import choose, controls_of, open_page, run, text_of

KEPT = {0.0: 0.75, 0.5: 0.625, 1.0: 0.5}


@pytest.fixture
def base(store: Store) -> Run:
    return finish(store, add_run(store, "full", "base"))


def updates_page(*runs: Run) -> AppTest:
    return open_page("compare", [one.id for one in runs], view="Updates")


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def charts(page: AppTest) -> dict[str, Any]:
    shown = page.get("plotly_chart")
    return {one.proto.id.rpartition("-compare.")[2]: json.loads(one.proto.spec) for one in shown}


def table(page: AppTest) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = page.dataframe[0].value.to_dict("records")
    return rows


def found(run: Run) -> Update:
    one = update_of(run)
    assert one is not None
    return one


# ---- where there is little to show


def test_runs_that_update_nothing_say_what_to_do(base: Run) -> None:
    page = updates_page(base)
    assert "None of these runs updates a model" in written(page)
    assert not page.dataframe


def test_an_update_that_waits_is_not_judged_yet(store: Store, base: Run) -> None:
    waiting = add_update(store, base)
    page = updates_page(base, waiting)
    assert "Nothing has been judged yet; the Live page shows" in written(page)
    assert f"{label_of(waiting)}** is queued and not judged." in written(page)
    assert "1 of the 2 runs updates no model and is left out here." in written(page)


def test_one_that_goes_on_is_shown_so_far(store: Store, base: Run) -> None:
    going = tell_update(store, add_update(store, base))
    page = updates_page(going)
    assert "is running; what is shown of it is what it came to so far." in written(page)
    assert table(page)[0]["method"] == "naive (so far)"
    assert table(page)[0]["time"] == "–"


def test_one_that_failed_says_why_beside_one_that_did_not(store: Store, base: Run) -> None:
    failed = add_update(store, base, "replay")
    store.set_status(failed.id, "failed", "There is no folder /photos.")
    page = updates_page(failed, finish_update(store, base))
    assert "failed before it was judged: There is no folder /photos." in written(page)
    assert [row["method"] for row in table(page)] == ["naive"]


def test_one_whose_files_are_damaged_says_so_and_others_are_shown(store: Store, base: Run) -> None:
    damaged, sound = finish_update(store, base), finish_update(store, base, "ewc")
    file = run_folder(damaged.id) / "manifest.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {"batches": []}))
    page = updates_page(damaged, sound)
    assert "does not go together; update the model anew." in written(page)
    assert [row["method"] for row in table(page)] == ["ewc"]


# ---- what it came to


def test_the_table_has_a_row_a_method_and_means_over_seeds(store: Store, base: Run) -> None:
    runs = [
        finish_update(store, base, "naive", seed=0, broken=6, mended=0),
        finish_update(store, base, "naive", seed=1, broken=12, mended=0),
        finish_update(store, base, "replay", broken=0, mended=3, new_right=6),
    ]
    page = updates_page(*runs)
    naive, replay = table(page)
    assert naive["old images"] == "80.0 % → 50.0 ± 14.1 %"
    assert naive["forgotten"] == "30.0 ± 14.1"
    assert naive["broken"] == "9 ± 4.2"
    assert naive["runs"] == f"{runs[0].id[:4]} {runs[1].id[:4]}"
    assert (replay["forgotten"], replay["mended"], replay["broken"]) == ("−10.0", "3", "0")
    assert replay["new images"] == "33.3 % → 50.0 %"
    assert replay["in words"] == "New images and some old ones"
    told = written(page)
    assert f"Before, the model told 80.0 % of {NUM_OLD} old images and 33.3 %" in told
    assert "**New images only** forgot most: 30.0 points" in told
    assert "± is the standard deviation over seeds." in told
    assert f"each new image is {100 / NUM_NEW:.1f} points" in told


def test_none_that_forgot_is_said(store: Store, base: Run) -> None:
    page = updates_page(finish_update(store, base, broken=0, mended=1))
    assert "None of them forgot anything" in written(page)


def test_old_against_new_has_a_point_a_run_and_the_model_before(store: Store, base: Run) -> None:
    runs = [
        finish_update(store, base, "naive", seed=0),
        finish_update(store, base, "naive", seed=1, broken=3),
        finish_update(store, base, "lwf", broken=1),
    ]
    traces = {
        (one["name"], len(one["x"])): one
        for one in charts(updates_page(*runs))["updates.standing"]["data"]
    }
    before = traces["before", 1]
    assert (before["x"], before["y"]) == ([BEFORE_NEW / NUM_NEW], [BEFORE_OLD / NUM_OLD])
    assert traces["naive", 2]["y"] == [found(one).after.old.accuracy for one in runs[:2]]
    assert traces["lwf", 1]["text"] == ["lwf"]
    assert ("lwf", 2) not in traces


def test_curves_begin_with_the_model_before(store: Store, base: Run) -> None:
    one = finish_update(store, base)
    shown = charts(updates_page(one))
    for metric, before, after in (
        ("val/old_accuracy", BEFORE_OLD / NUM_OLD, found(one).after.old.accuracy),
        ("val/new_accuracy", BEFORE_NEW / NUM_NEW, found(one).after.new.accuracy),
    ):
        [line] = shown[f"updates.epochs.{metric}"]["data"]
        assert line["x"] == [0, 1, 2]
        assert line["y"] == [before, after, after]
    [dashed] = shown["updates.epochs.val/old_accuracy"]["layout"]["shapes"]
    assert (dashed["y0"], dashed["line"]["dash"]) == (BEFORE_OLD / NUM_OLD, "dash")
    assert "shapes" not in shown["updates.epochs.val/new_accuracy"]["layout"]


def test_updates_of_several_models_are_chosen_from(store: Store, base: Run) -> None:
    first, second = finish_update(store, base), finish_update(store, "/models/b.safetensors", "ewc")
    page = updates_page(first, second)
    assert [row["method"] for row in table(page)] == ["naive"]
    page = choose(page, "compare.updates.start", 1)
    assert [row["method"] for row in table(page)] == ["ewc"]
    assert "Updates of **/models/b.safetensors**" in written(page)


def test_the_same_update_of_models_of_several_seeds_is_one_way(store: Store) -> None:
    bases = [finish(store, add_run(store, "full", "base", seed=seed)) for seed in (0, 1)]
    runs = [finish_update(store, one, seed=seed) for seed, one in enumerate(bases)]
    page = updates_page(*runs)
    assert "and 1 more of its seeds" in written(page)
    assert len(table(page)) == 1


def test_no_two_ways_have_one_colour(store: Store, base: Run) -> None:
    """Runs share colours where there are many of them."""
    many = [
        finish_update(store, base, method, replay_share=share)
        for method in ("naive", "replay")
        for share in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    ways = method_results([found(one) for one in many])
    colours = way_colours(ways)
    assert len(ways) == 10
    assert len(set(colours)) == 10
    assert colours[:8] != [*COLD[:8]]
    assert set(colours) <= {*WARM, *COLD}


# ---- one of them


def test_old_classes_and_new_ones_are_counted_in_words(store: Store, base: Run) -> None:
    page = updates_page(finish_update(store, base, broken=6, mended=2, new_right=9))
    assert (
        "of 34 images of old classes, 24 are told right, 6 are taken for another old class and 4 "
        "for a new one. Of 8 images of new classes, 5 are told right, 3 are taken for an old class "
        "and 0 for another new one." in written(page)
    )
    page = choose(page, "compare.updates.which", "old")
    assert "of 30 images of old classes, 20 are told right" in written(page)
    assert "None of these images is of a new class." in written(page)


def test_what_broke_and_what_was_mended_is_shown(store: Store, base: Run) -> None:
    one = finish_update(store, base, broken=14, mended=2)
    page = updates_page(one)
    told = written(page)
    assert "**14** of the 24 old images that were told right before are told wrong now" in told
    assert "12 of these 14 at a time." in told
    assert "**2** of the 6 old images that were told wrong before are told right now" in told
    assert told.count(":material/close: now") == 12
    assert told.count(":material/check: now") == 2
    page = choose(page, f"compare.updates.{one.id}.broken.page", 2)
    assert written(page).count(":material/close: now") == 2


def test_nothing_broken_and_nothing_mended_is_said(store: Store, base: Run) -> None:
    told = written(updates_page(finish_update(store, base, broken=0, mended=0)))
    assert "None of the 24 images that the old model told right is told wrong now." in told
    assert "None of the 6 images that the old model told wrong is told right now." in told


def test_images_outside_the_roots_are_not_shown(
    store: Store, base: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path))
    page = updates_page(finish_update(store, base))
    assert "6 of these images cannot be read here" in written(page)
    assert not page.get("imgs")


def test_another_update_can_be_looked_at(store: Store, base: Run) -> None:
    better, worse = finish_update(store, base, "joint", broken=0), finish_update(store, base)
    page = updates_page(worse, better)
    key = f"compare.updates.chosen.{worse.id}.{better.id}"
    assert "so none could break" not in written(page)
    assert f"**{label_of(better)}**: of 34 images" in written(page)
    page = choose(page, key, worse.id)
    assert f"**{label_of(worse)}**: of 34 images" in written(page)
    assert "**6** of the 24 old images" in written(page)


def test_blends_have_a_slider_with_old_and_new_images(store: Store, base: Run) -> None:
    one = finish_update(store, base, "wise_ft")
    old = list(KEPT.items())
    new = [(alpha, 1.0 - kept) for alpha, kept in KEPT.items()]
    save_curve(run_folder(one.id), [(a, 0.6) for a in KEPT], 0.5, {"old": old, "new": new})
    page = updates_page(one)
    key = f"compare.updates.alpha.{one.id}"
    [slider] = [control for control in controls_of(page) if control.key == key]
    assert slider.value == 0.5
    told = "Of them, old images **62.5 %** (the model before the update: 80.0 %), new images"
    assert told in written(page)
    figure = charts(page)[f"updates.between.{one.id}"]
    assert [line["name"] for line in figure["data"]] == [
        *("old images", "new images", "all images", "chosen"),
    ]
    assert figure["data"][0]["y"] == list(KEPT.values())
    assert "rows of new classes that have learnt nothing yet" in written(page)
    slider.set_value(0.0)
    assert "Of them, old images **75.0 %**" in written(run(page))


# ---- Live


def test_a_card_says_whether_its_run_is_an_update(store: Store, base: Run) -> None:
    assert card(add_update(store, base))["updates"] is True
    assert card(base)["updates"] is False
