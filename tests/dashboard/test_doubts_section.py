"""What a pre-trained network doubts of a data set, on the Data page."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine.runs.background
from engine.data.findings import Picture
from engine.data.report import inspect_folder
from engine.runs.background import Work, WorkState
from engine.runs.doubts import KIND, doubts_key, keep_doubts
from engine.spec import DataSpec
from engine.training.doubts_record import Doubts, Outlier, WrongLabel
from tests.conftest import CLIPART
from tests.dashboard.pages import choose, open_page, run, text_of


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been started as a process of its own."""
    names: list[str] = []
    monkeypatch.setattr(
        engine.runs.background,
        "start_detached",
        lambda arguments, *_: names.append(arguments[0]),
    )
    return names


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("birds", "fruit"):
        (folder / name).mkdir(parents=True)
        for file in sorted((CLIPART / "train" / name).iterdir())[:12]:
            shutil.copy(file, folder / name)
    return folder


def key_of(folder: Path) -> str:
    return doubts_key(DataSpec(folder=str(folder)))


def found(folder: Path) -> Doubts:
    """Doubts about the first bird and the last fruit."""
    pictures = inspect_folder(folder).pictures
    first, last = pictures[0], pictures[-1]
    bird = Picture(first.path, first.label, first.split, first.digest, "fruit")
    return Doubts(
        backbone="efficientnet_lite0",
        num_pictures=24,
        num_judged=24,
        small_classes=("snails",),
        accuracy=0.875,
        wrong_labels=(WrongLabel(bird, 0.01, 0.97),),
        outliers=(Outlier(last, 3.5),),
        seconds=2.0,
    )


def my_folder(folder: Path) -> AppTest:
    page = choose(open_page("data"), "data.source", "folder")
    return choose(page, "data.folder", str(folder))


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def click(page: AppTest, label: str) -> AppTest:
    next(one for one in page.button if one.label.replace("\\", "") == label).click()
    return run(page)


def test_it_is_looked_for_when_asked(photos: Path, asked: list[str]) -> None:
    page = my_folder(photos)
    assert asked == []
    click(page, "Look for doubtful labels")
    assert asked == ["engine.runs.doubts_worker"]
    assert "Look for doubtful labels" not in [one.label for one in page.button]
    assert "Stop" in [one.label for one in page.button]


def test_what_was_found_is_shown_and_corrected(photos: Path) -> None:
    keep_doubts(key_of(photos), found(photos))
    page = my_folder(photos)
    text = written(page)
    assert "1 picture looks like another class than its own" in text
    assert "1 picture is like no other here" in text
    assert "24 labels were judged" in text
    assert "it would have guessed 87.5 %" in text
    assert "Too few pictures to judge a label by are in the class 'snails'." in text
    page.session_state["data.finding.mislabelled.0"] = True
    click(run(page), "It is 'fruit'")
    assert "**1 correction** of yours applies." in text_of(page)
    # Labels have changed, so it is to be asked anew; taken back, it is known.
    assert "Look for doubtful labels" in [one.label for one in page.button]
    click(page, "Undo the last")
    assert "1 picture looks like another class" in written(page)


def test_what_is_right_as_it_is_is_not_shown_again(photos: Path) -> None:
    keep_doubts(key_of(photos), found(photos))
    page = my_folder(photos)
    for kind in ("mislabelled", "outlier"):
        page.session_state[f"data.finding.{kind}.0"] = True
        click(run(page), "Keep as it is")
    assert "No label and no picture that stands out." in text_of(page)


def test_a_failure_is_a_sentence_and_can_be_tried_again(photos: Path) -> None:
    state = WorkState("failed", "", reason="The weights of *this* backbone are missing.")
    Work(KIND, key_of(photos)).keep(state)
    page = my_folder(photos)
    assert "The weights of *this* backbone are missing." in written(page)
    assert "Look for doubtful labels" in [one.label for one in page.button]
