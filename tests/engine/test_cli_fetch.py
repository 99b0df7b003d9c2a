"""`thaw fetch`, as a person or a script runs it."""

import json
from pathlib import Path

import pytest

from engine.data.fetchable import FETCHABLE
from tests.engine.commands import document, refusal, thaw
from tests.engine.downloaded import LAYOUTS, Maker
from tests.engine.pictures import distinct_pictures

# Nothing listens there, so that no download leaves this machine.
NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def dtd(thaw_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS["dtd"](thaw_home / "downloads" / "dtd", Maker(monkeypatch))


def test_without_a_name_all_are_listed() -> None:
    listed = document(thaw("fetch", "--json"))
    assert [one["name"] for one in listed] == list(FETCHABLE)
    assert {one["folder"] for one in listed} == {None}
    shown = " ".join(thaw("fetch").stdout.split())
    for one in FETCHABLE.values():
        assert one.name in shown
        assert one.sentence in shown


@pytest.mark.usefixtures("dtd")
def test_a_data_set_is_fetched_told_and_known_the_next_time(thaw_home: Path) -> None:
    folder = thaw_home / "datasets" / "dtd"
    note = FETCHABLE["dtd"].note
    shown = thaw("fetch", "DTD", **NOWHERE)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        f"4 pictures in {folder}",
        note,
        f"Look at it with: thaw inspect '{folder}'",
    ]
    again = document(thaw("fetch", "dtd", "--json", **NOWHERE))
    assert again == {"folder": str(folder), "pictures": 4, "notes": [note], "is_new": False}
    assert thaw("fetch", "dtd").stdout.startswith("It is there already; remove its folder")
    [here] = [one for one in document(thaw("fetch", "--json")) if one["folder"]]
    assert (here["name"], here["folder"]) == ("dtd", str(folder))
    report = document(thaw("inspect", str(folder), "--json"))
    assert report["classes"] == [["banded", 1, 1], ["woven", 1, 1]]


def test_a_folder_of_the_hubs_kind_is_fetched(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="needs the extra `hub`")
    pets = distinct_pictures(tmp_path / "pets", {"cats": 3, "dogs": 2})
    fetched = document(thaw("fetch", f"hf:{pets}", "--json", **NOWHERE))
    assert (fetched["pictures"], fetched["is_new"]) == (5, True)
    assert Path(fetched["folder"]).name == "pets"


def test_what_cannot_be_had_is_a_sentence(thaw_home: Path) -> None:
    said = refusal(thaw("fetch", "eurosat", **NOWHERE))
    assert said.startswith("thaw: EuroSAT cannot be downloaded (Connection refused); try again")
    assert f"into {thaw_home / 'downloads' / 'eurosat' / 'eurosat'} yourself." in said
    assert "did you mean 'eurosat'?" in refusal(thaw("fetch", "eurosats"))
    assert set(json.loads(thaw("fetch", "eurosats", "--json").stdout)) == {"error"}
