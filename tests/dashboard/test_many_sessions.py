"""Several people at once: what one chooses, starts or looks at is nobody else's."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.runs.store import Store
from tests.dashboard.made import add_run, finish
from tests.dashboard.pages import choose, open_page, run, runs_in_address, start_button
from tests.dashboard.test_live_page import on_charts

pytestmark = pytest.mark.usefixtures("small_sample")

PEOPLE: list[dict[str, Any]] = [
    {"train.strategy": ["frozen"], "train.training.epochs": 3, "train.seed": 11},
    {"train.strategy": ["full"], "train.training.epochs": 4, "train.seed": 12},
    {"train.strategy": ["partial"], "train.training.epochs": 5, "train.seed": 13},
    {"train.strategy": ["lora"], "train.training.epochs": 6, "train.seed": 14},
    {"train.strategy": ["lp_ft"], "train.training.epochs": 7, "train.seed": 15},
]


def state(page: AppTest, key: str) -> Any:
    return page.session_state[key]


def test_each_starts_what_they_chose_themselves(store: Store) -> None:
    """They fill in their forms in turns, one control at a time, and start in another order."""
    pages = [open_page("train") for _ in PEOPLE]
    for key in PEOPLE[0]:
        for page, wanted in zip(pages, PEOPLE, strict=True):
            choose(page, key, wanted[key])
    for page, wanted in zip(pages, PEOPLE, strict=True):
        run(page)
        assert {key: state(page, key) for key in wanted} == wanted
    for page, wanted in reversed(list(zip(pages, PEOPLE, strict=True))):
        known = {one.id for one in store.all_runs()}
        start_button(page).click()
        run(page)
        [started] = [one for one in store.all_runs() if one.id not in known]
        [strategy] = wanted["train.strategy"]
        assert started.spec.strategy.name == strategy
        assert started.spec.training.epochs == wanted["train.training.epochs"]
        assert started.spec.seed == wanted["train.seed"]


def test_a_new_session_begins_with_what_everyone_begins_with() -> None:
    first = open_page("train")
    usual = {key: state(first, key) for key in PEOPLE[0]}
    for key, value in PEOPLE[3].items():
        choose(first, key, value)
    assert {key: state(open_page("train"), key) for key in usual} == usual


def test_each_looks_at_their_own_runs(store: Store) -> None:
    runs = [finish(store, add_run(store, name=f"Run {number}")) for number in range(5)]
    asked = [[runs[0]], [runs[1]], [runs[0], runs[1]], [runs[4], runs[2]], [runs[3]]]
    pages = [open_page("live", [one.id for one in chosen]) for chosen in asked]
    pages[0].multiselect[0].set_value([runs[3].id])
    run(pages[0])
    for page in reversed(pages[1:]):
        run(page)
    seen = [[one.id for one in chosen] for chosen in [[runs[3]], *asked[1:]]]
    assert [on_charts(page)["runs"] for page in pages] == seen
    assert [runs_in_address(page) for page in pages] == seen
