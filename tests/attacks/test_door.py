"""Coming in without the token, past a foreign Host or Origin, or by wearing the door out."""

import os
import secrets
import socket
import stat
import time
from pathlib import Path

import pytest

from dashboard.access.bounds import MOST, MOST_OF_A_CLIENT
from dashboard.access.sessions import Sessions
from tests.attacks.raw import HANDSHAKE, ask, own_origin, send
from tests.serving import Dashboard

ALL_PATHS = [
    "/",
    "/compare",
    "/thaw/events",
    "/thaw/plotly.js",
    "/thaw/picture/0000/0",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/_stcore/upload_file/a/b",
    "/_stcore/agent/openapi.json",
    "/_stcore/bidi-components/x",
    "/media/x.png",
    "/component/x",
    "/static/index.html",
    "/app/static/x",
    "/auth/login",
    "/auth/logout",
    "/oauth2callback?code=1&state=2",
]
TRICKS = [
    "/thaw%2fevents",
    "/thaw%2Fevents",
    "/%74haw/events",
    "//thaw/events",
    "///thaw/events",
    "/./thaw/events",
    "/thaw/../thaw/events",
    "/thaw/%2e%2e/thaw/events",
    "/thaw/enter/../events",
    "/thaw/enter%2f..%2fevents",
    "/thaw/enter/",
    "/thaw/events;token",
    "/thaw/events/",
    "/THAW/EVENTS",
    "/thaw\\events",
    "/thaw%5cevents",
    "/thaw/events%00",
    "/thaw/events%0d%0aX: y",
    "/oauth2callback/../thaw/events",
    "/auth/login/../../thaw/events",
    "/auth/login%2f..%2f..%2fthaw/events",
    "thaw/events",
    "*",
    "http://127.0.0.1/thaw/events",
]
METHODS = ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X"]


def is_refused(status: int) -> bool:
    return status in {0, 400, 401, 403, 404, 405, 429}


@pytest.mark.parametrize("path", ALL_PATHS)
def test_nothing_is_served_without_the_token(closed: Dashboard, path: str) -> None:
    answer = ask(closed, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert b"streamlit" not in answer.body.lower()


@pytest.mark.parametrize("path", TRICKS)
def test_another_spelling_of_a_path_is_no_way_in(closed: Dashboard, path: str) -> None:
    answer = ask(closed, path)
    assert is_refused(answer.status) or answer.headers.get("location") == "/", answer
    assert "text/event-stream" not in answer.headers.get("content-type", "")
    assert b"still here" not in answer.body


@pytest.mark.parametrize("method", METHODS)
def test_another_method_is_no_way_in(closed: Dashboard, method: str) -> None:
    assert is_refused(ask(closed, "/thaw/events", method, own_origin(closed)).status)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Forwarded-User": "admin"},
        {"X-Original-URL": "/thaw/enter"},
        {"X-Rewrite-URL": "/thaw/enter"},
        {"X-HTTP-Method-Override": "POST"},
        {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAA"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer null"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
    ids=lambda headers: ", ".join(f"{name}: {value}" for name, value in headers.items()),
)
def test_no_header_opens_the_door(closed: Dashboard, headers: dict[str, str]) -> None:
    told = {"X-Forwarded-For": "203.0.113.1"} | headers
    assert ask(closed, "/thaw/events", headers=told).status == 401


@pytest.mark.parametrize("kind", ["address", "bearer", "form"])
def test_a_part_of_the_token_is_not_the_token(closed: Dashboard, token: str, kind: str) -> None:
    wrong = [token[:-1], token[1:], f"{token}x", token.swapcase(), "", " ", "%00", "*"]
    for number, guess in enumerate(wrong):
        told = {"X-Forwarded-For": f"203.0.113.{10 + number}"}
        if kind == "address":
            answer = ask(closed, f"/?token={guess.replace(' ', '+')}", headers=told)
        elif kind == "bearer":
            answer = ask(closed, headers=told | {"Authorization": f"Bearer {guess}"})
        else:
            body = f"token={guess}&next=/".encode()
            answer = ask(closed, "/thaw/enter", "POST", told | own_origin(closed), body)
        assert answer.status == 401, guess
        assert not answer.cookie


def test_the_right_token_opens_and_is_not_the_cookie(closed: Dashboard, token: str) -> None:
    answer = ask(closed, f"/compare?run=abc&token={token}&run=d%26e")
    assert answer.status == 303
    assert answer.headers["location"] == "/compare?run=abc&run=d%26e"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    parts = answer.headers["set-cookie"].lower().split("; ")
    assert {"httponly", "samesite=strict", "path=/"} <= set(parts)
    assert "secure" not in parts
    assert token not in answer.headers["set-cookie"]
    assert answer.cookie.startswith(f"thaw_session_{closed.port}=")
    assert ask(closed, headers={"Cookie": answer.cookie}).status == 200
    assert ask(closed, headers={"Authorization": f"Bearer {token}"}).status == 200


def test_behind_a_proxy_that_speaks_https_the_cookie_is_secure(
    closed: Dashboard, token: str
) -> None:
    answer = ask(closed, f"/?token={token}", headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in answer.headers["set-cookie"]


def test_cookies_that_were_made_up_are_refused(closed: Dashboard, token: str, cookie: str) -> None:
    name, _, value = cookie.partition("=")
    ends, nonce, mark = value.split(".")
    later = str(int(ends) + 1)
    of_another = Sessions("another token, long enough", closed.port).make()
    expired = Sessions(token, closed.port)
    old = f"{int(time.time()) - 1}.{nonce}"
    forged = [
        f"{later}.{nonce}.{mark}",
        f"{ends}.{'0' * 32}.{mark}",
        f"{ends}.{nonce}.{'0' * 64}",
        f"{ends}.{nonce}.",
        f"{ends}.{nonce}",
        of_another,
        f"{old}.{expired._mark(old)}",
        token,
        "",
        "x" * 8000,
    ]
    for one in forged:
        assert ask(closed, headers={"Cookie": f"{name}={one}"}).status == 401, one
    for other in (f"thaw_session_{closed.port + 1}", "_streamlit_user", "thaw_session"):
        assert ask(closed, headers={"Cookie": f"{other}={value}"}).status == 401, other


def test_a_cookie_tossed_from_another_port_does_not_lock_out(
    closed: Dashboard, cookie: str
) -> None:
    name = cookie.partition("=")[0]
    for line in (f"{name}=forged; {cookie}", f"{cookie}; {name}=forged"):
        assert ask(closed, headers={"Cookie": line}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "//evil.example/%2f..",
        "/%2f/evil.example",
        "/%0d%0aLocation:%20http://evil.example",
        "/%09/evil.example",
        "http://evil.example/",
    ],
)
@pytest.mark.parametrize("way", ["address", "form"])
def test_the_door_leads_nowhere_else(closed: Dashboard, token: str, path: str, way: str) -> None:
    if way == "address":
        answer = ask(closed, f"{path}?token={token}")
    else:
        body = f"token={token}&next={path}".encode()
        answer = ask(closed, "/thaw/enter", "POST", own_origin(closed), body)
    target = answer.headers.get("location", "/")
    assert target.startswith("/")
    assert target[1:2] not in {"/", "\\"}
    assert "location" not in answer.body.decode().lower()
    assert answer.status in {303, 400, 403}


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1"])
def test_another_site_cannot_send_the_form(closed: Dashboard, token: str, origin: str) -> None:
    headers = {"Origin": origin} if origin else {}
    answer = ask(closed, "/thaw/enter", "POST", headers, f"token={token}".encode())
    assert answer.status == 403
    assert not answer.cookie


def test_the_form_takes_no_giant(closed: Dashboard) -> None:
    origin = own_origin(closed)
    assert ask(closed, "/thaw/enter", "POST", origin, b"a" * 200_000).status in {0, 413}
    chunked = {**origin, "Transfer-Encoding": "chunked"}
    body = b"".join(b"1000\r\n" + b"a" * 4096 + b"\r\n" for _ in range(64))
    assert ask(closed, "/thaw/enter", "POST", chunked, body).status in {0, 413}
    many = "&".join(f"a{number}=1" for number in range(1000)).encode()
    assert ask(closed, "/thaw/enter", "POST", origin, many).status == 400


def test_own_routes_read_no_giant_body(closed: Dashboard, cookie: str) -> None:
    headers = {"Cookie": cookie, "Content-Length": str(10**12)}
    assert ask(closed, "/thaw/plotly.js", headers=headers, body=b"a" * 1000).status == 200


def test_guessing_is_slowed_down_for_that_client_alone(closed: Dashboard, token: str) -> None:
    guesser = {"X-Forwarded-For": "198.51.100.7"}
    statuses = [
        ask(closed, headers=guesser | {"Authorization": f"Bearer {secrets.token_urlsafe(32)}"})
        for _ in range(8)
    ]
    assert [one.status for one in statuses[:5]] == [401] * 5
    assert statuses[-1].status == 429
    assert int(statuses[-1].headers["retry-after"]) >= 1
    right = {"Authorization": f"Bearer {token}"}
    assert ask(closed, headers=guesser | right).status == 429
    assert ask(closed, headers={"X-Forwarded-For": "198.51.100.8"} | right).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
    ids=["no cookie", "foreign origin", "origin null", "foreign host"],
)
def test_the_websocket_is_closed(closed: Dashboard, headers: dict[str, str], status: int) -> None:
    told = HANDSHAKE | own_origin(closed) | headers
    assert ask(closed, "/_stcore/stream", headers=told).status == status


def test_the_websocket_is_closed_to_another_site_of_somebody_who_is_in(
    closed: Dashboard, cookie: str
) -> None:
    told = HANDSHAKE | {"Cookie": cookie}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert ask(closed, "/_stcore/stream", headers=told | {"Origin": origin}).status == 403
    assert ask(closed, "/_stcore/stream", headers=told | own_origin(closed)).status == 101


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_another_site_uploads_nothing_for_somebody_who_is_in(
    closed: Dashboard, cookie: str, method: str
) -> None:
    path = "/_stcore/upload_file/session/file"
    told = {"Cookie": cookie}
    foreign = told | {"Origin": "http://evil.example"}
    assert ask(closed, path, method, foreign, b"x").status == 403
    without_xsrf = told | own_origin(closed)
    assert ask(closed, path, method, without_xsrf, b"x").status == 403
    half = without_xsrf | {"Cookie": f"{cookie}; _streamlit_xsrf=2|00000000|00|1"}
    assert ask(closed, path, method, half, b"x").status == 403


HOST_ATTACKS = {
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "HTTP/1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "a name that was rebound": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "two Hosts, ours last": b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n",
    "Host as a list": b"GET / HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n",
    "X-Forwarded-Host": b"GET / HTTP/1.1\r\nHost: evil.example\r\n"
    b"X-Forwarded-Host: localhost\r\n\r\n",
    "absolute target": b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "absolute target of another": b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two Origins": b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
    b"Origin: http://evil.example\r\n\r\n",
    "Origin null": b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: evil.example\r\n localhost\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: evil.example\n\n",
    "zero byte": b"GET / HTTP/1.1\r\nHost: localhost\0.evil.example\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "negative chunk": b"POST /thaw/enter HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
}


@pytest.mark.parametrize("name", HOST_ATTACKS)
def test_a_crooked_request_is_refused(local: Dashboard, name: str) -> None:
    assert send(local, HOST_ATTACKS[name]).status in {0, 400, 403, 405}


def test_an_honest_request_is_served(local: Dashboard) -> None:
    assert ask(local).status == 200
    assert ask(local, headers={"Host": "localhost"} | {"Origin": "http://localhost"}).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/thaw/events", "/thaw%2Fevents", "/thaw/plotly.js"])
def test_another_site_cannot_embed_own_routes(local: Dashboard, path: str, site: str) -> None:
    assert ask(local, path, headers={"Sec-Fetch-Site": site}).status == 403


def test_headers_are_bounded(local: Dashboard) -> None:
    assert ask(local, headers={"X-Long": "a" * 200_000}).status in {0, 400, 431}
    many = {f"X-{number}": "a" * 100 for number in range(5_000)}
    assert ask(local, headers=many).status in {0, 400, 431}
    assert ask(local, "/" + "a" * 200_000).status in {0, 400, 414}


@pytest.mark.parametrize("path", ["/", "/thaw/plotly.js", "/nowhere"])
def test_no_site_can_frame_it_and_types_are_not_guessed(local: Dashboard, path: str) -> None:
    headers = ask(local, path).headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("client", "most"), [("", MOST), ("X-Forwarded-For: 198.51.100.9\r\n", MOST_OF_A_CLIENT)]
)
def test_streams_are_bounded(local: Dashboard, client: str, most: int) -> None:
    host = f"Host: 127.0.0.1:{local.port}\r\n"
    request = f"GET /thaw/events HTTP/1.1\r\n{host}{client}\r\n".encode()
    wires: list[socket.socket] = []
    statuses: list[bytes] = []
    try:
        for _ in range(most + 1):
            wires.append(wire := socket.create_connection(("127.0.0.1", local.port), timeout=30))
            wire.sendall(request)
            statuses.append(wire.recv(12)[-3:])
    finally:
        for wire in wires:
            wire.close()
    assert statuses[:most] == [b"200"] * most
    assert statuses[most] == b"503"
    deadline = time.monotonic() + 60
    while local.num_connections() > 10 or ask(local, "/thaw/events").status != 200:
        assert time.monotonic() < deadline, "no stream is let in again"
        time.sleep(0.2)


def test_the_made_token_is_long_and_its_file_is_for_its_owner_alone(
    closed: Dashboard, token: str, log: Path
) -> None:
    assert len(token) >= 43
    assert stat.S_IMODE((closed.home / "token").stat().st_mode) == 0o600
    assert (closed.home / "token").stat().st_uid == os.getuid()
    assert f"http://localhost:{closed.port}/?token={token}" in log.read_text()
