"""Compare class by class, and one picture of it asked why."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import engine.runs.background
from engine.home import run_folder
from engine.insight.explaining import explain_work
from engine.insight.saliency_maps import Question, SaliencyMap, keep_maps, work_key
from engine.runs.background import WorkState
from engine.runs.store import Run, Store
from tests.dashboard.compared import figures
from tests.dashboard.made import add_pair, add_run, finish, start
from tests.dashboard.pages import choose, open_page, run, text_of

# By both runs, wherever they are wrong.
TAKEN_FOR = {"birds": "fruit", "fruit": "vehicles", "vehicles": "birds"}

pytestmark = pytest.mark.usefixtures("small_sample")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been started as a process of its own."""
    names: list[str] = []
    monkeypatch.setattr(
        engine.runs.background, "start_detached", lambda arguments, *_: names.append(arguments[0])
    )
    return names


@pytest.fixture
def pair(store: Store) -> tuple[Run, Run]:
    """A run that gets 36 of 60 images right, and one that gets 54."""
    frozen, full = add_pair(store)
    return finish(store, frozen, (0.6,)), finish(store, full, (0.9,))


def with_pictures(runs: Sequence[Run], folder: Path) -> None:
    """Gives the runs' images files, and the runs a checkpoint."""
    folder.mkdir()
    for one in runs:
        file = run_folder(one.id) / "manifest.json"
        manifest = json.loads(file.read_text())
        for place, item in enumerate(manifest["val"]):
            picture = folder / f"{place:03}.png"
            Image.new("RGB", (8, 8), (place, 0, 0)).save(picture)
            item["path"] = str(picture)
        file.write_text(json.dumps(manifest))
        (run_folder(one.id) / "best.safetensors").write_bytes(b"weights")


def captions(page: AppTest) -> list[str]:
    """What is said below each image of the gallery."""
    return [one.value for one in page.caption if one.value.startswith("**")]


def table_of(page: AppTest, column: str) -> Any:
    return next(one.value for one in page.dataframe if column in one.value.columns)


def test_two_matrices_their_difference_and_the_most_confused(pair: tuple[Run, Run]) -> None:
    page = open_page("compare", view="Classes")
    shown = figures(page)
    assert {f"confusion.{one.id}" for one in pair} | {"confusion.difference"} < set(shown)
    assert "On the 60 images that both were judged on." in text_of(page)
    table = table_of(page, "taken for")
    assert set(zip(table["true class"], table["taken for"], strict=True)) == {
        ("birds", "fruit"),
        ("fruit", "vehicles"),
        ("vehicles", "birds"),
    }
    [frozen, full] = [column for column in table.columns if " " in column][-2:]
    assert list(table[frozen]) == ["8 (40.0 %)"] * 3
    assert list(table[full]) == ["2 (10.0 %)"] * 3


def test_the_two_classes_that_are_chosen_bring_their_images(pair: tuple[Run, Run]) -> None:
    page = open_page("compare", view="Classes")
    assert "Click a cell above" in text_of(page)
    choose(page, "compare.behind.label", "birds")
    assert "20 of 60 images." in text_of(page)
    choose(page, "compare.behind.named", "fruit")
    assert "8 of 60 images." in text_of(page)
    assert len(captions(page)) == 8
    choose(page, "compare.behind.by", pair[1].id)
    assert "2 of 60 images." in text_of(page)
    assert all("**birds**" in one for one in captions(page))


def test_a_click_on_a_cell_is_such_a_choice(pair: tuple[Run, Run]) -> None:
    page = open_page("compare", view="Classes")
    page.session_state["compare.behind.label"] = "fruit"
    page.session_state["compare.behind.named"] = "vehicles"
    page.session_state["compare.behind.by"] = pair[0].id
    run(page)
    assert "8 of 60 images." in text_of(page)


def test_a_run_that_is_not_compared_any_more_gives_way(pair: tuple[Run, Run]) -> None:
    page = open_page("compare", view="Classes")
    choose(page, "compare.behind.label", "birds")
    choose(page, "compare.behind.by", pair[1].id)
    page.multiselect[0].set_value([pair[0].id])
    run(page)
    assert page.session_state["compare.behind.by"] == pair[0].id
    assert "20 of 60 images." in text_of(page)


def test_cells_scores_and_their_order_can_be_changed(pair: tuple[Run, Run]) -> None:
    page = open_page("compare", view="Classes")
    choose(page, "compare.confusion.scale", "share of class")
    assert "40" in figures(page)[f"confusion.{pair[0].id}"]["data"][2]["text"]
    choose(page, "compare.scores.measure", "precision")
    choose(page, "compare.scores.order.2", "most different first")
    assert figures(page)["scores"]["layout"]["xaxis"]["title"]["text"].startswith("precision")
    table = table_of(page, "recall")
    assert len(table) == 6
    assert table["recall"][0] == "60.0 % (38.7 to 78.1)"


def test_many_classes_are_shown_a_part_at_first(store: Store) -> None:
    names = [f"class {number:02}" for number in range(30)]
    one = finish(store, add_run(store), classes=names)
    page = open_page("compare", [one.id], view="Classes")
    assert len(figures(page)["scores"]["data"][0]["y"]) == 20
    choose(page, "compare.scores.all", True)
    assert len(figures(page)["scores"]["data"][0]["y"]) == 30
    assert "numbers stand in no cell" in text_of(page)


def test_two_classes_have_a_threshold(store: Store) -> None:
    runs = [
        finish(store, add_run(store, strategy), (share,), classes=("cat", "dog"))
        for strategy, share in (("frozen", 0.6), ("full", 0.9))
    ]
    page = open_page("compare", [one.id for one in runs], view="Classes")
    assert {"threshold.precision_recall", "threshold.roc"} < set(figures(page))
    table = table_of(page, "missed")
    assert list(table["found"][:2]) == [18, 27]
    assert "looks better on them than it will be" in text_of(page)
    choose(page, "compare.threshold.percent", 100)
    assert list(table_of(page, "missed")["found"][:2]) == [0, 0]


def test_three_classes_have_none(pair: tuple[Run, Run]) -> None:
    assert "threshold.roc" not in figures(open_page("compare", view="Classes"))


@pytest.mark.parametrize("view", ["Classes", "Images"])
def test_runs_that_judged_nothing_say_what_to_do(store: Store, view: str) -> None:
    one = start(store, add_run(store))
    assert "No epoch is completed yet" in text_of(open_page("compare", [one.id], view=view))
    store.set_status(one.id, "failed", "It went wrong.")
    assert "Choose others above" in text_of(open_page("compare", [one.id], view=view))


@pytest.mark.parametrize("view", ["Classes", "Images"])
def test_different_images_say_so(store: Store, view: str, tmp_path: Path) -> None:
    one, other = finish(store, add_run(store)), finish(store, add_run(store, "full"))
    with_pictures([one], tmp_path / "pictures")
    page = open_page("compare", [one.id, other.id], view=view)
    assert "not judged on the same images" in text_of(page)


# ---- the gallery


def test_one_run_alone_shows_its_mistakes(store: Store) -> None:
    one = finish(store, add_run(store), (0.6,))
    page = open_page("compare", [one.id], view="Images")
    assert len(captions(page)) == 12
    assert all(":material/close:" in caption for caption in captions(page))
    assert "Choose a second run above" in text_of(page)
    choose(page, f"compare.images.{one.id}.group", "right")
    assert all(":material/check:" in caption for caption in captions(page))


def test_a_class_can_be_chosen(pair: tuple[Run, Run]) -> None:
    page = open_page("compare", view="Images")
    key = f"compare.images.{pair[0].id}.{pair[1].id}.class"
    choose(page, key, "fruit")
    [group] = [one for one in page.segmented_control if one.label == "Images that"]
    assert group.options[0] == "both get right · 12"
    assert all("**fruit**" in caption for caption in captions(page))


# ---- why


def map_of(run_id: str, path: str, name: str) -> SaliencyMap:
    mean = (0.5, 0.5, 0.5)
    values = ((1.0, 0.0), (0.0, 0.2))
    return SaliencyMap(run_id, path, name, 0.75, name, values, "Grad-CAM", "2 × 2 cells", mean)


def ask_why(page: AppTest) -> AppTest:
    next(one for one in page.button if one.label == "Why?").click()
    return run(page)


def questions(pair: tuple[Run, Run], path: str, label: str, wrong: str) -> list[Question]:
    """What is asked of the first image that only the second run gets right."""
    return [Question(pair[0].id, path, (wrong,)), Question(pair[1].id, path, (label,))]


def test_why_begins_to_look_and_shows_how_far_it_is(
    pair: tuple[Run, Run], tmp_path: Path, asked: list[str]
) -> None:
    with_pictures(pair, tmp_path / "pictures")
    page = ask_why(open_page("compare", view="Images"))
    assert asked == ["engine.insight.explain_worker"]
    assert "Starting" in text_of(page)
    assert "Close" in [one.label for one in page.button]
    next(one for one in page.button if one.label == "Close").click()
    assert "Where each looks" not in text_of(run(page))


def test_what_is_known_is_shown_at_once(
    pair: tuple[Run, Run], tmp_path: Path, asked: list[str]
) -> None:
    with_pictures(pair, tmp_path / "pictures")
    path = str(tmp_path / "pictures" / "036.png")
    page = open_page("compare", view="Images")
    true = captions(page)[0].split("**")[1]
    wrong = TAKEN_FOR[true]
    both = questions(pair, path, true, wrong)
    for one in both:
        keep_maps(one.keys(), [map_of(one.run_id, path, one.classes[0])])
    num_before = len(page.get("image"))
    ask_why(page)
    assert asked == []
    written = text_of(page)
    assert f"**{wrong}** 75 %" in written
    assert f"**{true}** 75 %" in written
    assert "Grad-CAM, 2 × 2 cells" in written
    assert len(page.get("image")) == num_before + 3
    choose(page, "compare.saliency.aim", "the true class")
    assert asked == ["engine.insight.explain_worker"]


def test_a_failure_is_a_sentence_and_can_be_tried_again(
    pair: tuple[Run, Run], tmp_path: Path, asked: list[str]
) -> None:
    with_pictures(pair, tmp_path / "pictures")
    path = str(tmp_path / "pictures" / "036.png")
    page = open_page("compare", view="Images")
    true = captions(page)[0].split("**")[1]
    wrong = TAKEN_FOR[true]
    key = work_key(questions(pair, path, true, wrong))
    explain_work(key).keep(WorkState("failed", reason="The checkpoint is *damaged*."))
    ask_why(page)
    assert "The checkpoint is *damaged*." in text_of(page).replace("\\", "")
    assert asked == []
    next(one for one in page.button if one.label == "Look again").click()
    run(page)
    assert asked == ["engine.insight.explain_worker"]


def test_a_run_without_its_checkpoint_says_so(pair: tuple[Run, Run], tmp_path: Path) -> None:
    with_pictures(pair, tmp_path / "pictures")
    (run_folder(pair[0].id) / "best.safetensors").unlink()
    page = ask_why(open_page("compare", view="Images"))
    assert "has no checkpoint any more" in text_of(page)
