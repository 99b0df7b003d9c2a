"""The learning-rate finder on the Train page: what it shows, starts, and puts into controls."""

import os
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import engine.runs.background
from dashboard.lr_finder_chart import range_figure
from dashboard.lr_finder_section import moves_backbone, nearest_rate
from dashboard.widgets import LEARNING_RATES
from engine.runs.background import WorkState
from engine.runs.process import process_started
from engine.runs.rate_finder import (
    MODULE,
    finder_key,
    finder_state,
    finder_work,
    keep_tests,
)
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.training.range_test import Group, RangeTest, analyse, written
from tests.dashboard.made import add_run, spec_of, start
from tests.dashboard.pages import choose, open_page, run, start_button, text_of

FULL = spec_of("full", {"optimiser": {"lr": 5e-2}})
FROZEN = spec_of("frozen")
NO_CURVE = RangeTest("backbone", (), (), (), None, "No stage of the backbone learns under Frozen.")


def curve(group: Group, fall_at: float) -> RangeTest:
    """A range test whose loss falls around a rate and shoots up at 0.3."""
    rates = np.geomspace(1e-7, 1, 100)
    fall = 1 / (1 + np.exp(-4 * np.log10(rates / fall_at)))
    losses = 2.0 - 1.5 * fall + np.minimum((rates / 0.3) ** 4, 20.0)
    return analyse(group, rates.tolist(), losses.tolist(), f"The {group} learnt.")


HEAD, BACKBONE = curve("head", 1e-2), curve("backbone", 1e-5)


def _section() -> None:
    import streamlit as st

    from dashboard.lr_finder_section import lr_finder_section
    from engine.spec import RunSpec

    lr_finder_section("train", [RunSpec.parse(text) for text in st.session_state["specs"]])


def open_section(*specs: RunSpec) -> AppTest:
    """Returns the section alone, drawn once, for runs that are about to be started."""
    page = AppTest.from_function(_section, default_timeout=30)
    page.session_state["specs"] = [spec.model_dump_json() for spec in specs]
    return run(page)


def button(page: AppTest, name: str) -> Any:
    """Returns the button whose key ends so, None where there is none."""
    found = [one for one in page.button if str(one.key).endswith(f".lr_finder.{name}")]
    return found[0] if found else None


def state_of(page: AppTest, name: str) -> Any:
    """Returns what a control of the page is set to."""
    return page.session_state[f"train.optimiser.{name}"]


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been started as a process of its own."""
    noted: list[list[str]] = []
    monkeypatch.setattr(
        engine.runs.background, "start_detached", lambda arguments, log: noted.append(arguments)
    )
    return noted


def at_work(spec: RunSpec, **values: Any) -> None:
    """Makes this process the one that claims to find rates."""
    born = process_started(os.getpid())
    finder_work(finder_key(spec)).keep(WorkState(pid=os.getpid(), pid_started=born, **values))


# ---- before


def test_a_click_starts_a_finder(commands: list[list[str]]) -> None:
    page = open_section(FULL)
    assert button(page, "start").label == "Find rates for Full"
    assert commands == []
    button(page, "start").click()
    run(page)
    assert commands == [[MODULE, finder_key(FULL)]]
    assert [bar.proto.text for bar in page.get("progress")] == ["Starting …"]
    assert button(page, "start") is None


def test_with_several_runs_one_is_chosen(commands: list[list[str]]) -> None:
    page = open_section(FROZEN, FULL)
    [choice] = page.selectbox
    assert choice.options == ["Frozen", "Full"]
    choice.set_value("full")
    run(page)
    button(page, "start").click()
    run(page)
    assert commands == [[MODULE, finder_key(FULL)]]


def test_one_run_leaves_no_choice() -> None:
    assert len(open_section(FULL).selectbox) == 0


@pytest.mark.parametrize("works", [False, True])
def test_a_run_that_goes_on_is_warned_of(store: Store, works: bool) -> None:
    if works:
        at_work(FULL)
    assert "share the machine" not in text_of(open_section(FULL))
    start(store, add_run(store))
    assert "share the machine" in text_of(open_section(FULL))


# ---- meanwhile


def test_progress_is_shown_and_can_be_stopped() -> None:
    at_work(FULL, task="trying rates for the head", done=40, total=100)
    page = open_section(FULL)
    [bar] = page.get("progress")
    assert bar.proto.text == "Trying rates for the head: 40 of 100"
    assert bar.proto.value == 40
    assert not finder_work(finder_key(FULL)).stop_file.exists()
    button(page, "stop").click()
    run(page)
    assert finder_work(finder_key(FULL)).stop_file.exists()


def test_curves_are_shown_once_it_has_ended() -> None:
    at_work(FULL, task="trying rates for the head", done=40, total=100)
    page = open_section(FULL)
    assert not page.get("plotly_chart")
    keep_tests(FULL, (HEAD, BACKBONE))
    run(page)
    assert page.get("plotly_chart")
    assert not page.get("progress")


def test_a_failure_is_its_sentence_and_can_be_tried_again(commands: list[list[str]]) -> None:
    finder_work(finder_key(FULL)).keep(WorkState("failed", reason="The folder /photos is *gone*."))
    page = open_section(FULL)
    assert page.error[0].value.replace("\\", "") == "The folder /photos is *gone*."
    assert not page.get("plotly_chart")
    button(page, "start").click()
    run(page)
    assert len(commands) == 1


def test_a_stopped_finder_says_so() -> None:
    finder_work(finder_key(FULL)).keep(WorkState("stopped"))
    page = open_section(FULL)
    assert "Stopped before it had found anything." in text_of(page)
    assert button(page, "start").label == "Find rates for Full"


# ---- afterwards


def test_reasons_and_how_it_was_done_are_shown() -> None:
    keep_tests(FULL, (HEAD, BACKBONE))
    page = open_section(FULL)
    text = text_of(page).replace("\\", "")
    for test in (HEAD, BACKBONE):
        assert f"**{test.group.capitalize()}.** {test.reason}" in text
        assert test.method in text
    assert f"Measured {time.strftime('%d %B %Y')}" in text
    assert button(page, "start").label == "Measure again"


def test_a_frozen_backbone_says_why_it_has_no_curve() -> None:
    keep_tests(FROZEN, (HEAD, NO_CURVE))
    page = open_section(FROZEN)
    assert NO_CURVE.reason in text_of(page)
    assert button(page, "use.head") is not None
    assert button(page, "use.backbone") is None


def test_a_frozen_head_takes_the_rate_and_nothing_else_moves() -> None:
    keep_tests(FROZEN, (HEAD, NO_CURVE))
    page = open_section(FROZEN)
    button(page, "use.head").click()
    run(page)
    assert state_of(page, "lr.frozen") == nearest_rate(HEAD.suggestion or 0.0)
    assert "train.optimiser.own_backbone_lr" not in page.session_state


def test_a_head_takes_the_rate_and_the_backbone_keeps_its_own() -> None:
    keep_tests(FULL, (HEAD, BACKBONE))
    page = open_section(FULL)
    assert "The backbone keeps 5e-2." in button(page, "use.head").help
    button(page, "use.head").click()
    run(page)
    assert state_of(page, "lr.full") == nearest_rate(HEAD.suggestion or 0.0)
    assert state_of(page, "own_backbone_lr") is True
    assert state_of(page, "backbone_lr") == FULL.optimiser.lr


def test_a_backbone_takes_its_rate_and_the_head_stays() -> None:
    keep_tests(FULL, (HEAD, BACKBONE))
    page = open_section(FULL)
    button(page, "use.backbone").click()
    run(page)
    assert state_of(page, "own_backbone_lr") is True
    assert state_of(page, "backbone_lr") == nearest_rate(BACKBONE.suggestion or 0.0)
    assert "train.optimiser.lr.full" not in page.session_state


def test_a_head_beside_a_backbone_with_a_rate_of_its_own_moves_alone() -> None:
    own = spec_of("full", {"optimiser": {"lr": 5e-2, "backbone_lr": 1e-5}})
    keep_tests(own, (HEAD, BACKBONE))
    page = open_section(own)
    button(page, "use.head").click()
    run(page)
    assert "train.optimiser.backbone_lr" not in page.session_state


def test_a_rate_that_is_in_use_cannot_be_adopted_again() -> None:
    assert HEAD.suggestion is not None
    used = spec_of("frozen", {"optimiser": {"lr": nearest_rate(HEAD.suggestion)}})
    keep_tests(used, (HEAD, NO_CURVE))
    page = open_section(used)
    assert button(page, "use.head").disabled
    assert button(page, "use.head").label.endswith("is in use for the head")


def test_without_a_suggestion_there_is_nothing_to_adopt() -> None:
    keep_tests(FROZEN, (replace(HEAD, suggestion=None, reason="The loss never falls."), NO_CURVE))
    page = open_section(FROZEN)
    assert page.get("plotly_chart")
    assert "The loss never falls." in text_of(page)
    assert button(page, "use.head") is None


def test_curves_stay_when_a_rate_was_adopted() -> None:
    keep_tests(FULL, (HEAD, BACKBONE))
    other = spec_of("full", {"optimiser": {"lr": 1e-2, "backbone_lr": 1e-5}}, epochs=50)
    assert finder_state(other) is not None
    assert open_section(other).get("plotly_chart")


def test_strategies_share_the_backbones_rate_and_are_told_so() -> None:
    keep_tests(FULL, (HEAD, BACKBONE))
    assert "share one rate" not in text_of(open_section(FULL))
    assert "share one rate" in text_of(open_section(FULL, spec_of("partial")))


@pytest.mark.parametrize(
    ("strategy", "moves"), [("frozen", False), ("full", True), ("gradual", True)]
)
def test_a_backbone_that_learns_at_any_time_moves(strategy: str, moves: bool) -> None:
    assert moves_backbone(spec_of(strategy)) is moves


@pytest.mark.parametrize(
    ("rate", "nearest"), [(2.1e-3, 2e-3), (3.7e-4, 3e-4), (9.0, 1.0), (1e-9, 1e-7)]
)
def test_the_nearest_rate_is_one_of_the_sliders(rate: float, nearest: float) -> None:
    assert nearest_rate(rate) == nearest
    assert nearest in LEARNING_RATES


# ---- the figure


def test_the_figure_has_batches_line_and_suggestion_of_each_test() -> None:
    figure = range_figure([HEAD, BACKBONE])
    by_name = {trace.name: trace for trace in figure.data}
    assert figure.layout.xaxis.type == "log"
    for test in (HEAD, BACKBONE):
        assert list(by_name[f"{test.group}, each batch"].y) == list(test.losses)
        assert by_name[f"{test.group}, each batch"].opacity <= 0.5
        assert list(by_name[test.group].y) == list(test.smoothed)
        mark = by_name[f"{test.group}, suggested"]
        assert list(mark.x) == [test.suggestion]
        assert mark.y[0] in test.smoothed
    assert {trace.line.color for trace in figure.data if trace.mode == "lines"} == {
        by_name["head"].line.color,
        by_name["backbone"].line.color,
    }
    assert len(figure.layout.shapes) == 2
    texts = [(note.text, 10**note.x) for note in figure.layout.annotations]
    assert texts == [
        (f"{written(test.suggestion or 0.0)} {test.group}", pytest.approx(test.suggestion))
        for test in (HEAD, BACKBONE)
    ]


def test_a_blow_up_does_not_flatten_the_figure() -> None:
    low, high = range_figure([HEAD]).layout.yaxis.range
    assert low == 0.0
    assert max(HEAD.losses) > 10
    assert 2.0 < high < 4.0


def test_the_axis_ends_where_the_rates_do() -> None:
    low, high = range_figure([HEAD]).layout.xaxis.range
    assert -8 < low < -7 < 0 < high < 1


def test_a_test_without_a_curve_is_left_out() -> None:
    assert {trace.legendgroup for trace in range_figure([HEAD, NO_CURVE]).data} == {"head"}
    assert len(range_figure([NO_CURVE]).data) == 0


def test_without_a_suggestion_nothing_is_marked() -> None:
    figure = range_figure([replace(HEAD, suggestion=None)])
    assert [trace.mode for trace in figure.data] == ["markers", "lines"]
    assert not figure.layout.shapes


# ---- on the Train page itself


def test_the_train_page_offers_the_finder_and_a_rate_it_found_reaches_the_run(
    store: Store, commands: list[list[str]]
) -> None:
    page = open_page("train")
    assert button(page, "start").label == "Find rates for Frozen"
    button(page, "start").click()
    run(page)
    [[_, key]] = commands
    spec = RunSpec.parse(finder_work(key).order_file.read_text(encoding="utf-8"))
    assert spec.strategy.name == "frozen"
    keep_tests(spec, (HEAD, NO_CURVE))
    page = run(open_page("train"))
    assert HEAD.suggestion is not None
    rate = nearest_rate(HEAD.suggestion)
    assert button(page, "use.head").label.startswith("Use ")
    button(page, "use.head").click()
    run(page)
    assert state_of(page, "lr.frozen") == rate
    start_button(page).click()
    run(page)
    rates = {one.spec.strategy.name: one.spec.optimiser.lr for one in store.all_runs()}
    assert rates["frozen"] == rate


def test_without_images_there_is_nothing_to_find(store: Store) -> None:
    page = choose(open_page("train"), "train.source", "folder")
    assert button(page, "start") is None
