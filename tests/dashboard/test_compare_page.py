"""Compare: who is ahead, on how many pictures, and how that is drawn."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.runs import colour_of, label_of
from engine.home import run_folder
from engine.runs.store import Store
from tests.dashboard.compared import estimates, figures, finished_pair, results, settings
from tests.dashboard.made import NUM_VAL, add_pair, add_run, finish
from tests.dashboard.pages import open_page, run, text_of

pytestmark = pytest.mark.usefixtures("small_sample")


def test_without_runs_it_says_where_to_start(store: Store) -> None:
    page = open_page("compare")
    assert "Nothing to compare yet" in page.info[0].value
    assert len(page.get("page_link")) == 1
    assert not page.dataframe


def test_the_verdict_says_who_is_better_and_how_sure_that_is(store: Store) -> None:
    frozen, full = finished_pair(store, frozen=(0.5, 0.6), full=(0.4, 0.9))
    page = open_page("compare")
    written = text_of(page)
    assert (
        f"**{label_of(full)}** is better than **{label_of(frozen)}** on {NUM_VAL} images: by 30.0 "
        "points (between 18.3 to 41.7). The one alone gets 18 right, the other alone 0. Chance "
        "alone does that less than once in 10,000."
    ) in written
    assert "one seed each, so what is compared are these very models" in written
    shown = estimates(page)
    assert list(shown["accuracy"]) == ["60.0 % (47.4 to 71.4)", "90.0 % (79.9 to 95.3)"]
    assert list(shown["seeds"]) == [1, 1]


def test_a_small_lead_may_be_chance_and_more_images_would_tell(store: Store) -> None:
    finished_pair(store, frozen=(0.7,), full=(0.75,))
    written = text_of(open_page("compare"))
    assert "cannot be told apart on 60 images" in written
    assert "leads by 5.0 points" in written
    assert "more validation images would tell" in written


def test_a_draw_is_called_one(store: Store) -> None:
    finished_pair(store, frozen=(0.7,), full=(0.7,))
    written = text_of(open_page("compare"))
    assert "they get equally many right" in written
    assert "is better than" not in written


def groups_of(page: AppTest) -> Any:
    return next(one for one in page.segmented_control if one.label == "Images that")


def test_the_gallery_begins_with_what_only_one_run_gets_right(store: Store) -> None:
    frozen, full = finished_pair(store, frozen=(0.5, 0.6), full=(0.4, 0.9))
    page = open_page("compare", view="Images")
    shown = groups_of(page)
    assert shown.value == "second"
    assert list(shown.options) == [
        "both get right · 36",
        f"only Frozen {frozen.id[:4]} gets right · 0",
        f"only Full {full.id[:4]} gets right · 18",
        "neither gets right · 6",
        f"Frozen {frozen.id[:4]} gets wrong · 24",
        f"Full {full.id[:4]} gets wrong · 6",
    ]
    written = text_of(page)
    assert written.count(f":material/check: Full {full.id[:4]}") == 12
    assert f":material/close: Frozen {frozen.id[:4]}" in written
    assert "12 of these images cannot be read here" in written


def test_images_outside_the_roots_are_not_shown(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, full = finished_pair(store, frozen=(0.5, 0.6), full=(0.4, 0.9))
    for run_id in (frozen.id, full.id):
        file = run_folder(run_id) / "manifest.json"
        manifest = json.loads(file.read_text())
        for place, item in enumerate(manifest["val"]):
            picture = tmp_path / "photos" / f"{place}.png"
            picture.parent.mkdir(exist_ok=True)
            Image.new("RGB", (8, 8)).save(picture)
            item["path"] = str(picture)
        file.write_text(json.dumps(manifest))
    assert len(open_page("compare", view="Images").get("image")) == 12
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("THAW_ROOTS", str(elsewhere))
    page = open_page("compare", view="Images")
    assert not page.get("image")
    assert "12 of these images cannot be read here" in text_of(page)


def test_another_group_and_the_next_page_of_images(store: Store) -> None:
    finished_pair(store, frozen=(0.5, 0.6), full=(0.4, 0.9))
    page = open_page("compare", view="Images")
    groups_of(page).set_value("both")
    run(page)
    assert "Page of 3" in [one.label for one in page.number_input]
    first = text_of(page)
    assert first.count(":material/check: Full") == 12
    next(one for one in page.number_input if one.label == "Page of 3").set_value(3)
    run(page)
    assert text_of(page).count(":material/check: Full") == 12
    captions = [one.value for one in page.caption if ":material/check: Full" in one.value]
    assert len(captions) == 12


def test_seeds_of_one_way_are_one_row_and_pairs_are_listed(store: Store) -> None:
    runs = [
        finish(store, add_run(store, strategy, seed=seed), (accuracy + seed / 60,))
        for strategy, accuracy in (("frozen", 0.5), ("full", 0.8), ("partial", 0.6))
        for seed in range(2)
    ]
    page = open_page("compare", [one.id for one in runs])
    shown = estimates(page)
    assert list(shown["way of training"]) == ["Frozen", "Full", "Partial"]
    assert list(shown["seeds"]) == [2, 2, 2]
    assert "over 2 seeds each" in text_of(page)
    pairs = page.dataframe[2].value
    assert len(pairs) == 3
    assert set(pairs["told apart"]) == {"yes"}


def test_of_many_runs_two_are_chosen_whose_images_are_shown(store: Store) -> None:
    runs = [
        finish(store, add_run(store, strategy), (accuracy,))
        for strategy, accuracy in (("frozen", 0.5), ("full", 0.8), ("partial", 0.6))
    ]
    page = open_page("compare", [one.id for one in runs], "Images")
    assert f"only Full {runs[1].id[:4]} gets right" in " ".join(groups_of(page).options)


def test_the_table_has_both_runs(store: Store) -> None:
    frozen, full = finished_pair(store)
    table = results(open_page("compare"))
    assert list(table.index) == [label_of(frozen), label_of(full)]
    assert list(table["status"]) == ["finished", "finished"]
    assert list(table["best val accuracy"]) == ["70.0 %", "80.0 %"]
    assert list(table["in epoch"]) == ["2", "2"]
    assert list(table["time to it"]) == ["3.0 s", "3.0 s"]
    assert list(table["parameters trained"]) == ["3,843", "3,374,851"]
    assert list(table["peak memory"]) == ["512 MiB", "512 MiB"]


def test_the_best_epoch_counts_not_the_last(store: Store) -> None:
    finish(store, add_run(store), (0.5, 0.9, 0.6))
    row = results(open_page("compare")).iloc[0]
    assert (row["best val accuracy"], row["in epoch"], row["time to it"]) == (
        "90.0 %",
        "2",
        "3.0 s",
    )
    assert row["time in all"] == "4.5 s"


def test_settings_that_differ_come_first_and_are_marked(store: Store) -> None:
    frozen, full = finished_pair(store)
    page = open_page("compare")
    table = settings(page)
    marked = table[table[""] == "≠"]
    assert list(marked.index) == ["Strategy", "Learning rate"] == list(table.index[:2])
    assert list(marked[label_of(frozen)]) == ["frozen", "0.003"]
    assert list(marked[label_of(full)]) == ["full", "0.0003"]
    assert f"2 of {len(table)} settings differ" in text_of(page)
    assert table.loc["Learning rate", "unit"] == "per step"
    assert len(table) == len(frozen.spec.flat())


def test_curves_are_drawn_against_epochs_and_seconds(store: Store) -> None:
    _, full = finished_pair(store)
    shown = figures(open_page("compare"))
    assert list(shown) == [
        "accuracy.epochs",
        "loss.epochs",
        "accuracy.seconds",
        "loss.seconds",
    ]
    by_name = {one["name"]: one for one in shown["accuracy.seconds"]["data"]}
    assert by_name[label_of(full)]["x"] == [1.5, 3.0]
    assert by_name[label_of(full)]["y"] == [0.4, 0.8]


@pytest.mark.parametrize("view", ["Overview", "Classes"])
def test_every_chart_has_units_on_its_axes(store: Store, view: str) -> None:
    finished_pair(store)
    shown = figures(open_page("compare", view=view))
    assert shown
    for key, figure in shown.items():
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"], (key, axis)


def test_a_run_has_its_colour_on_every_chart(store: Store) -> None:
    add_pair(store)
    frozen, full = finished_pair(store)
    shown = figures(open_page("compare", [full.id, frozen.id]))
    for key in ("accuracy.epochs", "loss.epochs", "accuracy.seconds", "loss.seconds"):
        colours = {one["name"]: one["line"]["color"] for one in shown[key]["data"]}
        assert colours[label_of(frozen)] == colour_of(frozen)
        assert colours[label_of(full)] == colour_of(full)
        assert colours[f"{label_of(full)}, training"] == colour_of(full)
    shown = figures(open_page("compare", [full.id, frozen.id], "Classes"))
    for one in (frozen, full):
        heatmap = shown[f"confusion.{one.id}"]["data"][0]
        assert heatmap["colorscale"][-1][1] == colour_of(one)


def test_confusion_matrices_stand_side_by_side(store: Store) -> None:
    frozen, full = finished_pair(store)
    page = open_page("compare", view="Classes")
    assert f"**{label_of(frozen)}**, epoch 2" in text_of(page)
    for one in (frozen, full):
        ticks = figures(page)[f"confusion.{one.id}"]["layout"]["xaxis"]["ticktext"]
        assert ticks == ["birds", "fruit", "vehicles"]


def test_classes_named_by_numbers_are_shown(store: Store) -> None:
    one = finish(store, add_run(store), classes=[str(digit) for digit in range(10)])
    shown = figures(open_page("compare", view="Classes"))[f"confusion.{one.id}"]
    assert shown["layout"]["yaxis"]["ticktext"] == [str(digit) for digit in range(10)]
