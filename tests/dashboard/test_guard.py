"""What another site makes a browser send here is refused, before any route sees it."""

import asyncio
import socket
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from dashboard.guard import SameOriginOnly

HOME = "127.0.0.1"
HOST = "127.0.0.1:8501"
ORIGIN = f"http://{HOST}"


class Page:
    """An app that answers everything, and says whether it was reached."""

    def __init__(self) -> None:
        self.was_reached = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.was_reached = True
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.accept"})


def ask(
    headers: dict[str, str], path: str = "/", kind: str = "http", bound_host: str = HOME
) -> Message:
    """Returns the first message that the guard, or the page behind it, answers with."""
    page = Page()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": kind,
        "method": "GET",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(SameOriginOnly(page, bound_host)(scope, receive, send))
    was_let_through = sent[0].get("status") == 200 or sent[0]["type"] == "websocket.accept"
    assert page.was_reached == was_let_through
    return sent[0]


def status(headers: dict[str, str], path: str = "/", bound_host: str = HOME) -> int:
    """Returns the HTTP status that a request gets."""
    return int(ask(headers, path, bound_host=bound_host)["status"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8501",
        "localhost",
        "localhost:8501",
        "LocalHost:80",
        "[::1]",
        "[::1]:8501",
    ],
)
@pytest.mark.parametrize("path", ["/", "/thaw/events"])
def test_this_machine_is_let_in(host: str, path: str) -> None:
    assert status({"host": host}, path) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "127.0.0.1:8501@evil.example",
        "evil.example.",
        "localhost.",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "192.168.1.7",
        "[::2]",
        "[::1",
        "::1]",
        "[localhost]",
        "[127.0.0.1]evil.example",
        "127.1",
        "0.0.0.0",
        "",
        ":8501",
        " ",
    ],
)
@pytest.mark.parametrize("path", ["/", "/thaw/events", "/_stcore/health"])
def test_another_host_is_refused(host: str, path: str) -> None:
    assert status({"host": host}, path) == 403


@pytest.mark.parametrize(
    "host",
    [
        "[::1].evil.example",
        "[::1]evil.example:80",
        "evil.example@127.0.0.1",
        "127.0.0.1/evil.example",
        "127.0.0.1?evil.example",
        "127.0.0.1#evil.example",
        "127.0.0.1:evil.example",
    ],
)
def test_what_only_begins_or_ends_like_this_machine_is_refused(host: str) -> None:
    assert status({"host": host}) == 403


def test_no_host_is_refused() -> None:
    assert status({}) == 403


def test_the_refusal_says_what_to_do() -> None:
    page = Page()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"lab.example")]}
    asyncio.run(SameOriginOnly(page, HOME)(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent).decode()
    assert "THAW_ALLOWED_HOSTS" in body


def test_own_pages_may_ask() -> None:
    assert status({"host": HOST, "origin": ORIGIN}, "/thaw/events") == 200
    assert status({"host": "localhost:8501", "origin": "http://LOCALHOST:8501"}) == 200
    assert status({"host": "[::1]:8501", "origin": "http://[::1]:8501"}) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:8501",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://localhost:8501",
        "http://127.0.0.1:8501.evil.example",
        "http://127.0.0.1:8501@evil.example",
        "http://evil.example#127.0.0.1:8501",
        "127.0.0.1:8501",
        "file://",
        "http://[::1",
        "http://[127.0.0.1:8501",
    ],
)
@pytest.mark.parametrize("path", ["/", "/thaw/events"])
def test_another_origin_is_refused(origin: str, path: str) -> None:
    assert status({"host": HOST, "origin": origin}, path) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": HOST, "origin": "http://evil.example"},
        {"host": HOST, "origin": "null"},
        {"host": HOST, "origin": "http://127.0.0.1:3000"},
        {},
    ],
    ids=["host", "origin", "null", "port", "nothing"],
)
def test_a_websocket_from_elsewhere_is_closed(headers: dict[str, str]) -> None:
    answer = ask(headers, "/_stcore/stream", kind="websocket")
    assert answer["type"] == "websocket.close"
    assert answer["code"] == 1008


def test_a_websocket_from_here_is_accepted() -> None:
    answer = ask({"host": HOST, "origin": ORIGIN}, "/_stcore/stream", kind="websocket")
    assert answer["type"] == "websocket.accept"


def test_another_site_cannot_embed_what_thaw_serves() -> None:
    headers = {"host": HOST, "sec-fetch-site": "cross-site"}
    assert status(headers, "/thaw/events") == 403
    assert status(headers, "/thaw/plotly.js") == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_pages_and_the_address_bar_may_fetch(site: str) -> None:
    assert status({"host": HOST, "sec-fetch-site": site}, "/thaw/plotly.js") == 200


def test_a_link_on_another_site_opens_the_dashboard() -> None:
    assert status({"host": HOST, "sec-fetch-site": "cross-site"}, "/compare") == 200


def test_a_reverse_proxy_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_ALLOWED_HOSTS", "thaw.example , LAB.example,")
    for name in ("thaw.example", "THAW.example:443", "lab.example"):
        assert status({"host": name}) == 200
    for name in ("evil.example", "sub.thaw.example", ""):
        assert status({"host": name}) == 403
    headers = {"host": "thaw.example", "origin": "https://thaw.example"}
    assert status(headers, "/thaw/events") == 200
    assert status(headers | {"origin": "https://evil.example"}, "/thaw/events") == 403


@pytest.mark.parametrize("host", ["192.168.1.7:8501", "10.0.0.3", "[fe80::1]:8501", "localhost"])
def test_an_open_port_answers_to_addresses(host: str) -> None:
    assert status({"host": host}, bound_host="0.0.0.0") == 200


def test_an_open_port_answers_to_this_machines_name() -> None:
    name = socket.gethostname()
    assert status({"host": f"{name.upper()}:8501"}, bound_host="0.0.0.0") == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "192.168.1.7.evil.example", "192.168.1.7@evil.example", "3232235777", ""],
)
def test_an_open_port_refuses_foreign_names(host: str) -> None:
    assert status({"host": host}, bound_host="0.0.0.0") == 403


def test_a_name_that_it_is_bound_to_is_ours_however_it_is_written() -> None:
    assert status({"host": "lab-machine:8501"}, bound_host="Lab-Machine") == 200


def test_what_is_no_request_passes() -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def nothing(*_: object) -> Any:
        raise AssertionError

    asyncio.run(SameOriginOnly(app, HOME)({"type": "lifespan"}, nothing, nothing))
    assert reached == ["lifespan"]
