"""Compare's view Embedding: nothing yet, at work, failed, stopped and done; what the maps show."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import engine.runs.background
from dashboard.embedding import heard_selection, script, style
from dashboard.embedding_maps import MOST_COLOURED, SharedImages, embedding_maps
from dashboard.pair_choice import short_name
from dashboard.palette import CLASS_COLOURS, DARK, LIGHT, OTHER_CLASSES
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.embedding import embedding_work, start_embedding
from engine.runs.background import WorkState
from engine.runs.store import Run, Store
from tests.dashboard.made import CLASSES, add_pair, add_run, finish
from tests.dashboard.made_embedding import (
    STARTED_FROM,
    add_checkpoint,
    judged,
    lay_out,
    pictures,
    plane,
)
from tests.dashboard.pages import choose, components_of, controls_of, open_page, run, text_of
from tests.dashboard.test_live_component import FORBIDDEN
from tests.dashboard.test_palette import contrast

NUM = 30
pytestmark = pytest.mark.usefixtures("small_sample")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been started as a process of its own."""
    names: list[str] = []
    monkeypatch.setattr(
        engine.runs.background, "start_detached", lambda line, *_: names.append(line[0])
    )
    return names


@pytest.fixture
def pair(store: Store) -> tuple[Run, Run]:
    """A frozen and a full run that have kept a model."""
    one, other = (finish(store, each) for each in add_pair(store))
    add_checkpoint(one)
    add_checkpoint(other)
    return one, other


def opened(*runs: Run) -> AppTest:
    return open_page("compare", [one.id for one in runs], view="Embedding")


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def maps(page: AppTest) -> dict[str, Any]:
    """Returns what the component on the page was given."""
    [data] = components_of(page, "thaw_embedding")
    assert isinstance(data, dict)
    return data


def buttons(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


# ---- before there is anything


def test_it_is_worked_out_when_asked(pair: tuple[Run, Run], asked: list[str]) -> None:
    page = opened(*pair)
    assert asked == []
    assert not components_of(page, "thaw_embedding")
    [button] = [one for one in page.button if one.label == "Lay the images out"]
    button.click()
    run(page)
    assert asked == ["engine.insight.embedding_worker"]
    assert "Lay the images out" not in buttons(page)
    assert "Stop" in buttons(page)


def test_how_far_it_is_is_shown_and_it_can_be_stopped(pair: tuple[Run, Run]) -> None:
    start_embedding(pair, "pca")
    work = embedding_work(pair, "pca")
    work.keep(WorkState(task="looking at images after training", done=12, total=97))
    page = opened(*pair)
    assert "Looking at images after training: 12 of 97" in written(page)
    [button] = [one for one in page.button if one.label == "Stop"]
    button.click()
    run(page)
    assert work.stop_file.exists()


def test_a_failure_is_a_sentence_and_can_be_tried_again(pair: tuple[Run, Run]) -> None:
    reason = "The picture *a* can no longer be read."
    embedding_work(pair, "pca").keep(WorkState("failed", "", reason=reason))
    page = opened(*pair)
    assert reason in written(page)
    assert "Lay the images out" in buttons(page)


def test_what_was_stopped_can_be_started_again(pair: tuple[Run, Run]) -> None:
    embedding_work(pair, "pca").keep(WorkState("stopped"))
    page = opened(*pair)
    assert not page.error
    assert "Lay the images out" in buttons(page)


def test_runs_that_cannot_be_shown_are_named(store: Store, pair: tuple[Run, Run]) -> None:
    waiting = add_run(store, name="Waiting")
    (run_folder(pair[1].id) / CHECKPOINT_FILE).unlink()
    page = opened(*pair, waiting)
    assert "Waiting" in written(page)
    assert "is queued; wait until it has ended." in written(page)
    assert "has kept no model" in written(page)
    assert "Lay the images out" in buttons(page)
    page = opened(waiting)
    assert "choose one that has finished" in written(page)
    assert "Lay the images out" not in buttons(page)


# ---- once it is there


@pytest.fixture
def laid_out(pair: tuple[Run, Run], tiny_folder: Path) -> tuple[Run, Run]:
    paths = pictures(tiny_folder, NUM)
    lay_out(pair[0], paths, 18, has_moved=False)
    lay_out(pair[1], paths, 24)
    return pair


def test_two_runs_are_three_linked_maps(laid_out: tuple[Run, Run]) -> None:
    page = opened(*laid_out)
    data = maps(page)
    names = [short_name(one) for one in laid_out]
    titles = [panel["title"] for panel in data["panels"]]
    assert titles == ["Before", f"After: {names[0]}", f"After: {names[1]}"]
    before, frozen, full = data["panels"]
    assert before["wrong"] is None
    assert (sum(frozen["wrong"]), sum(full["wrong"])) == (NUM - 18, NUM - 24)
    assert frozen["x"] == before["x"]
    assert "left as it was: the same map" in frozen["note"]
    assert STARTED_FROM in before["note"]
    assert before["xTitle"] == "1st component, 40.0 % of the variance"
    assert all(len(panel["x"]) == len(panel["y"]) == NUM for panel in data["panels"])
    assert data["pictures"] == {"run": laid_out[0].id, "places": list(range(NUM))}
    assert [data["classes"][label] for label in data["labels"][:3]] == list(CLASSES)
    assert data["selected"] == []


def test_one_run_is_two_maps(laid_out: tuple[Run, Run]) -> None:
    page = opened(laid_out[1])
    assert [panel["key"] for panel in maps(page)["panels"]] == ["before.0", "after.0"]
    assert "brought more images among their own class: +25.0 points" in written(page)


def test_runs_of_other_backbones_have_a_map_of_before_each(
    pair: tuple[Run, Run], tiny_folder: Path
) -> None:
    paths = pictures(tiny_folder, NUM)
    lay_out(pair[0], paths, 18)
    lay_out(pair[1], paths, 24, start=1)
    keys = [panel["key"] for panel in maps(opened(*pair))["panels"]]
    assert keys == ["before.0", "before.1", "after.0", "after.1"]


def test_the_maps_are_backed_by_numbers(laid_out: tuple[Run, Run]) -> None:
    page = opened(*laid_out)
    table = page.dataframe[0].value
    among = list(table["among their own class"])
    assert among[0].startswith("50.0 %")
    assert among[3].startswith("80.0 %")
    text = written(page)
    assert "left its backbone as it was, so that nothing here can change." in text
    names = [short_name(one) for one in laid_out]
    assert f"**{names[1]}** has more images among their own class than **{names[0]}**" in text
    assert "30.0 points of 30 images" in text


def test_how_a_map_is_to_be_read_is_said(laid_out: tuple[Run, Run]) -> None:
    page = opened(*laid_out)
    assert "distances are true as far as the two axes hold the variance" in written(page)
    choose(page, "compare.embedding.method", "tsne")
    assert "Wattenberg et al. 2016" in written(page)
    assert "maps of their own" in written(page)


def test_a_box_selects_what_a_lasso_would(laid_out: tuple[Run, Run]) -> None:
    page = opened(*laid_out)
    key = f"compare.embedding.{'.'.join(one.id for one in laid_out)}"
    assert maps(page)["token"] == 0
    choose(page, f"{key}.box", [f"class:{CLASSES[0]}"])
    data = maps(page)
    assert data["selected"] == list(range(0, NUM, 3))
    assert data["token"] == 1
    assert "10 selected" in written(page)
    choose(page, f"{key}.box", ["wrong:1"])
    assert maps(page)["selected"] == list(range(24, NUM))
    assert f"{short_name(laid_out[1])} gets 0 right" in written(page)
    choose(page, f"{key}.box", [])
    assert maps(page)["selected"] == []
    assert "selected;" not in written(page)


def test_another_selection_begins_with_its_first_page(laid_out: tuple[Run, Run]) -> None:
    page = opened(*laid_out)
    key = f"compare.embedding.{'.'.join(one.id for one in laid_out)}"
    choose(page, f"{key}.box", [f"class:{name}" for name in CLASSES])
    [number] = page.number_input
    assert number.max == 3
    number.set_value(3)
    run(page)
    choose(page, f"{key}.box", [f"class:{name}" for name in CLASSES[:2]])
    [number] = page.number_input
    assert (number.value, number.max) == (1, 2)


def test_what_is_selected_on_a_map_takes_the_place_of_the_box(laid_out: tuple[Run, Run]) -> None:
    page = opened(*laid_out)
    key = f"compare.embedding.{'.'.join(one.id for one in laid_out)}"
    choose(page, f"{key}.box", [f"class:{CLASSES[0]}"])

    # As its callback would after the component has told of it.
    page.session_state[f"{key}.selected"] = ((1, 2), 1)
    page.session_state[f"{key}.box"] = []
    run(page)
    assert maps(page)["selected"] == [1, 2]
    assert maps(page)["token"] == 1
    assert "2 selected" in written(page)


def test_every_control_says_what_it_does(laid_out: tuple[Run, Run]) -> None:
    for page in (opened(*laid_out),):
        assert all(control.help for control in controls_of(page))


def test_runs_without_a_common_image_are_a_sentence(
    pair: tuple[Run, Run], tiny_folder: Path
) -> None:
    lay_out(pair[0], pictures(tiny_folder, NUM), 18)
    lay_out(pair[1], pictures(tiny_folder, NUM), 18, classes=("other", "names"))
    page = opened(*pair)
    assert "have no validation image in common" in written(page)
    assert not components_of(page, "thaw_embedding")


# ---- what the component is given, and what it sends


def hear(sent: Any) -> tuple[int, ...]:
    st.session_state["maps"] = {"selection": sent}
    return heard_selection("maps", 5)


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        ({"indices": [3, 1, 1]}, (1, 3)),
        ({"indices": [-1, 5, 4, True, 2.0, "0", None]}, (4,)),
        ({"indices": "all"}, ()),
        ({}, ()),
        ([], ()),
        (None, ()),
    ],
)
def test_only_images_that_are_there_can_be_selected(
    sent: Any, heard: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "session_state", {})
    assert hear(sent) == heard


@pytest.mark.parametrize("num", [1, 12, MOST_COLOURED, MOST_COLOURED + 5])
def test_up_to_twenty_classes_have_a_look_of_their_own(
    store: Store, pair: tuple[Run, Run], num: int
) -> None:
    classes = [f"class {place:02d}" for place in range(num)]
    # Of the last class there is one image less than of the others.
    found = lay_out(pair[0], [f"/{place}.jpg" for place in range(3 * num - 1)], 1, classes=classes)
    shared = SharedImages([found])
    groups = embedding_maps([found], ["one"], shared)["groups"]
    looks = {(group["colour"], group["shape"]) for group in groups}
    assert len(looks) == len(groups) == min(num, MOST_COLOURED + 1)
    assert sum(group["count"] for group in groups) == 3 * num - 1
    if num > MOST_COLOURED:
        assert groups[-1]["name"] == "5 other classes"
        assert groups[-1]["colour"] == OTHER_CLASSES
        chosen = embedding_maps([found], ["one"], shared, [classes[-1]])["groups"]
        assert classes[-1] in [group["name"] for group in chosen]
        assert classes[-1] not in [group["name"] for group in groups]


def test_images_of_one_run_alone_are_left_out(pair: tuple[Run, Run]) -> None:
    paths = [f"/{place}.jpg" for place in range(9)]
    first = lay_out(pair[0], paths, 5)
    second = lay_out(pair[1], paths[:6], 2)
    shared = SharedImages([first, second])
    assert [one.path for one in shared.images] == paths[:6]
    assert [one.answers[1].is_right for one in shared.images] == [True, True] + [False] * 4
    assert shared.rows == [list(range(6)), list(range(6))]


def test_made_planes_are_as_they_are_said_to_be() -> None:
    assert plane(10, 0, 4).neighbours.value == 0.4
    assert sum(one.answers[0].is_right for one in judged(["a", "b", "c"], 2)) == 2


# ---- colours


MATRICES = {
    "all": np.eye(3),
    # Machado, Oliveira & Fernandes 2009, severity 1.
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def oklab(colour: str, sees: str) -> np.ndarray:
    """Returns a colour (Ottosson 2020) as somebody sees it."""
    shares = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(MATRICES[sees]) @ linear, 0.0, 1.0)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.793617785, -0.0040720468],
            [1.9779984951, -2.428592205, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.808675766],
        ]
    )
    return np.asarray(lab @ np.cbrt(cones @ seen))


def nearest(colours: tuple[str, ...], sees: str) -> float:
    return min(
        float(np.linalg.norm(oklab(one, sees) - oklab(other, sees)))
        for one, other in itertools.combinations(colours, 2)
    )


def test_who_sees_fewer_colours_tells_the_classes_apart() -> None:
    okabe_ito = min(nearest(OKABE_ITO, sees) for sees in MATRICES)
    assert min(nearest(CLASS_COLOURS, sees) for sees in MATRICES) > okabe_ito > 0.05


@pytest.mark.parametrize("colour", [*CLASS_COLOURS, OTHER_CLASSES])
def test_every_class_can_be_seen_on_any_theme(colour: str) -> None:
    for theme in (LIGHT, DARK):
        assert contrast(colour, theme["background"]) >= 1.4


# ---- the component


@pytest.mark.parametrize("name", FORBIDDEN)
def test_text_from_people_never_becomes_markup(name: str) -> None:
    assert name not in script()


def test_nothing_is_loaded_from_outside() -> None:
    for text in (script(), style()):
        assert "http:" not in text
        assert "https:" not in text
        assert "url(" not in text
