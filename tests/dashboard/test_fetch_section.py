"""Known data sets, fetched from the Data page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.fetch_section
from engine.data.fetchable import FETCHABLE
from engine.data.fetching import Fetched
from engine.errors import DataError
from engine.runs.fetch_process import FetchStep
from tests.dashboard.pages import choose, open_page, run, text_of
from tests.engine.pictures import distinct_pictures

ASKED: list[tuple[str, ...]] = []


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch, thaw_home: Path) -> None:
    """In the place of the process that downloads."""
    ASKED.clear()

    def fetch(*names: str) -> Iterator[FetchStep | Fetched]:
        ASKED.append(names)
        if "gone" in names[0]:
            raise DataError("hf:a/gone is not there; check its name.")
        yield FetchStep("downloading", 2**20, 2**21)
        yield FetchStep("writing", 3, 0)
        folder = distinct_pictures(thaw_home / "datasets" / "made", {"cats": 3, "dogs": 2})
        yield Fetched(folder, 5, ())

    monkeypatch.setattr(dashboard.fetch_section, "fetch_in_process", fetch)


def start(page: AppTest) -> AppTest:
    next(one for one in page.button if one.key == "data.fetch.start").click()
    return run(page)


def test_every_data_set_says_what_it_is() -> None:
    page = open_page("data")
    for record in FETCHABLE.values():
        choose(page, "data.fetch.name", record.name)
        assert record.sentence in text_of(page)


@pytest.mark.usefixtures("fetching")
def test_what_was_fetched_is_shown() -> None:
    page = start(choose(open_page("data"), "data.fetch.name", "flowers102"))
    assert ASKED == [("flowers102", "", "")]
    shown = {one.label: one.value for one in page.metric}
    assert (shown["Pictures"], shown["Classes"]) == ("5", "2")


@pytest.mark.usefixtures("fetching")
def test_a_name_of_the_hub_with_its_columns() -> None:
    page = choose(open_page("data"), "data.fetch.name", "hub")
    assert not [one for one in page.button if one.key == "data.fetch.start"]
    choose(page, "data.fetch.hub", "owner/name:small")
    choose(page, "data.fetch.label_column", "species")
    start(page)
    assert ASKED == [("hf:owner/name:small", "", "species")]


@pytest.mark.usefixtures("fetching")
@pytest.mark.parametrize("name", ["/etc", "../up", "~/photos", "name", "a/b/c", "tests/engine"])
def test_a_path_is_no_name_of_the_hub(name: str) -> None:
    page = choose(open_page("data"), "data.fetch.name", "hub")
    choose(page, "data.fetch.hub", name)
    assert "is no name of the hub" in text_of(page)
    assert not [one for one in page.button if one.key == "data.fetch.start"]
    assert ASKED == []


@pytest.mark.usefixtures("fetching")
def test_what_cannot_be_had_is_a_sentence() -> None:
    page = choose(open_page("data"), "data.fetch.name", "hub")
    start(choose(page, "data.fetch.hub", "a/gone"))
    assert "hf:a/gone is not there; check its name." in text_of(page).replace("\\", "")
