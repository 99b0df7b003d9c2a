"""Compare: what was steered by hand, and doing it again."""

import pytest

from dashboard.runs import label_of
from engine.runs.store import Run, Store
from engine.spec import Act
from tests.dashboard.compared import figures, finished_pair
from tests.dashboard.made import add_run, start
from tests.dashboard.pages import open_page, run, runs_in_address, text_of
from tests.pretend import act_event

pytestmark = pytest.mark.usefixtures("small_sample")


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
