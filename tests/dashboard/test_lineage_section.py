"""The lineage of a model as a picture and a matrix, without a browser."""

import re
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.lineage_charts import ON_PALE, ON_STRONG, matrix_figure
from dashboard.lineage_picture import Place, lineage_picture, places_of
from dashboard.runs import store
from engine.home import run_folder
from engine.runs.store import Run
from engine.update.adopting import adopt
from engine.update.gate import Rule
from engine.update.lineage import Family, family_of
from engine.update.matrix import matrix_of
from tests.dashboard.pages import choose, run, text_of
from tests.made_updates import add_model

SCRIPT = """
import streamlit as st
from dashboard.lineage_section import lineage_section
lineage_section({run_id!r})
"""


def shown(run_id: str) -> AppTest:
    return run(AppTest.from_string(SCRIPT.format(run_id=run_id), default_timeout=30))


def html_of(page: AppTest) -> str:
    return "".join(one.proto.body for one in page.get("html"))


@pytest.fixture
def three(thaw_home: object) -> tuple[Run, Run, Run]:
    base = add_model(store(), {"base": "1110"}, name="The <first>")
    june = add_model(
        store(),
        {"base": "1000", "june": "11"},
        base.id,
        before={"base": "1110", "june": "10"},
        strategy="full",
        name="June",
    )
    july = add_model(
        store(),
        {"base": "1100", "june": "10", "july": "11110"},
        june.id,
        before={"base": "1000", "june": "11", "july": "10000"},
        name="July",
    )
    return base, june, july


def family(run_id: str) -> Family:
    return family_of(store().all_runs(hidden=True), run_id)


def test_models_are_drawn_below_what_they_update_and_branches_to_the_right(
    three: tuple[Run, Run, Run],
) -> None:
    base, june, july = three
    aside = add_model(store(), {"base": "1111", "june": "00"}, base.id)
    deeper = add_model(store(), {"base": "1111", "june": "00", "july": "1"}, aside.id)
    found = family(base.id)
    chain = [one.key for one in found.chain(july.id)]
    places = places_of(found, chain)
    assert places == {
        base.id: Place(0, 0),
        aside.id: Place(1, 1),
        deeper.id: Place(2, 1),
        june.id: Place(3, 0),
        july.id: Place(4, 0),
    }
    picture = lineage_picture(found, chain, in_use=june.id, chosen=july.id)
    assert picture.count("thaw-line ") + picture.count('thaw-line"') == 4
    assert picture.count("thaw-chosen") == 2
    assert picture.count("in use") == 1
    assert picture.count("aria-current") == 1
    assert "The &lt;first&gt;" in picture
    assert "<first>" not in picture
    assert f'href="live?run={base.id}"' in picture


def test_of_dozens_of_updates_the_newest_are_drawn_and_those_that_matter(
    three: tuple[Run, Run, Run],
) -> None:
    base, june, july = three
    many = [add_model(store(), {"base": "1111", "june": "00"}, base.id) for _ in range(9)]
    found = family(base.id)
    chain = [one.key for one in found.chain(july.id)]
    picture = lineage_picture(found, chain, in_use=many[0].id, chosen=july.id)
    drawn = {run.id for run in (*three, *many) if f"run={run.id}" in picture}
    assert drawn == {base.id, june.id, july.id, many[0].id, *(run.id for run in many[3:])}
    assert "2 older updates are not drawn" in picture


def test_numbers_can_be_read_on_every_cell(three: tuple[Run, Run, Run]) -> None:
    matrix = matrix_of(family(three[2].id).chain(three[2].id))
    assert matrix is not None
    heat, *layers = matrix_figure(matrix).data
    assert list(heat.z[0]) == [0.75, None, None]
    texts = {layer.textfont.color: set(layer.text) for layer in layers}
    assert texts == {
        ON_STRONG: {"75.0 %", "100.0 %", "80.0 %"},
        ON_PALE: {"25.0 %", "50.0 %"},
        None: {"(50.0 %)", "(20.0 %)"},
    }
    told = heat.customdata[0][1]
    assert told == "The &lt;first&gt;: 50.0 % of batch june before it learnt from it"


def test_a_lineage_is_shown_with_its_metrics(three: tuple[Run, Run, Run]) -> None:
    page = shown(three[2].id)
    assert [one.label for one in page.metric] == [
        "Average accuracy",
        "Backward transfer",
        "Forgetting",
    ]
    assert [one.value for one in page.metric] == ["60.0 %", "-37.5 points", "+37.5 points"]
    text = text_of(page)
    assert "Chaudhry et al. 2018" in text
    assert "accuracy on it fell by 37.5 points" in text
    assert len(page.get("plotly_chart")) == 1
    # Down to an update in the middle.
    choose(page, f"update.lineage.{three[2].id}", three[1].id)
    assert [one.value for one in page.metric] == ["62.5 %", "-50.0 points", "+50.0 points"]


def test_one_model_without_updates_says_what_would_come(thaw_home: object) -> None:
    base = add_model(store(), {"base": "1110"})
    page = shown(base.id)
    assert "No update yet" in text_of(page)
    assert not page.metric
    assert not page.get("plotly_chart")


def test_the_model_in_use_is_marked(three: tuple[Run, Run, Run]) -> None:
    assert "in use</b>" not in html_of(shown(three[1].id))
    adopt(store(), three[1], Rule(), force=True)
    picture = html_of(shown(three[2].id))
    assert re.search(r'June</a><b class="thaw-badge">in use</b>', picture)


def test_what_is_missing_is_said(three: tuple[Run, Run, Run]) -> None:
    store().delete(three[0].id)
    shutil.rmtree(run_folder(three[0].id))
    store().forget(three[0].id)
    page = shown(three[2].id)
    assert "is not here: it was removed for good" in text_of(page).replace("\\", "")
    assert "<em>run " in html_of(page)
    # What it told right of its images was measured by the first update.
    assert [one.value for one in page.metric] == ["60.0 %", "-37.5 points", "+37.5 points"]


def test_an_update_that_goes_on_has_no_numbers_yet(thaw_home: object) -> None:
    base = add_model(store(), {"base": "1"})
    young = add_model(store(), {"base": "1", "june": "1"}, base.id)
    for one in (base, young):
        shutil.rmtree(run_folder(one.id))
    assert "judged nothing yet" in text_of(shown(young.id))


def test_damaged_answers_are_a_sentence(three: tuple[Run, Run, Run]) -> None:
    (run_folder(three[1].id) / "manifest.json").write_text("{")
    assert "missing or damaged" in text_of(shown(three[2].id))
