"""Compare: who is ahead, on how many pictures, in which colours, and what was set differently."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.runs import colour_of, label_of
from engine.home import run_folder
from engine.runs.store import Run, Store
from engine.spec import Act
from tests.dashboard.made import NUM_VAL, add_pair, add_run, finish, start
from tests.dashboard.pages import controls_of, open_page, run, runs_in_address, text_of
from tests.pretend import act_event

pytestmark = pytest.mark.usefixtures("small_sample")


def finished_pair(
    store: Store, frozen: tuple[float, ...] = (0.5, 0.7), full: tuple[float, ...] = (0.4, 0.8)
) -> tuple[Run, Run]:
    one, other = add_pair(store)
    return finish(store, one, frozen), finish(store, other, full)


def results(page: AppTest) -> DataFrame:
    """Returns the table of results, by run."""
    table: DataFrame = page.dataframe[0].value.set_index("run")
    return table


def settings(page: AppTest) -> DataFrame:
    """Returns the table of settings, by setting."""
    table: DataFrame = page.dataframe[-1].value.set_index("setting")
    return table


def estimates(page: AppTest) -> DataFrame:
    """Returns the table of numbers with their intervals."""
    table: DataFrame = page.dataframe[1].value
    return table


def figures(page: AppTest) -> dict[str, Any]:
    """Returns the charts by the end of their keys, such as `accuracy.epochs`."""
    shown = {
        one.proto.id.rpartition("-compare.")[2]: one.proto.spec for one in page.get("plotly_chart")
    }
    return {key: json.loads(spec) for key, spec in shown.items()}


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


# ---- what was steered


def steer(store: Store, one: Run) -> None:
    for epoch, step, act in (
        (2, 7, Act(kind="freeze", target="block3")),
        (3, 12, Act(kind="lr", target="head", factor=0.5)),
    ):
        store.append(one.id, [act_event(epoch, step, act)])


def test_acts_of_a_run_are_listed_and_drawn(store: Store) -> None:
    frozen, full = finished_pair(store)
    steer(store, full)
    page = open_page("compare")
    [line] = [line for line in text_of(page).splitlines() if "was steered" in line]
    assert line == (
        f"**{label_of(full)}** was steered: epoch 2\\: block3 frozen; "
        "epoch 3\\: learning rate of head × 0.5"
    )
    for figure in figures(page).values():
        names = [one.get("name", "") for one in figure["data"]]
        if f"{label_of(full)}, training" in names:
            assert f"{label_of(full)}, steered" in names
            assert f"{label_of(frozen)}, steered" not in names


def test_what_was_asked_too_late_is_told(store: Store) -> None:
    frozen, _ = finished_pair(store)
    store.add_to_summary(frozen.id, {"acts_too_late": ["block3 frozen"]})
    [line] = [line for line in text_of(open_page("compare")).splitlines() if "Asked of" in line]
    assert label_of(frozen) in line
    assert line.endswith("without effect: block3 frozen.")


def test_memory_that_ran_out_is_told(store: Store) -> None:
    frozen, _ = finished_pair(store)
    store.add_to_summary(frozen.id, {"memory_notes": ["Memory ran out with 8 pictures at once."]})
    [line] = [line for line in text_of(open_page("compare")).splitlines() if "ran out" in line]
    assert line == f"**{label_of(frozen)}**: Memory ran out with 8 pictures at once."


def test_a_steered_run_is_replayed_by_a_click(store: Store, started: list[str]) -> None:
    _, full = finished_pair(store)
    steer(store, full)
    page = open_page("compare")
    [button] = [one for one in page.button if one.label == "Replay"]
    assert button.help
    button.click()
    run(page)
    assert page.title[0].value == "Live"
    [again] = [one for one in store.all_runs() if one.name == f"Replay of {full.name}"]
    assert runs_in_address(page) == [again.id]
    assert again.status == "queued"
    assert [(act.step, act.kind) for act in again.spec.steering] == [(7, "freeze"), (12, "lr")]
    assert "supervisor" in started


def test_a_run_that_still_goes_on_cannot_be_replayed_yet(store: Store) -> None:
    going = start(store, add_run(store, "full"))
    steer(store, going)
    [button] = [one for one in open_page("compare", [going.id]).button if one.label == "Replay"]
    assert button.disabled


def test_unsteered_runs_have_nothing_to_replay(store: Store) -> None:
    finished_pair(store)
    page = open_page("compare")
    assert "Replay" not in [one.label for one in page.button]
    assert "was steered" not in text_of(page)
