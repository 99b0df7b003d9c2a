"""The Shift view of Compare: asked for, followed, shown, and what is said where it cannot be."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import engine.runs.background
from dashboard.runs import colour_of, label_of
from dashboard.shift_charts import Ends, Severities, accuracy_range, ends_figure, severity_figure
from engine.data.corruptions import CORRUPTIONS
from engine.home import run_folder
from engine.insight.intervals import Estimate
from engine.insight.shift_answers import Answers, answers_file
from engine.insight.shift_tests import ShiftTest, corruption_test, folder_test, other_images
from engine.insight.shift_work import shift_key, shift_state, shift_work
from engine.runs.background import WorkState
from engine.runs.store import Run, Store
from tests.conftest import CLIPART
from tests.dashboard.made import CLASSES, NUM_VAL, add_pair, add_run, finish
from tests.dashboard.pages import choose, controls_of, open_page, run, text_of

pytestmark = pytest.mark.usefixtures("small_sample")

JUDGE = "Judge these runs under shift"


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
    """A frozen and a full run with weights of their own, as far as the page looks at them."""
    runs = [finish(store, one, (0.5, 0.7)) for one in add_pair(store)]
    for one in runs:
        (run_folder(one.id) / "best.safetensors").write_bytes(one.id.encode())
    return runs[0], runs[1]


def answer(run: Run, test: ShiftTest, share: float, num: int = 0) -> None:
    """Lets a run get a share of the images right in each version, and take long for each."""
    items = test.items[: num or len(test.items)]
    labels_N = np.array([item.label for item in items])
    shares_V1 = np.linspace(share, share / 2, len(test.versions))[:, None]
    right_VN = np.arange(len(items)) / len(items) < shares_V1
    predicted_VN = np.where(right_VN, labels_N, (labels_N + 1) % len(CLASSES)).astype(np.int32)
    Answers(
        names=test.names[: len(items)],
        labels=test.labels[: len(items)],
        predicted_VN=predicted_VN,
        probability_VN=np.full(predicted_VN.shape, 0.9, np.float32),
        gone=(),
        seconds=2.0 * len(items),
    ).save(answers_file(run, test))


def shift_page(runs: tuple[Run, ...]) -> AppTest:
    return open_page("compare", [one.id for one in runs], view="Shift")


def buttons(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


def charts(page: AppTest) -> dict[str, Any]:
    shown = page.get("plotly_chart")
    return {one.proto.id.rpartition("-compare.")[2]: json.loads(one.proto.spec) for one in shown}


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


# ---- asked for and followed


def test_it_is_judged_when_asked(pair: tuple[Run, Run], asked: list[str]) -> None:
    page = shift_page(pair)
    assert asked == []
    assert "25 worse versions" in text_of(page)
    assert "measured on the first images" in text_of(page)
    assert not page.dataframe
    next(one for one in page.button if one.label == JUDGE).click()
    run(page)
    assert asked == ["engine.insight.shift_worker"]
    assert JUDGE not in buttons(page)
    assert "Stop" in buttons(page)
    order = json.loads(shift_work(shift_key(pair)).order_file.read_text())
    ids = [one.id for one in pair]
    assert order == {"runs": ids, "folder": "", "images": 0, "asks": True}


def test_progress_survives_a_reload_and_can_be_stopped(pair: tuple[Run, Run]) -> None:
    work = shift_work(shift_key(pair))
    work.keep(WorkState("working", "judging Full · photos", 12, 60))
    page = shift_page(pair)
    assert "Judging Full · photos: 12 of 60 images" in written(page)
    next(one for one in page.button if one.label == "Stop").click()
    run(page)
    assert work.stop_file.exists()


def test_a_failure_is_a_sentence_and_can_be_tried_again(pair: tuple[Run, Run]) -> None:
    reason = "None of the 60 images that *Full* is to be judged on can be read."
    shift_work(shift_key(pair)).keep(WorkState("failed", reason=reason))
    page = shift_page(pair)
    assert reason in written(page)
    assert JUDGE in buttons(page)


def test_a_run_without_weights_is_told_once(store: Store, pair: tuple[Run, Run]) -> None:
    file = run_folder(pair[0].id) / "best.safetensors"
    file.unlink()
    answer(pair[1], corruption_test(pair[1]), 0.6)
    page = shift_page(pair)
    assert [one.value.count("has no weights to judge") for one in page.warning] == [1]
    assert written(page).count(str(file)) == 1
    assert len(page.dataframe[0].value) == 1


def test_a_run_that_got_nowhere_says_so(store: Store, pair: tuple[Run, Run]) -> None:
    answer(pair[1], corruption_test(pair[1]), 0.6)
    bad = finish(store, add_run(store, name="Bad"), (), status="failed")
    page = shift_page((pair[1], bad))
    told = f"Bad ({bad.id}) ended before its first epoch, so there is no model to judge."
    assert written(page).count(told) == 1
    assert "has no weights" not in written(page)


def test_runs_that_are_not_judged_yet_are_offered_with_the_time_it_takes(
    pair: tuple[Run, Run], asked: list[str]
) -> None:
    for one in pair:
        answer(one, corruption_test(one), 0.6, num=2)
    page = shift_page(pair)
    assert f"2 runs are not judged on all {NUM_VAL} images yet." in text_of(page)
    assert "about 232 s" in text_of(page) or "about 3 min 52 s" in text_of(page)
    [slider] = [one for one in page.slider if one.label == "Images to judge"]
    slider.set_value(12)
    run(page)
    assert "about 40 s" in text_of(page)
    assert not page.dataframe
    next(one for one in page.button if one.label == "Judge them").click()
    run(page)
    order = json.loads(shift_work(shift_key(pair)).order_file.read_text())
    assert (order["images"], order["asks"]) == (12, False)


# ---- shown


def test_results_are_words_a_table_and_charts(pair: tuple[Run, Run]) -> None:
    for one, share in zip(pair, (0.9, 0.6), strict=True):
        answer(one, corruption_test(one), share)
    page = shift_page(pair)
    assert "The order stays, beyond chance: **Frozen** is better than **Full** on both." in written(
        page
    )
    assert JUDGE not in buttons(page)
    table = page.dataframe[0].value.set_index("run")
    assert list(table.index) == [label_of(one) for one in pair]
    assert table["as they are"].iloc[0].startswith("90.0 %")
    shown = charts(page)
    assert set(shown) == {*(f"shift.severity.{kind}" for kind in CORRUPTIONS), "shift.ends"}
    lines = shown["shift.severity.fog"]["data"]
    assert [line["line"]["color"] for line in lines] == [colour_of(one) for one in pair]
    ranges = {
        tuple(shown[f"shift.severity.{kind}"]["layout"]["yaxis"]["range"]) for kind in CORRUPTIONS
    }
    assert len(ranges) == 1
    assert "No example can be shown" in text_of(page)
    assert len(page.dataframe[1].value) == len(CORRUPTIONS)


def test_an_example_is_shown_under_each_corruption_if_it_may_be_read(
    pair: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = run_folder(pair[0].id) / "manifest.json"
    values = json.loads(file.read_text())
    for name, item in zip(CLASSES, values["val"], strict=False):
        item["path"] = str(next((CLIPART / "val" / name).iterdir()))
        item["label"] = CLASSES.index(name)
    values["val"] = values["val"][: len(CLASSES)]
    file.write_text(json.dumps(values))
    (run_folder(pair[0].id) / "predictions.npz").unlink()
    answer(pair[0], corruption_test(pair[0]), 0.7)
    page = shift_page(pair[:1])
    assert len(page.get("image")) == len(CORRUPTIONS)
    assert "No example can be shown" not in text_of(page)
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path))
    page = shift_page(pair[:1])
    assert not page.get("image")
    assert "No example can be shown" in text_of(page)


def test_answers_that_differ_from_the_record_are_told(pair: tuple[Run, Run]) -> None:
    answer(pair[0], corruption_test(pair[0]), 0.2)
    assert f"({pair[0].id}) answers otherwise to" in written(shift_page(pair[:1]))


def test_runs_on_other_images_are_not_held_against_each_other(
    store: Store, pair: tuple[Run, Run]
) -> None:
    file = run_folder(pair[0].id) / "manifest.json"
    file.write_text(file.read_text().replace("/photos/", "/others/"))
    for one in pair:
        answer(one, corruption_test(one), 0.7)
    page = shift_page(pair)
    assert "were not judged on the same images" in text_of(page)
    assert "order" not in text_of(page).replace("order of judging", "")
    assert len(page.dataframe[0].value) == 2


def test_seeds_are_taken_together(store: Store) -> None:
    runs = []
    for strategy, share in (("frozen", 0.9), ("full", 0.6)):
        for seed in range(2):
            one = finish(store, add_run(store, strategy, seed=seed), (0.5, 0.7))
            (run_folder(one.id) / "best.safetensors").write_bytes(one.id.encode())
            answer(one, corruption_test(one), share - 0.02 * seed)
            runs.append(one)
    page = shift_page(tuple(runs))
    names = list(page.dataframe[0].value["run"])
    assert names[4:] == ["Frozen, over 2 seeds", "Full, over 2 seeds"]


def test_every_control_explains_itself(pair: tuple[Run, Run]) -> None:
    for one in pair:
        answer(one, corruption_test(one), 0.6, num=12)
    page = shift_page(pair)
    assert "12 of 60 images are judged so far" in text_of(page)
    assert [one.label for one in controls_of(page) if not one.help and one.label != "View"] == []
    assert all(one.help for one in page.button)


# ---- another folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    for name in ("birds", "fruit", "bugs"):
        (folder / name).mkdir(parents=True)
        for file in sorted((CLIPART / "val" / name).iterdir())[:4]:
            shutil.copy(file, folder / name)
    return folder


def on_folder(page: AppTest, folder: Path | str) -> AppTest:
    choose(page, "compare.shift.kind", "other")
    choose(page, "compare.shift.source", "folder")
    return choose(page, "compare.shift.folder", str(folder))


def test_another_folder_is_judged_and_shown(
    pair: tuple[Run, Run], photos: Path, asked: list[str]
) -> None:
    page = on_folder(shift_page(pair), photos)
    next(one for one in page.button if one.label == JUDGE).click()
    run(page)
    assert asked == ["engine.insight.shift_worker"]
    order = json.loads(shift_work(shift_key(pair, str(photos))).order_file.read_text())
    assert order["folder"] == str(photos)
    shift_work(shift_key(pair, str(photos))).keep(WorkState("finished", result={}))
    for one, share in zip(pair, (0.3, 0.9), strict=True):
        answer(one, folder_test(one, other_images(str(photos))), share)
    run(page)
    assert "4 images of the class 'bugs' are left out" in written(page)
    assert "There are no images of the class 'vehicles' in the folder." in written(page)
    assert set(charts(page)) == {"shift.ends"}
    assert "Validation images" in text_of(page)
    assert len(page.get("image")) >= 2


def test_a_folder_outside_the_roots_is_refused(
    pair: tuple[Run, Run], photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "allowed").mkdir()
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path / "allowed"))
    page = on_folder(shift_page(pair), photos)
    assert "outside the folders that Thaw may read" in page.error[0].value.replace("\\", "")
    assert JUDGE not in buttons(page)


def test_a_folder_with_other_classes_is_told(pair: tuple[Run, Run], photos: Path) -> None:
    for name in ("birds", "fruit"):
        (photos / name).rename(photos / f"my {name}")
    page = on_folder(shift_page(pair), photos)
    assert "is a class of the run" in page.warning[0].value.replace("\\", "")
    assert shift_state(pair, str(photos)) is None


def test_a_folder_that_is_not_there_is_a_sentence(pair: tuple[Run, Run], tmp_path: Path) -> None:
    page = on_folder(shift_page(pair), tmp_path / "nowhere")
    assert "There is no folder" in page.error[0].value


# ---- figures


def test_charts_of_one_view_share_their_range() -> None:
    points = [(0, Estimate(0.8, 0.7, 0.9)), (1, Estimate(0.3, 0.2, 0.45))]
    line = Severities("<b>a</b>", "#112233", points)
    assert accuracy_range([line]) == pytest.approx((0.16, 0.94))
    figure = severity_figure([line], 0.1, 0.9)
    [drawn] = figure.data
    assert list(drawn.x) == [0, 1]
    assert list(drawn.y) == [0.8, 0.3]
    assert drawn.name == "&lt;b&gt;a&lt;/b&gt;"
    assert drawn.error_y.visible
    assert list(drawn.error_y.array) == pytest.approx([0.1, 0.15])
    assert figure.layout.yaxis.range == (0.1, 0.9)
    many = severity_figure([line] * 4, 0.1, 0.9)
    assert not many.data[0].error_y.visible


def test_both_ends_of_each_run_are_drawn_with_intervals() -> None:
    one = Ends("Full 1", "#e8590c", Estimate(0.9, 0.8, 1.0), Estimate(0.4, 0.3, 0.5))
    figure = ends_figure([one], "as they are", "shifted")
    line, clean, _, shifted, _ = figure.data
    assert list(line.x) == [0.9, 0.4]
    assert (list(clean.x), list(shifted.x)) == ([0.9], [0.4])
    assert clean.marker.symbol != shifted.marker.symbol
    assert list(shifted.error_x.array) == pytest.approx([0.1])
    assert figure.layout.xaxis.title.text == "share of images right"
