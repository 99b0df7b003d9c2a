"""Live: which runs are on the charts, and a stop that reaches them."""

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.live
from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, add_run, finish, start
from tests.dashboard.pages import components_of, controls_of, open_page, run, runs_in_address

pytestmark = pytest.mark.usefixtures("small_sample")


def on_charts(page: AppTest) -> dict[str, Any]:
    """Returns what the live component is given."""
    [given] = components_of(page, "thaw_live")
    assert isinstance(given, dict)
    return given


def test_without_runs_it_says_where_to_start(store: Store) -> None:
    page = open_page("live")
    assert page.title[0].value == "Live"
    assert "No run yet" in page.info[0].value
    assert len(page.get("page_link")) == 1
    assert on_charts(page) == {"runs": [], "follow": True}


def test_runs_that_go_on_are_shown_and_followed(store: Store) -> None:
    finish(store, add_run(store))
    frozen, full = add_pair(store)
    start(store, frozen)
    page = open_page("live")
    assert on_charts(page) == {"runs": [frozen.id, full.id], "follow": True}
    assert page.multiselect[0].value == [frozen.id, full.id]


def test_when_nothing_goes_on_the_last_group_is_shown(store: Store) -> None:
    finish(store, add_run(store))
    pair = [finish(store, run) for run in add_pair(store)]
    assert on_charts(open_page("live"))["runs"] == [one.id for one in pair]


def test_the_address_names_runs(store: Store) -> None:
    first = finish(store, add_run(store))
    add_pair(store)
    page = open_page("live", [first.id])
    assert on_charts(page) == {"runs": [first.id], "follow": False}
    assert not page.warning


def test_an_unknown_run_in_the_address_is_told(store: Store) -> None:
    known = finish(store, add_run(store))
    page = open_page("live", ["ffffffff", known.id])
    [warning] = page.warning
    assert "'ffffffff'" in warning.value
    assert on_charts(page)["runs"] == [known.id]


def test_an_unknown_run_in_the_address_of_an_empty_store_is_told(store: Store) -> None:
    [warning] = open_page("live", ["ffffffff"]).warning
    assert "'ffffffff'" in warning.value


@pytest.mark.parametrize("asked", ["", "%", "_", "'; DROP TABLE runs; --", "<b>x</b>"])
def test_a_senseless_address_is_told(store: Store, asked: str) -> None:
    finish(store, add_run(store))
    assert len(open_page("live", [asked]).warning) == 1
    assert len(store.all_runs()) == 1


def test_a_run_that_is_named_twice_is_shown_once(store: Store) -> None:
    one = finish(store, add_run(store))
    assert on_charts(open_page("live", [one.id, one.id, one.id[:5]]))["runs"] == [one.id]


def test_picking_runs_is_kept_in_the_address(store: Store) -> None:
    early, late = finish(store, add_run(store)), finish(store, add_run(store))
    page = open_page("live")
    page.multiselect[0].set_value([late.id, early.id])
    run(page)
    assert runs_in_address(page) == [late.id, early.id]
    assert on_charts(page) == {"runs": [late.id, early.id], "follow": False}
    page.multiselect[0].unselect(late.id)
    run(page)
    assert runs_in_address(page) == [early.id]
    assert on_charts(page)["runs"] == [early.id]


def test_a_page_that_follows_goes_on_following(store: Store) -> None:
    first = start(store, add_run(store))
    page = open_page("live")
    store.set_status(first.id, "finished")
    second = start(store, add_run(store))
    run(page)
    assert runs_in_address(page) == []
    assert on_charts(page) == {"runs": [second.id], "follow": True}


def test_compare_takes_the_same_runs_along(store: Store) -> None:
    pair = [finish(store, run) for run in add_pair(store)]
    page = open_page("live")
    [button] = page.button
    button.click()
    run(page)
    assert page.title[0].value == "Compare"
    assert runs_in_address(page) == [one.id for one in pair]


def test_its_control_has_help(store: Store) -> None:
    finish(store, add_run(store))
    controls = controls_of(open_page("live"))
    assert controls
    assert all(control.help for control in controls)


class Stopper:
    """Stands for the live component: the run whose Stop was pressed, what was sent to be steered.

    Either is told once.
    """

    stop: str | None = None
    pause: str | None = None
    resume: str | None = None
    act: dict[str, Any] | None = None

    def __call__(self, **_: object) -> SimpleNamespace:
        told = SimpleNamespace(stop=self.stop, pause=self.pause, resume=self.resume, act=self.act)
        self.stop = self.pause = self.resume = self.act = None
        return told


@pytest.fixture
def stopper(monkeypatch: pytest.MonkeyPatch) -> Stopper:
    component = Stopper()
    monkeypatch.setattr(dashboard.live, "_component", lambda: component)
    return component


def test_stop_asks_a_running_run_to_stop(store: Store, stopper: Stopper) -> None:
    going, other = start(store, add_run(store)), start(store, add_run(store))
    page = open_page("live")
    stopper.stop = going.id
    run(page)
    assert store.run(going.id).status == "stopping"
    assert store.run(going.id).stop_requested
    assert store.run(other.id).status == "running"


def test_pause_asks_a_running_run_and_takes_a_waiting_one_out_of_the_queue(
    store: Store, stopper: Stopper
) -> None:
    going, waiting = start(store, add_run(store)), add_run(store)
    page = open_page("live")
    for one in (going, waiting):
        stopper.pause = one.id
        run(page)
    assert [store.run(one.id).status for one in (going, waiting)] == ["pausing", "paused"]


def test_a_paused_run_stays_in_sight(store: Store) -> None:
    going, other = start(store, add_run(store)), start(store, add_run(store))
    finish(store, add_run(store))
    store.set_status(going.id, "paused")
    store.mark(other.id, name="goes on")
    assert on_charts(open_page("live"))["runs"] == [going.id, other.id]


@pytest.mark.parametrize("status", ["paused", "stopped", "interrupted", "failed"])
def test_resume_puts_a_run_in_the_queue_again(
    store: Store, stopper: Stopper, started: list[str], status: Any
) -> None:
    ended = start(store, add_run(store))
    store.set_status(ended.id, status, "The training process was killed (signal 9).")
    page = open_page("live", [ended.id])
    stopper.resume = ended.id
    run(page)
    again = store.run(ended.id)
    assert (again.status, again.reason, again.stop_requested) == ("queued", "", False)
    assert (again.pid, again.ended_at, again.slot) == (None, None, None)
    assert "supervisor" in started


def test_resume_leaves_what_has_finished(store: Store, stopper: Stopper) -> None:
    done = start(store, add_run(store))
    finish(store, done)
    page = open_page("live", [done.id])
    stopper.resume = done.id
    run(page)
    assert store.run(done.id).status == "finished"


def test_stop_takes_a_waiting_run_out_of_the_queue(store: Store, stopper: Stopper) -> None:
    waiting = add_run(store)
    page = open_page("live")
    stopper.stop = waiting.id
    run(page)
    assert store.run(waiting.id).status == "stopped"


def test_stop_reaches_a_run_after_its_pair_has_ended(store: Store, stopper: Stopper) -> None:
    frozen, full = (start(store, run) for run in add_pair(store))
    page = open_page("live")
    store.set_status(frozen.id, "finished")
    stopper.stop = full.id
    run(page)
    assert store.run(full.id).status == "stopping"


def test_stop_comes_too_late_without_harm(store: Store, stopper: Stopper) -> None:
    ended = finish(store, add_run(store))
    page = open_page("live")
    stopper.stop = ended.id
    run(page)
    assert store.run(ended.id).status == "finished"


def asked(*acts: tuple[int, Run, dict[str, Any]], page: str = "one") -> dict[str, Any]:
    """Returns what the live component sends of acts, each with its number and its run."""
    listed = [{"number": number, "run": run.id, "act": act} for number, run, act in acts]
    return {"page": page, "asked": listed}


FREEZE = {"kind": "freeze", "target": "block3", "factor": 1}
HALVE = {"kind": "lr", "target": "head", "factor": 0.5}


def acts_of(store: Store, run: Run) -> list[dict[str, Any]]:
    """Returns what was asked of a run, as the component sends it."""
    return [act.model_dump(exclude={"step"}) for _, act in store.acts(run.id)]


def test_an_act_reaches_its_run(store: Store, stopper: Stopper) -> None:
    steered, other = start(store, add_run(store, "full")), start(store, add_run(store))
    page = open_page("live")
    stopper.act = asked((1, steered, FREEZE), (2, steered, HALVE))
    run(page)
    assert acts_of(store, steered) == [FREEZE, HALVE]
    assert acts_of(store, other) == []
    assert not page.warning


def test_what_is_sent_again_with_the_next_act_is_not_done_twice(
    store: Store, stopper: Stopper
) -> None:
    steered = start(store, add_run(store, "full"))
    page = open_page("live")
    stopper.act = asked((1, steered, HALVE))
    run(page)
    stopper.act = asked((1, steered, HALVE), (2, steered, HALVE), (3, steered, FREEZE))
    run(page)
    run(page)
    assert acts_of(store, steered) == [HALVE, HALVE, FREEZE]


def test_two_tabs_are_told_from_each_other(store: Store, stopper: Stopper) -> None:
    steered = start(store, add_run(store, "full"))
    page = open_page("live")
    for tab in ("one", "other"):
        stopper.act = asked((1, steered, HALVE), page=tab)
        run(page)
    assert acts_of(store, steered) == [HALVE, HALVE]


def test_a_session_remembers_few_opened_pages_and_the_latest_of_them(
    store: Store, stopper: Stopper
) -> None:
    steered = start(store, add_run(store, "full"))
    page = open_page("live")
    for number in range(25):
        stopper.act = asked((1, steered, HALVE), page=f"visit {number}")
        run(page)
    assert len(page.session_state["live.heard"]) == 20
    stopper.act = asked((1, steered, HALVE), page="visit 24")
    run(page)
    assert len(acts_of(store, steered)) == 25


def test_steering_comes_too_late_with_a_sentence(store: Store, stopper: Stopper) -> None:
    ended = finish(store, add_run(store))
    page = open_page("live")
    stopper.act = asked((1, ended, FREEZE))
    run(page)
    [warning] = page.warning
    assert "only a run that is going on can be steered" in warning.value
    assert acts_of(store, ended) == []


@pytest.mark.parametrize(
    "act",
    [
        {"kind": "freeze", "target": "block99", "factor": 1},
        {"kind": "freeze", "target": "<b>x</b>", "factor": 1},
        {"kind": "freeze", "target": "head", "factor": 1},
        {"kind": "melt", "target": "block3", "factor": 1},
        {"kind": "lr", "target": "head", "factor": 1e9},
        {"kind": "lr", "target": "head", "factor": "nan"},
        {},
    ],
)
def test_a_senseless_act_is_told_and_not_passed_on(
    store: Store, stopper: Stopper, act: dict[str, Any]
) -> None:
    steered = start(store, add_run(store))
    page = open_page("live")
    stopper.act = asked((1, steered, act))
    run(page)
    assert len(page.warning) == 1
    assert acts_of(store, steered) == []


def test_an_act_for_no_run_is_told(store: Store, stopper: Stopper) -> None:
    gone = start(store, add_run(store))
    page = open_page("live")
    stopper.act = {"page": "one", "asked": [{"number": 1, "run": "ffffffff", "act": FREEZE}]}
    run(page)
    assert "'ffffffff'" in page.warning[0].value
    assert acts_of(store, gone) == []
