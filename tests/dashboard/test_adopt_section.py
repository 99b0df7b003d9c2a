"""Adopting an update, against the rule too, and undoing that, without a browser."""

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.adopt_charts import FAILS, HOLDS, judgement_figure
from dashboard.runs import store
from engine.insight.updates import update_of
from engine.runs.store import Run
from engine.update.gate import Rule, judge
from tests.dashboard.pages import choose, controls_of, run, text_of
from tests.made_updates import add_model, shares

SCRIPT = """
from dashboard.adopt_section import adopt_section
from dashboard.runs import store
adopt_section(store().run({run_id!r}))
"""


def shown(run_id: str) -> AppTest:
    return run(AppTest.from_string(SCRIPT.format(run_id=run_id), default_timeout=30))


def button(page: AppTest, label: str):  # type: ignore[no-untyped-def]
    [found] = [one for one in page.button if one.label.startswith(label)]
    return found


@pytest.fixture
def update(thaw_home: object) -> Run:
    """Forgets 12 of 400 old images, of which it may forget 2 points, and learns 30 of 50."""
    base = add_model(store(), {"base": shares(360, 400)}, name="Base")
    return add_model(
        store(),
        {"base": shares(348, 400), "new": shares(40, 50)},
        base.id,
        before={"base": shares(360, 400), "new": shares(10, 50)},
        name="June",
    )


def test_where_the_rule_fails_it_says_so_and_the_button_waits(update: Run) -> None:
    page = shown(update.id)
    text = text_of(page).replace("\\", "")
    assert "in use is the first model, **Base" in text
    assert ":material/cancel: On 400 old validation images accuracy fell by 3 points" in text
    assert ":material/check_circle: On 50 new validation images accuracy rose by 60 points" in text
    assert button(page, "Adopt").disabled
    assert len(page.get("plotly_chart")) == 1
    assert all(one.help for one in controls_of(page))


def test_it_is_adopted_by_a_rule_that_holds_and_undone(update: Run) -> None:
    page = shown(update.id)
    choose(page, "update.adopt.most_forgotten", 6.0)
    assert not [one for one in page.checkbox if one.key.startswith("update.adopt.force")]
    button(page, "Adopt").click()
    run(page)
    assert "In use is **June" in text_of(page)
    [done] = store().adoptions()
    assert (done.kind, done.details["forced"]) == ("adopted", False)
    assert done.details["rule"]["most_forgotten"] == pytest.approx(0.06)
    assert not [one for one in page.button if one.label.startswith("Adopt")]
    record = page.dataframe[0].value
    assert list(record["what"]) == ["adopted"]
    assert record["old"][0].startswith("-3.0 points")
    button(page, "Undo: back to Base").click()
    run(page)
    assert "In use is **Base" in text_of(page)
    assert [one.kind for one in store().adoptions()] == ["adopted", "undone"]
    assert not [one for one in page.button if one.label.startswith("Undo")]


def test_it_is_adopted_against_the_rule_only_where_a_person_says_so(update: Run) -> None:
    page = shown(update.id)
    choose(page, f"update.adopt.force.{update.id}", True)
    found = button(page, "Adopt against the rule")
    assert not found.disabled
    found.click()
    run(page)
    assert "In use is **June" in text_of(page)
    assert store().adoptions()[0].details["forced"] is True
    assert list(page.dataframe[0].value["what"]) == ["adopted, against the rule"]


def test_what_somebody_else_has_done_meanwhile_is_a_sentence(
    update: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shown(update.id)
    choose(page, "update.adopt.most_forgotten", 6.0)
    store().delete(update.id)
    button(page, "Adopt").click()
    run(page)
    assert "was deleted; bring it back first" in text_of(page)
    assert store().adoptions() == []


def test_a_model_that_is_no_update_has_nothing_to_adopt(thaw_home: object) -> None:
    base = add_model(store(), {"base": "1110"}, name="Base")
    page = shown(base.id)
    assert "updates no model" in text_of(page)
    assert not page.button


def test_an_update_out_of_turn_says_which_goes_first(update: Run) -> None:
    later = add_model(
        store(),
        {"base": shares(348, 400), "new": shares(40, 50), "newer": "1" * 40},
        update.id,
        before={"base": shares(348, 400), "new": shares(40, 50), "newer": "0" * 40},
        name="July",
    )
    page = shown(later.id)
    text = text_of(page).replace("\\", "")
    assert "adopt June first, or go back to it" in text
    assert button(page, "Adopt").disabled


def test_the_chart_shows_which_part_fails(update: Run) -> None:
    found = update_of(update)
    assert found is not None
    figure = judgement_figure(judge(found, Rule()))
    bars = [trace for trace in figure.data if trace.mode == "markers"]
    assert [bar.marker.color for bar in bars] == [FAILS, HOLDS]
    assert [bar.x[0] for bar in bars] == pytest.approx([-3.0, 60.0])
    marks = [trace.x[0] for trace in figure.data if trace.mode == "lines"]
    assert marks == pytest.approx([-2.0, 5.0])
    low, high = figure.layout.xaxis.range
    assert low < -5.0
    assert high > 70.0
