"""The Data page: what a folder holds, and what is wrong with it."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.confusion_charts import confusion_figure
from dashboard.report_charts import class_bars
from tests.conftest import CLIPART
from tests.dashboard.pages import choose, open_page, run, text_of


def my_folder(folder: Path | str) -> AppTest:
    page = choose(open_page("data"), "data.source", "folder")
    return choose(page, "data.folder", str(folder))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 12 pictures without a split; one of a bird is a fruit as well."""
    folder = tmp_path / "my photos"
    for name in ("birds", "fruit"):
        (folder / name).mkdir(parents=True)
        for file in sorted((CLIPART / "train" / name).iterdir())[:12]:
            shutil.copy(file, folder / name)
    first = sorted((folder / "birds").iterdir())[0]
    shutil.copy(first, folder / "fruit" / "a bird.jpg")
    (folder / "fruit" / "broken.jpg").write_bytes(b"nothing")
    return folder


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def opened(page: AppTest, *kinds: str) -> AppTest:
    """Opens findings, which draw their pictures only then."""
    for kind in kinds:
        page.session_state[f"data.finding.{kind}.0"] = True
    return run(page)


def click(page: AppTest, label: str) -> AppTest:
    [button] = [one for one in page.button if one.label.replace("\\", "") == label]
    button.click()
    return run(page)


def metrics(page: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in page.metric}


def test_the_sample_is_shown_at_once() -> None:
    page = open_page("data")
    assert metrics(page)["Pictures"] == "386"
    assert metrics(page)["Wrong"] == "0"
    assert "red_flower_01.jpg" in written(opened(page, "twice-alike"))


def test_what_is_wrong_is_told_with_its_files(photos: Path) -> None:
    page = my_folder(photos)
    shown = metrics(page)
    assert (shown["Pictures"], shown["Classes"], shown["Wrong"]) == ("25", "2", "2")
    text = written(page)
    assert "Once the same picture is in two classes: one of the labels is wrong." in text
    assert "1 picture cannot be used (not a picture in a known format)" in text
    assert "fruit/a bird.jpg" not in text
    assert "fruit/a bird.jpg" in written(opened(page, "labels-same"))
    assert "The folder has no split" in text


def test_pictures_of_a_class_come_in_pages(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.report_sections.PAGE_OF_PICTURES", 5)
    page = my_folder(photos)
    assert page.number_input[0].label == "Page of 3"
    choose(page, "data.page.birds", 3)
    choose(page, "data.class", "fruit")
    assert page.number_input[0].value == 1


def test_a_large_folder_is_looked_at_when_asked(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.report_sections.UNASKED", 10)
    page = my_folder(photos)
    assert not page.metric
    assert "The folder has 26 pictures" in text_of(page)
    click(page, "Look at every picture")
    assert metrics(page)["Pictures"] == "25"
    (photos / "fruit" / "a bird.jpg").unlink()
    click(page, "Look again")
    assert metrics(page)["Pictures"] == "24"


def test_a_report_stays_until_another_look_is_asked_for(photos: Path) -> None:
    page = my_folder(photos)
    (photos / "fruit" / "broken.jpg").unlink()
    choose(page, "data.class", "fruit")
    assert metrics(page)["Wrong"] == "2"
    [again] = [one for one in page.button if one.label == "Look again"]
    again.click()
    run(page)
    assert metrics(page)["Wrong"] == "1"
    choose(page, "data.source", "clipart")
    assert metrics(page)["Pictures"] == "386"


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("/nowhere/at all", "There is no folder"),
        ("\0", "folder"),
        ("", "Type the path of a folder"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told(folder: str, sentence: str) -> None:
    page = my_folder(folder)
    assert sentence in text_of(page)
    assert not page.metric


def test_names_are_shown_letter_by_letter(tmp_path: Path) -> None:
    names = ["<b>bold</b> & co", "*stars* $x$"]
    for shade, name in enumerate(names):
        (tmp_path / "set" / name.replace("/", "⁄")).mkdir(parents=True)
        for number in range(3):
            picture = Image.new("RGB", (90, 90), (90 * shade, 60 * number, 40))
            picture.save(tmp_path / "set" / name.replace("/", "⁄") / f"{number}.png")
    page = my_folder(tmp_path / "set")
    assert metrics(page)["Classes"] == "2"
    figure = class_bars([("<b>bold</b> & co", 3, 1)], has_split=True)
    assert figure.layout.yaxis.ticktext == ("&lt;b&gt;bold&lt;/b&gt; &amp; co",)
    matrix = confusion_figure(np.ones((1, 1), dtype=np.int64), ["<i>x</i>"], "#123456")
    assert list(matrix.layout.xaxis.ticktext) == ["&lt;i&gt;x&lt;/i&gt;"]


def test_bars_are_ordered_and_add_up() -> None:
    figure = class_bars([("few", 1, 1), ("many", 9, 3), ("2020-01-01", 4, 0)], has_split=True)
    assert list(figure.layout.yaxis.ticktext) == ["few", "2020-01-01", "many"]
    train, val = figure.data
    assert [a + b for a, b in zip(train.x, val.x, strict=True)] == [2, 4, 12]
    assert len(class_bars([("a", 1, 0)], has_split=False).data) == 1


def test_how_a_folder_is_read_is_told_on_the_train_page_as_well(photos: Path) -> None:
    outer = photos.parent / "outer"
    outer.mkdir()
    shutil.move(photos, outer)
    page = choose(open_page(), "train.source", "folder")
    choose(page, "train.folder", str(outer))
    assert "The classes are those in my photos/, the only folder." in written(page)


def test_a_folder_that_changes_under_its_report_is_told(photos: Path) -> None:
    page = my_folder(photos)
    choose(page, "data.class", "fruit")
    (photos / "fruit").rename(photos / "vegetables")
    run(page)
    assert "13 of them cannot be read any more; look again." in text_of(page)
    shutil.rmtree(photos)
    click(page, "Look again")
    assert "There is no folder" in written(page)


def test_a_finding_is_mended_with_a_click_and_the_click_taken_back(photos: Path) -> None:
    before = sorted(photos.rglob("*"))
    page = opened(my_folder(photos), "labels-same")
    assert not [one for one in page.button if one.label == "Undo the last"]
    click(page, "All are 'birds'")
    assert metrics(page)["Wrong"] == "1"
    assert "**1 correction** of yours applies." in text_of(page)
    assert "is of another class" in str(page.dataframe[0].value)
    # The page that trains sees it the same.
    train = choose(open_page(), "train.source", "folder")
    choose(train, "train.folder", str(photos))
    assert "1 correction of yours is applied; no file is changed." in written(train)
    click(page, "Undo the last")
    assert metrics(page)["Wrong"] == "2"
    assert not [one for one in page.button if one.label == "Undo all"]
    assert sorted(photos.rglob("*")) == before


def test_chosen_pictures_are_corrected(photos: Path) -> None:
    page = my_folder(photos)
    choose(page, "data.class", "fruit")
    choose(page, "data.class.fruit.1.chosen", ["a bird.jpg"])
    choose(page, "data.class.fruit.1.class", "birds")
    click(page, "Give them this class")
    assert "Wrong" in metrics(page)
    assert metrics(page)["Wrong"] == "1"
    choose(page, "data.class", "birds")
    options = next(
        one for one in page.multiselect if one.key == "data.class.birds.1.chosen"
    ).options
    assert "a bird.jpg" in options
    choose(page, "data.class.birds.1.chosen", options[:2])
    click(page, "Leave out")
    assert metrics(page)["Pictures"] == "23"
    click(page, "Undo all")
    assert metrics(page)["Pictures"] == "25"


def test_all_groups_of_a_finding_at_once(photos: Path) -> None:
    for file in sorted((photos / "birds").iterdir())[3:6]:
        shutil.copy(file, photos / "birds" / f"copy of {file.name}")
    page = opened(my_folder(photos), "twice-same")
    click(page, "Keep the first only: all 3")
    assert metrics(page)["Pictures"] == "25"
    assert "**3 corrections** of yours apply." in text_of(page)


def test_a_move_is_offered_where_there_is_a_split() -> None:
    page = choose(open_page("data"), "data.class", "birds")
    options = next(
        one for one in page.multiselect if one.key == "data.class.birds.1.chosen"
    ).options
    choose(page, "data.class.birds.1.chosen", options[:1])
    classes = metrics(page)["Classes"]
    click(page, "Move to validation")
    assert metrics(page)["Classes"] == classes
    assert "moved to validation" in str(page.dataframe[0].value)


def test_a_folder_outside_the_roots_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(photos)
    (allowed / "mixed" / "a").mkdir(parents=True)
    (allowed / "mixed" / "birds").symlink_to(photos / "birds")
    (allowed / "files" / "a").mkdir(parents=True)
    (allowed / "files" / "b").mkdir(parents=True)
    picture = sorted((photos / "birds").iterdir())[0]
    shutil.copy(picture, allowed / "files" / "a")
    shutil.copy(picture, allowed / "mixed" / "a")
    (allowed / "files" / "b" / "x.jpg").symlink_to(picture)
    (allowed / "table.csv").write_text(f"path,label\nfiles/a/{picture.name},a\n{picture},b\n")
    monkeypatch.setenv("THAW_ROOTS", str(allowed))
    asked = [photos, allowed / ".." / photos.name, "/etc", allowed / "link", allowed / "mixed"]
    asked += [allowed / "files", allowed / "table.csv"]
    for folder in asked:
        page = my_folder(folder)
        assert "outside the folders that Thaw may read here" in written(page), folder
        assert not page.metric
        train = choose(open_page(), "train.source", "folder")
        choose(train, "train.folder", str(folder))
        assert "outside the folders that Thaw may read here" in written(train), folder
    shutil.copytree(photos, allowed / "photos")
    assert metrics(my_folder(allowed / "photos"))["Pictures"] == "25"


def test_without_roots_it_is_where_thaw_was_started(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THAW_ROOTS")
    assert "outside the folders" in written(my_folder(photos))
    monkeypatch.chdir(photos.parent)
    assert metrics(my_folder(photos))["Pictures"] == "25"
    # The samples lie in Thaw's own folder.
    assert metrics(open_page("data"))["Pictures"] == "386"


def test_a_table_is_looked_at_like_a_folder(photos: Path, tmp_path: Path) -> None:
    rows = [
        f"my photos/{file.parent.name}/{file.name},{file.parent.name}"
        for file in sorted(photos.rglob("*.jpg"))
    ]
    (tmp_path / "photos.csv").write_text("\n".join(["path,label", *rows]))
    assert metrics(my_folder(tmp_path / "photos.csv")) == metrics(my_folder(photos))


def test_names_that_are_no_text_are_shown_and_corrected(photos: Path) -> None:
    odd = photos / os.fsdecode(b"caf\xe9")
    (photos / "fruit").rename(odd)
    (odd / "broken.jpg").rename(odd / os.fsdecode(b"br\xf6ken.txt"))
    (odd / "a bird.jpg").rename(odd / os.fsdecode(b"b\xefrd.jpg"))
    page = opened(my_folder(photos), "labels-same", "other-files")
    assert metrics(page)["Pictures"] == "25"
    choose(page, "data.class", "caf\\udce9")
    choose(page, "data.class.caf\\udce9.1.chosen", ["b\\udcefrd.jpg"])
    choose(page, "data.class.caf\\udce9.1.class", "birds")
    click(page, "Give them this class")
    assert metrics(page)["Wrong"] == "0"
    assert "b\\udcefrd.jpg" in str(page.dataframe[0].value)
    train = choose(open_page(), "train.source", "folder")
    choose(train, "train.folder", str(photos))
    assert "**2 classes**" in text_of(train)


def test_two_pictures_of_one_name_are_told_apart(photos: Path) -> None:
    for split, number in (("train", 0), ("val", 1)):
        for name in ("birds", "fruit"):
            (photos / "set" / split / name).mkdir(parents=True)
            file = sorted((photos / name).glob("*_*.jpg"))[number]
            shutil.copy(file, photos / "set" / split / name / "1.jpg")
    page = my_folder(photos / "set")
    [names] = [one for one in page.multiselect if one.key == "data.class.birds.1.chosen"]
    assert names.options == ["train/birds/1.jpg", "val/birds/1.jpg"]
    choose(page, "data.class.birds.1.chosen", ["train/birds/1.jpg"])
    choose(page, "data.class.birds.1.class", "fruit")
    click(page, "Give them this class")
    assert "train/birds/1.jpg" in str(page.dataframe[0].value)
