"""Runs that go to another machine and come from one, on the Runs page."""

import asyncio
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message
from streamlit.testing.v1 import AppTest

from dashboard.downloads import download_url
from dashboard.elsewhere import why_not_again
from engine.home import run_folder
from engine.insight.compare import report
from engine.runs.importing import import_run
from engine.runs.store import Run, Store
from tests.dashboard.made import CLASSES, add_run, finish, start
from tests.dashboard.pages import open_page, run, text_of
from tests.dashboard.test_live_page import Stopper, stopper
from tests.dashboard.test_runs_page import labels, names, tick
from tests.dashboard.test_server import OWN_HOST, own_routes
from tests.engine.hostile.run_files import members_of, packed, small_file, small_run, with_document
from tests.engine.moved import at_home
from tests.engine.pictures import distinct_pictures

__all__ = ["own_routes", "stopper"]


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """The file of a run of another machine, with what it can be resumed from."""
    with at_home(tmp_path / "away") as other:
        return small_file(other, tmp_path)


def send(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.file_uploader[0].set_value([(name, content, "") for name, content in files])
    return run(page)


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def links(page: AppTest) -> dict[str, str]:
    return {one.proto.label.replace("\\", ""): one.proto.url for one in page.get("link_button")}


def test_a_run_comes_in_where_there_was_none(away: Path, store: Store) -> None:
    page = open_page("runs")
    assert "No run yet." in text_of(page)
    send(page, (away.name, away.read_bytes()))
    [came] = store.all_runs()
    assert names(page) == [came.name]
    assert f"{came.name} ({came.id}) came in." in written(page)
    assert page.file_uploader[0].value in (None, [])
    run(page)
    assert len(store.all_runs()) == 1


def test_several_are_counted_and_each_is_told_of(away: Path, store: Store, tmp_path: Path) -> None:
    with at_home(tmp_path / "third") as other:
        second = small_file(other, tmp_path)
    page = send(
        open_page("runs"),
        (away.name, away.read_bytes()),
        (second.name, second.read_bytes()),
        ("holiday.thaw", b"no run at all"),
        ("again.thaw", away.read_bytes()),
    )
    text = written(page)
    assert "2 runs came in." in text
    assert "is here already; nothing was changed" in text
    [fault] = [one.value.replace("\\", "") for one in page.error]
    assert fault.startswith("holiday.thaw is no file of a run, or is damaged")
    assert len(store.all_runs()) == 2
    send(page, (away.name, away.read_bytes()))
    assert not page.error
    assert "2 runs came in" not in text_of(page)


def test_what_a_file_says_is_shown_letter_by_letter(
    away: Path, store: Store, tmp_path: Path
) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["run"]["name"] = "<b>:red[*x*](javascript:alert(1))"

    file = packed(with_document(members_of(away), rename), tmp_path / "odd.thaw")
    page = send(open_page("runs"), (file.name, file.read_bytes()))
    assert "\\<b\\>\\:red\\[\\*x\\*\\]" in text_of(page)


def test_runs_that_have_ended_can_be_downloaded(store: Store) -> None:
    done = small_run(store)
    waiting = add_run(store)
    for one, name in ((done, "Done"), (waiting, "Waiting")):
        store.mark(one.id, name=name)
    assert links(tick(open_page("runs"), "Waiting")) == {}
    page = tick(open_page("runs"), "Done", "Waiting")
    [(label, url)] = links(page).items()
    assert label == f"Done · {done.id[:4]} (0.0 MB)"
    assert url == download_url(done.id, with_states=False) == f"/thaw/export/{done.id}"
    page.checkbox(key="runs.export.states").check()
    assert list(links(run(page)).values()) == [f"/thaw/export/{done.id}?states=1"]


def fetch(
    app: ASGIApp, path: str, headers: dict[str, str], leaves: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """Returns the whole answer to a request, or breaks off when its body begins."""
    sent: list[Message] = []
    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    path, _, query = path.partition("?")

    async def receive() -> Message:
        if not requests:
            await asyncio.sleep(60)
        return requests.pop()

    async def send(message: Message) -> None:
        if leaves and message["type"] == "http.response.body":
            raise OSError("gone")
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("with_states", [False, True])
def test_a_download_is_the_run_and_leaves_nothing_on_the_disk(
    with_states: bool, store: Store, own_routes: ASGIApp, tmp_path: Path, thaw_home: Path
) -> None:
    done = small_run(store)
    before = sorted(thaw_home.rglob("*"))
    status, told, body = fetch(own_routes, download_url(done.id, with_states), OWN_HOST)
    assert status == 200
    assert told["content-disposition"] == f'attachment; filename="frozen-photos-{done.id}.thaw"'
    assert int(told["content-length"]) == len(body)
    assert sorted(thaw_home.rglob("*")) == before
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        states = [name for name in archive.namelist() if name.startswith("state-")]
    assert len(states) == with_states
    with at_home(tmp_path / "other") as other:
        came = import_run(other, io.BytesIO(body), "sent.thaw").run
        assert report(other, came).best_val_accuracy == report(store, done).best_val_accuracy


def test_who_leaves_during_a_download_leaves_nothing_open(
    store: Store, own_routes: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = small_run(store)
    made: list[Any] = []
    real = tempfile.TemporaryFile

    def make(**named: Any) -> Any:
        made.append(real(**named))
        return made[-1]

    monkeypatch.setattr("dashboard.downloads.tempfile.TemporaryFile", make)
    with pytest.raises(ClientDisconnect):
        fetch(own_routes, download_url(done.id, False), OWN_HOST, leaves=True)
    # The first of them shows that THAW_HOME can be written.
    assert made
    assert all(file.closed for file in made)


def test_a_download_that_cannot_be_is_a_sentence(store: Store, own_routes: ASGIApp) -> None:
    waiting = add_run(store)
    status, _, body = fetch(own_routes, download_url(waiting.id, False), OWN_HOST)
    assert status == 409
    assert b"is queued; only a run that has ended can be exported" in body
    status, _, body = fetch(own_routes, download_url("0000", False), OWN_HOST)
    assert status == 404
    assert body == b"There is no run '0000'; `thaw runs` lists them."


def brought(store: Store, away: Path, status: str = "stopped", folder: str = "/photos") -> Run:
    """The run of a file as if it had ended otherwise, and on images that lie elsewhere."""

    def change(document: dict[str, Any]) -> None:
        document["run"]["status"] = status
        document["run"]["spec"]["data"]["folder"] = folder

    file = packed(with_document(members_of(away), change), away.with_name("changed.thaw"))
    with file.open("rb") as opened:
        return import_run(store, opened, file.name).run


def test_without_its_images_it_is_not_offered_to_go_on(away: Path, store: Store) -> None:
    came = brought(store, away)
    page = tick(open_page("runs"), came.name)
    assert "Resume" not in labels(page)
    text = written(page)
    assert "Came from a file on" in text
    assert "not resumed or trained again here: " in text
    assert "/photos" in text
    own = start(store, add_run(store, name="Own"))
    store.set_status(own.id, "stopped")
    assert "Resume" in labels(tick(open_page("runs"), "Own"))


def test_nor_does_it_go_on_from_its_card(
    away: Path, store: Store, stopper: Stopper, tmp_path: Path
) -> None:
    came = brought(store, away)
    page = open_page("live", [came.id])
    stopper.resume = came.id
    assert "came from a file and cannot be trained here. " in written(run(page))
    assert store.run(came.id).status == "stopped"
    stopper.resume = "none"
    assert "There is no run 'none'" in written(run(page))


def test_where_its_images_are_it_can_go_on(away: Path, store: Store, tmp_path: Path) -> None:
    photos = distinct_pictures(tmp_path / "photos", {"cats": 2, "dogs": 2})
    came = brought(store, away, folder=str(photos))
    page = tick(open_page("runs"), came.name)
    assert "Resume" in labels(page)
    assert "Its images are here" in written(page)


def test_a_file_cannot_make_a_page_read_what_it_may_not(
    away: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = distinct_pictures(tmp_path / "private", {"cats": 2, "dogs": 2})
    came = brought(store, away, folder=str(private))
    assert why_not_again(came) == ""
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path / "allowed"))
    assert "outside the folders that Thaw may read here" in why_not_again(came)
    assert "Resume" not in labels(tick(open_page("runs"), came.name))


def test_a_run_from_elsewhere_is_compared_like_any(away: Path, store: Store) -> None:
    with away.open("rb") as file:
        came = import_run(store, file, away.name).run
    own = finish(store, add_run(store, "full"), val_accuracies=(0.4, 0.6))
    page = open_page("compare", [own.id, came.id])
    table = page.dataframe[0].value
    shown = " ".join(map(str, table.to_numpy().ravel()))
    assert "70.0 %" in shown
    assert "60.0 %" in shown
    classes = open_page("compare", [own.id, came.id], view="Classes")
    assert "Which classes are taken for which" in text_of(classes)
    predictions = report(store, came).predictions()
    assert predictions is not None
    assert predictions.probabilities_NK.shape[1] == len(CLASSES)
    assert (run_folder(came.id) / "best.safetensors").is_file()
    assert not page.warning


def test_its_settings_fill_the_train_page_which_says_what_is_not_here(
    away: Path, store: Store
) -> None:
    came = brought(store, away, folder="/nowhere/photos")
    page = tick(open_page("runs"), came.name)
    next(one for one in page.button if one.label == "Use its settings").click()
    run(page)
    assert "/nowhere/photos" in written(page)
    assert page.error
