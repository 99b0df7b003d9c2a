"""Images from the person's own computer, added on the Data page."""

import io
import re
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.data.report import inspect_folder
from tests.dashboard.pages import choose, open_page, run, text_of
from tests.engine.pictures import distinct_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return distinct_pictures(tmp_path / "pets", {"<b>cats": 3, "dogs": 2})


def zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent))
    return content.getvalue()


def send(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.file_uploader[0].set_value([(name, content, "") for name, content in files])
    return run(page)


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def add_button(page: AppTest) -> object:
    [button] = [one for one in page.button if one.key == "data.upload.add"]
    return button


def test_a_zip_is_shown_before_it_is_taken_in(photos: Path, thaw_home: Path) -> None:
    (photos / "notes.txt").write_text("a note")
    page = send(open_page("data"), ("pets.zip", zipped(photos)))
    text = written(page)
    # A name that not every file system takes is shown as it will be.
    assert re.search(r"\*\*2 classes\*\*: _b_cats~\w{8} \(3\), dogs \(2\)\.", text)
    assert "The classes are those in pets/, the only folder." in text
    assert "1 other files will be left out" in text
    assert not [one for one in (thaw_home / "datasets").iterdir() if one.name == "pets"]
    add_button(page).click()  # type: ignore[attr-defined]
    run(page)
    assert "5 pictures added to pets; 1 other files left out." in written(page)
    shown = {one.label: one.value for one in page.metric}
    assert (shown["Pictures"], shown["Classes"]) == ("5", "2")
    folder = thaw_home / "datasets" / "pets"
    # Names that no file system likes were changed, so the classes have other names there.
    assert inspect_folder(folder).num_pictures == inspect_folder(photos).num_pictures
    assert page.file_uploader[0].value in (None, [])
    # It can be chosen where runs are started.
    train = choose(open_page(), "train.source", "added")
    assert train.selectbox(key="train.added").value == str(folder)


def test_loose_pictures_need_a_class(photos: Path, thaw_home: Path) -> None:
    cats = [(one.name, one.read_bytes()) for one in sorted((photos / "<b>cats").iterdir())]
    dogs = [(one.name, one.read_bytes()) for one in sorted((photos / "dogs").iterdir())]
    page = send(open_page("data"), *cats)
    assert "Loose pictures" in written(page)
    assert add_button(page).disabled  # type: ignore[attr-defined]
    choose(page, "data.upload.class", "cats")
    add_button(page).click()  # type: ignore[attr-defined]
    run(page)
    # One class is no data set yet, which is said.
    assert "only the class 'cats'" in written(page)
    send(page, *dogs)
    choose(page, "data.upload.class", "dogs")
    choose(page, "data.upload.target", str(thaw_home / "datasets" / "my images"))
    add_button(page).click()  # type: ignore[attr-defined]
    run(page)
    shown = {one.label: one.value for one in page.metric}
    assert (shown["Pictures"], shown["Classes"]) == ("5", "2")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("x.zip", b"nothing")], "x.zip is no archive that can be read"),
        ([("x.zip", b"PK"), ("a.png", b"x")], "x.zip is an archive and came with other files"),
        ([("a.txt", b"x")], "There are no pictures in it."),
    ],
)
def test_what_cannot_be_added_is_a_sentence(
    files: list[tuple[str, bytes]], sentence: str, thaw_home: Path
) -> None:
    page = send(open_page("data"), *files)
    assert sentence in written(page)
    assert not [one for one in page.button if one.key == "data.upload.add"]


def test_more_than_the_limit_is_refused(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.upload_section.MOST_MIB", 1)
    big = bytes(2**20 + 1)
    page = send(open_page("data"), ("a.png", big))
    assert "more than the 1 MB that can be sent" in written(page)


def test_a_full_disk_is_a_sentence(
    photos: Path, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = send(open_page("data"), ("pets.zip", zipped(photos)))
    monkeypatch.setattr("engine.data.taking.KEEP_FREE", 2**60)
    add_button(page).click()  # type: ignore[attr-defined]
    run(page)
    assert "would fill the disk" in written(page)
    assert [one.name for one in (thaw_home / "datasets").iterdir()] == ["clipart"]


def test_nothing_was_added_yet() -> None:
    page = choose(open_page(), "train.source", "added")
    assert "Nothing was added yet." in text_of(page)
