"""What `thaw serve` refuses to start with, what it tells Streamlit, and what it serves itself."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message
from streamlit.testing.v1 import AppTest

from dashboard.access.rule import Access
from dashboard.server import build_app, serve
from dashboard.upload_section import MOST_MIB
from engine.errors import HomeError, ServeError, ThawError
from engine.runs.store import Store
from engine.training.speeds import FORWARD, TRAIN_FULL, Speed, record_speed
from tests.dashboard.made import add_run

UNWRITABLE = Path("/sys/thaw")


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


class Served:
    """Stands for the app, and keeps the configuration that it is run with."""

    config: dict[str, Any] | None = None
    host: str | None = None
    access: Access | None = None

    def run(self, config: dict[str, Any]) -> None:
        self.config = config


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    app = Served()

    def build(host: str, access: Access) -> Served:
        app.host = host
        app.access = access
        return app

    monkeypatch.setattr("dashboard.server.build_app", build)
    # It holds for the whole process, so for other tests.
    monkeypatch.setattr("dashboard.server.load_config_options", lambda config: None)
    return app


def test_a_port_in_use_is_named_with_a_way_out(taken_port: int, served: Served) -> None:
    with pytest.raises(ServeError, match=rf"127\.0\.0\.1:{taken_port} .*in use") as caught:
        serve("127.0.0.1", taken_port)
    assert f"thaw --port {taken_port + 1}" in str(caught.value)
    assert served.config is None


def test_an_address_of_another_machine_is_refused(served: Served) -> None:
    with pytest.raises(ServeError, match=r"192\.0\.2\.1"):
        serve("192.0.2.1", free_port())
    assert served.config is None


@pytest.mark.skipif(not UNWRITABLE.parent.is_dir(), reason="there is no /sys on this system")
def test_a_home_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    monkeypatch.setenv("THAW_HOME", str(UNWRITABLE))
    with pytest.raises(HomeError, match=r"cannot write to its folder /sys/thaw .*THAW_HOME"):
        serve("127.0.0.1", free_port())
    assert served.config is None


def test_it_listens_where_it_was_told_and_sends_no_statistics(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    serve("127.0.0.1", port)
    assert served.host == "127.0.0.1"
    assert served.config is not None
    assert served.config["server.address"] == "127.0.0.1"
    assert served.config["server.port"] == port
    assert served.config["browser.gatherUsageStats"] is False
    assert served.config["client.showErrorDetails"] == "none"
    assert served.config["server.enableXsrfProtection"] is True
    assert served.config["server.maxUploadSize"] == MOST_MIB
    assert served.config["logger.hideWelcomeMessage"] is True
    assert served.access is not None
    assert served.access.is_open
    assert f"http://localhost:{port}" in capsys.readouterr().out


def test_where_others_come_in_the_address_holds_the_token(
    served: Served, capsys: pytest.CaptureFixture[str], thaw_home: Path
) -> None:
    port = free_port("0.0.0.0")
    serve("0.0.0.0", port)
    token = (thaw_home / "token").read_text().strip()
    assert f"http://localhost:{port}/?token={token}" in capsys.readouterr().out


def test_a_given_token_is_not_printed(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "t").write_text("sixteen-letters!")
    serve("127.0.0.1", free_port(), tmp_path / "t")
    told = capsys.readouterr().out
    assert "opens with the token" in told
    assert "sixteen-letters!" not in told


def test_streamlit_knows_every_option_that_it_is_given(served: Served) -> None:
    serve("127.0.0.1", free_port())
    unknown = []
    for name in served.config or ():
        try:
            st.get_option(name)
        except RuntimeError:
            unknown.append(name)
    assert unknown == []


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
def test_it_can_listen_on_ipv6(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    serve("::1", port)
    assert served.config is not None
    assert f"http://[::1]:{port}" in capsys.readouterr().out


def test_runs_that_wait_are_started_and_the_machine_is_measured(
    served: Served, store: Store, started: list[str]
) -> None:
    add_run(store)
    serve("127.0.0.1", free_port())
    assert started == ["supervisor", "engine.runs.measure"]


def test_a_machine_that_was_measured_is_not_measured_again(
    served: Served, started: list[str]
) -> None:
    for work in (FORWARD, TRAIN_FULL):
        record_speed("efficientnet_lite0", work, Speed(50.0, 160))
    serve("127.0.0.1", free_port())
    assert started == []


@pytest.fixture
def own_routes(store: Store, monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """Thaw's routes behind Thaw's guard, without Streamlit's own server."""

    def app(script: Path, *, routes: Any, middleware: Any, **_: Any) -> Starlette:
        assert script.is_file()
        return Starlette(routes=routes, middleware=middleware)

    monkeypatch.setattr(st, "App", app)
    built: ASGIApp = build_app("127.0.0.1", Access(None, None, 8501))
    return built


def ask(app: ASGIApp, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Returns the status and the beginning of the body of an answer."""

    async def talk() -> tuple[int, bytes]:
        sent: list[Message] = []
        has_answer, has_left = asyncio.Event(), asyncio.Event()
        requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if not requests:
                await has_left.wait()
            return requests.pop()

        async def send(message: Message) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and message.get("body"):
                has_answer.set()

        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        answering: Any = app(scope, receive, send)
        task = asyncio.create_task(answering)
        async with asyncio.timeout(5.0):
            await asyncio.wait(
                {task, asyncio.create_task(has_answer.wait())}, return_when="FIRST_COMPLETED"
            )
        task.cancel()
        bodies = b"".join(message.get("body", b"") for message in sent)
        return int(sent[0]["status"]), bodies

    return asyncio.run(talk())


OWN_HOST = {"host": "127.0.0.1:8501"}


@pytest.mark.parametrize(
    "path", ["/thaw/events", "/thaw/plotly.js", "/thaw/export/0000", "/thaw/picture/0000/0"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {},
        OWN_HOST | {"origin": "http://evil.example"},
        OWN_HOST | {"sec-fetch-site": "cross-site"},
    ],
    ids=["host", "no host", "origin", "cross-site"],
)
def test_own_routes_are_guarded(own_routes: ASGIApp, path: str, headers: dict[str, str]) -> None:
    status, _ = ask(own_routes, path, headers)
    assert status == 403


def test_plotly_comes_from_this_machine(own_routes: ASGIApp) -> None:
    status, body = ask(own_routes, "/thaw/plotly.js", OWN_HOST)
    assert status == 200
    assert b"plotly.js v" in body[:400]


def test_events_are_streamed(
    own_routes: ASGIApp, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.stream.KEEP_ALIVE_SECONDS", 0.05)
    status, body = ask(own_routes, "/thaw/events", OWN_HOST)
    assert (status, body) == (200, b": still here\n\n")


def page_that_fails(message: str, is_ours: bool) -> None:
    import dashboard.server
    from engine.errors import DataError

    error = DataError(message) if is_ours else ValueError(message)
    assert dashboard.server._show_error(error)


def test_an_error_of_ours_is_shown_as_it_is() -> None:
    page = AppTest.from_function(page_that_fails, args=("There is no folder X.", True)).run()
    assert [error.value for error in page.error] == ["There is no folder X."]
    assert not page.exception


def test_a_page_that_fails_is_in_the_log_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    AppTest.from_function(page_that_fails, args=("division by cucumber", False)).run()
    [told] = [one for one in caplog.records if one.name == "thaw.dashboard"]
    assert (told.getMessage(), told.levelname) == ("page failed", "ERROR")
    assert told.exc_info is not None
    assert str(told.exc_info[1]) == "division by cucumber"


def test_any_other_error_is_one_sentence_without_a_traceback() -> None:
    page = AppTest.from_function(page_that_fails, args=("division by cucumber", False)).run()
    [error] = page.error
    assert "ValueError: division by cucumber" in error.value
    assert "Runs are not touched" in error.value
    assert "Traceback" not in error.value
    assert not page.exception


def test_errors_of_serving_are_meant_for_people() -> None:
    assert issubclass(ServeError, ThawError)
    assert issubclass(HomeError, ThawError)
