"""The Data page in a browser: files are sent, looked at and corrected."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from engine.data.report import inspect_folder
from tests.engine.pictures import distinct_pictures
from tests.serving import Dashboard, click


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = distinct_pictures(tmp_path / "pets", {"cats": 12, "dogs": 11})
    shutil.copy(folder / "cats" / "000.png", folder / "dogs" / "a cat.png")
    (folder / "cats" / "notes.txt").write_text("a note")
    return folder


def add(page: Page, path: Path) -> None:
    """Drops a file or a whole folder on the page, and adds what is in it."""
    click(page.get_by_text("Add images from this computer"))
    kind = ":not([webkitdirectory])"
    if path.is_dir():
        click(page.get_by_text("A whole folder", exact=True))
        kind = "[webkitdirectory]"
    # For a moment the place for files is there beside that for folders.
    page.locator(f"input[type=file]{kind}").set_input_files(str(path))
    page.get_by_text("cats (12), dogs (12)").wait_for()
    click(page.get_by_role("button", name="Add 24 pictures").first)
    page.get_by_text("24 pictures added to pets").first.wait_for()


@pytest.mark.parametrize("kind", ["zip", "gztar", "folder"])
def test_what_is_sent_is_what_lies_on_the_disk(
    page: Page, dashboard: Dashboard, pets: Path, kind: str
) -> None:
    sent = pets
    if kind != "folder":
        sent = Path(shutil.make_archive(str(pets), kind, pets.parent, pets.name))
    page.goto(f"{dashboard.url}/data")
    page.get_by_text("What was found").wait_for()
    add(page, sent)
    page.get_by_text("the same picture is in two classes").wait_for()
    newest = max((dashboard.home / "datasets").glob("pets*"), key=lambda one: one.stat().st_mtime)
    assert inspect_folder(newest).fingerprint == inspect_folder(pets).fingerprint
    click(page.get_by_text("the same picture is in two classes"))
    click(page.get_by_role("button", name="All are 'cats'"))
    page.get_by_text("1 correction of yours applies").wait_for()
    expect(page.get_by_text("the same picture is in two classes")).to_have_count(0)
    click(page.get_by_role("button", name="Undo the last"))
    page.get_by_text("the same picture is in two classes").wait_for()


def test_pictures_take_their_place_before_they_are_loaded(page: Page, dashboard: Dashboard) -> None:
    held: list[Route] = []
    page.route("**/media/**", lambda route: held.append(route))
    page.goto(f"{dashboard.url}/data", wait_until="domcontentloaded")
    pictures = page.locator("[data-testid=stImage] img")
    pictures.first.wait_for(state="attached")
    page.wait_for_function(
        """() => {
            const box = document.querySelector("[data-testid=stImage] img").getBoundingClientRect();
            return box.width >= 80 && box.width <= 90 && Math.abs(box.height - box.width) <= 1;
        }"""
    )
    assert held
    assert pictures.first.evaluate("it => it.naturalWidth") == 0
    for route in held:
        route.continue_()
    page.unroute("**/media/**")
