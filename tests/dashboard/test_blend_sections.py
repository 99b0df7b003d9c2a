"""Averages and blends on the Compare page: offered where they make sense, told honestly."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from streamlit.testing.v1 import AppTest

from dashboard import blend_sections
from dashboard.helper import run_thaw
from dashboard.runs import colour_of, label_of
from engine.home import CHECKPOINT_FILE, WEIGHTS_FILE, run_folder
from engine.insight.blends import (
    InterpolationReport,
    SoupMember,
    SoupReport,
    blend_file,
    soup_file,
    soup_id,
)
from engine.runs.store import Run, Store
from engine.training.curves import save_curve
from tests.dashboard.made import NUM_VAL, add_pair, add_run, finish, start
from tests.dashboard.pages import choose, controls_of, open_page, run, text_of

pytestmark = pytest.mark.usefixtures("small_sample")

CURVE = [(0.0, 0.5), (0.5, 0.7), (0.7, 0.8), (1.0, 0.6)]


class Helper:
    """Stands in for the process that only PyTorch can do, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.answer: dict[str, Any] = {}
        self.does: Any = lambda: None

    def __call__(self, *arguments: str) -> dict[str, Any]:
        self.asked.append(arguments)
        self.does()
        return self.answer


@pytest.fixture(autouse=True)
def helper(monkeypatch: pytest.MonkeyPatch) -> Helper:
    made = Helper()
    monkeypatch.setattr(blend_sections, "run_thaw", made)
    return made


def keep_weights(one: Run) -> Run:
    """Puts the files into a run's folder that only real training leaves."""
    folder = run_folder(one.id)
    (folder / CHECKPOINT_FILE).write_bytes(b"weights")
    (folder / WEIGHTS_FILE).write_text(json.dumps({"kind": "pretrained", "sentence": "as it was"}))
    return one


@pytest.fixture
def pair(store: Store) -> tuple[Run, Run]:
    frozen, full = add_pair(store)
    return (
        keep_weights(finish(store, frozen, (0.5, 0.7))),
        keep_weights(finish(store, full, (0.4, 0.8))),
    )


def make_soup(runs: tuple[Run, ...], accuracy: float) -> SoupReport:
    """Leaves an average behind as the command does; members as good as their runs."""
    file = soup_file(one.id for one in runs)
    file.write_bytes(b"weights")
    members = tuple(
        SoupMember(one.id, one.name, one.summary["best_val_accuracy"], 0.5)
        for one in sorted(runs, key=lambda one: one.id)
    )
    report = SoupReport(
        id=soup_id(one.id for one in runs),
        members=members,
        val_accuracy=accuracy,
        val_f1=0.5,
        val_images=NUM_VAL,
        seconds=2.0,
        created_at=time.time(),
        checkpoint=str(file),
    )
    report.save()
    return report


def soup_table(page: AppTest) -> DataFrame:
    [found] = [one.value for one in page.dataframe if "pictures right" in one.value]
    table: DataFrame = found.set_index("model")
    return table


def written_on(page: AppTest) -> str:
    """Returns what is written, with every space an ordinary one."""
    return text_of(page).replace("\N{NO-BREAK SPACE}", " ")


def button(page: AppTest, key: str) -> Any:
    [found] = [one for one in page.button if one.key == key]
    return found


def keys(page: AppTest) -> set[str | None]:
    return {one.key for one in page.button}


# ---- average these


def test_two_finished_runs_can_be_averaged(pair: tuple[Run, Run], helper: Helper) -> None:
    page = open_page("compare", view="Weights")
    helper.does = lambda: make_soup(pair, 0.85)
    button(page, "compare.soup").click()
    run(page)
    assert helper.asked == [("soup", pair[0].id, pair[1].id)]
    table = soup_table(page)
    assert list(table.index) == [label_of(pair[0]), label_of(pair[1]), "their average"]
    assert table.loc[label_of(pair[1]), "pictures right"] == "48 of 60"
    assert table.loc["their average", "pictures right"] == "51 of 60"
    assert table.loc["their average", "val accuracy"] == "85.0 %"
    assert "compare.soup" not in keys(page)


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        (0.85, "is better than **{}**, the best of the runs, by 3 of 60 validation pictures. With"),
        (0.75, "is worse than **{}**, the best of the runs, by 3 of 60 validation pictures. With"),
        (0.2, "is worse than **{}**, the best of the runs, by 36 of 60 validation pictures."),
        (0.8, "gets as many of the 60 validation pictures right as **{}**, the best of the runs."),
    ],
)
def test_a_sentence_says_how_it_does(pair: tuple[Run, Run], accuracy: float, said: str) -> None:
    make_soup(pair, accuracy)
    written = text_of(open_page("compare", view="Weights"))
    assert said.format(label_of(pair[1])) in written
    assert ("that may be chance" in written.partition("The average ")[2]) == ("With" in said)


def test_an_earlier_average_is_shown_at_once(pair: tuple[Run, Run], helper: Helper) -> None:
    report = make_soup(pair, 0.85)
    page = open_page("compare", [pair[1].id, pair[0].id], view="Weights")
    assert report.checkpoint in [one.value for one in page.code]
    assert "*My file*" in text_of(page)
    assert helper.asked == []


def test_members_have_their_colours(pair: tuple[Run, Run]) -> None:
    make_soup(pair, 0.85)
    page = open_page("compare", view="Weights")
    [styled] = [one for one in page.dataframe if "pictures right" in one.value]
    for one in pair:
        assert colour_of(one) in styled.proto.arrow_data.styler.styles


def test_another_choice_of_runs_has_an_average_of_its_own(
    store: Store, pair: tuple[Run, Run]
) -> None:
    third = keep_weights(finish(store, add_run(store), (0.6,)))
    make_soup(pair, 0.85)
    page = open_page("compare", [pair[0].id, pair[1].id, third.id], view="Weights")
    assert button(page, "compare.soup").label == "Average these 3"


def test_a_refusal_of_the_helper_is_shown(pair: tuple[Run, Run], helper: Helper) -> None:
    helper.answer = {"error": "The picture a*b.jpg can no longer be read; put it back."}
    page = open_page("compare", view="Weights")
    button(page, "compare.soup").click()
    run(page)
    assert [one.value for one in page.error] == [
        r"The picture a\*b.jpg can no longer be read; put it back."
    ]
    assert "compare.soup" in keys(page)


def test_runs_that_cannot_be_averaged_say_why(store: Store, pair: tuple[Run, Run]) -> None:
    other = keep_weights(finish(store, add_run(store, seed=1), (0.6,)))
    page = open_page("compare", [pair[0].id, other.id], view="Weights")
    assert any("different seeds (0, 1)" in one.value.replace("\\", "") for one in page.info)
    assert "compare.soup" not in keys(page)


def test_only_finished_runs_are_averaged(
    store: Store, pair: tuple[Run, Run], helper: Helper
) -> None:
    going = start(store, add_run(store))
    page = open_page("compare", [pair[0].id, going.id, pair[1].id], view="Weights")
    button(page, "compare.soup").click()
    run(page)
    assert helper.asked == [("soup", pair[0].id, pair[1].id)]


def test_one_finished_run_has_nothing_to_be_averaged_with(
    store: Store, pair: tuple[Run, Run]
) -> None:
    going = start(store, add_run(store))
    page = open_page("compare", [pair[0].id, going.id], view="Weights")
    assert "Average these" not in text_of(page)


# ---- between before and after


@pytest.fixture
def blended(pair: tuple[Run, Run]) -> Run:
    save_curve(run_folder(pair[1].id), CURVE, 0.5)
    return pair[1]


def slider(page: AppTest, one: Run) -> Any:
    [found] = [control for control in controls_of(page) if control.key == f"compare.alpha.{one.id}"]
    return found


def figure(page: AppTest, one: Run) -> Any:
    end = f"-compare.between.{one.id}"
    [found] = [chart for chart in page.get("plotly_chart") if chart.proto.id.endswith(end)]
    return json.loads(found.proto.spec)


def test_runs_without_a_curve_have_no_slider(pair: tuple[Run, Run]) -> None:
    assert "Between before and after" not in written_on(open_page("compare", view="Weights"))


def test_the_slider_starts_at_what_the_run_kept(blended: Run) -> None:
    page = open_page("compare", view="Weights")
    assert slider(page, blended).value == 0.5
    assert slider(page, blended).help
    [measured, chosen] = figure(page, blended)["data"]
    assert measured["x"] == [0.0, 0.5, 0.7, 1.0]
    assert chosen["x"] == [0.5]
    assert measured["line"]["color"] == colour_of(blended)


def test_words_say_the_chosen_accuracy_and_the_ends(blended: Run) -> None:
    page = choose(open_page("compare", view="Weights"), f"compare.alpha.{blended.id}", 0.7)
    assert (
        "Validation pictures right at **α = 0.7**: **48 of 60, 80.0 %**. Before fine-tuning "
        "(α = 0): 30 of 60, 50.0 %. After it (α = 1): 36 of 60, 60.0 %." in written_on(page)
    )
    assert figure(page, blended)["data"][1]["x"] == [0.7]


def test_a_picked_alpha_is_called_too_good(blended: Run) -> None:
    written = written_on(open_page("compare", view="Weights"))
    assert "looks better than it is" in written
    assert "these 60 pictures" in written
    assert "1.7 points" in written


def test_a_blend_is_kept_as_a_checkpoint(blended: Run, helper: Helper) -> None:
    page = choose(open_page("compare", view="Weights"), f"compare.alpha.{blended.id}", 0.7)
    file = blend_file(blended.id, 0.7)
    report = InterpolationReport(0.8, 0.8, NUM_VAL, 1.0, 0.0, str(file), blended.id, 0.7)

    def keep() -> None:
        file.write_bytes(b"weights")
        report.save()

    helper.does = keep
    asked = button(page, f"compare.keep.{blended.id}")
    assert asked.label.replace("\N{NO-BREAK SPACE}", " ") == "Keep α = 0.7 as a checkpoint"
    asked.click()
    run(page)
    assert helper.asked == [("interpolate", blended.id, "--alpha", "0.7")]
    assert str(file) in [one.value for one in page.code]
    assert "α = 0.7 was kept as a checkpoint:" in written_on(page)
    assert f"compare.keep.{blended.id}" not in keys(page)


def test_what_the_run_kept_need_not_be_kept_again(store: Store, blended: Run) -> None:
    store.add_to_summary(blended.id, {"checkpoint": "/runs/best.safetensors"})
    page = open_page("compare", view="Weights")
    assert "α = 0.5 is what the run itself kept:" in written_on(page)
    assert "/runs/best.safetensors" in [one.value for one in page.code]
    assert f"compare.keep.{blended.id}" not in keys(page)


def test_a_blend_that_cannot_be_made_says_why(blended: Run, helper: Helper) -> None:
    helper.answer = {"error": "There is nothing to blend."}
    page = choose(open_page("compare", view="Weights"), f"compare.alpha.{blended.id}", 0.0)
    button(page, f"compare.keep.{blended.id}").click()
    run(page)
    assert [one.value for one in page.error] == ["There is nothing to blend."]


def test_each_run_has_its_own_slider(pair: tuple[Run, Run], blended: Run) -> None:
    save_curve(run_folder(pair[0].id), CURVE[:2], 0.0)
    page = choose(open_page("compare", view="Weights"), f"compare.alpha.{blended.id}", 1.0)
    assert slider(page, pair[0]).value == 0.0
    assert slider(page, blended).value == 1.0


# ---- the helper itself


def test_the_helper_hands_on_a_refusal(thaw_home: Path) -> None:
    answer = run_thaw("soup", "no-run", "nor-this")
    assert "There is no run 'no-run'" in answer["error"]


def test_a_helper_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.helper.sys.executable", "/bin/false")
    assert run_thaw("soup") == {"error": "thaw soup ended without an answer (exit code 1)."}
