"""Requests as bytes, so that a client library neither mends nor refuses them."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.serving import Dashboard

SECONDS = 20
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass(frozen=True)
class Answer:
    """What came back: the status, 0 where the connection was closed without one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def cookie(self) -> str:
        """Name and value of the cookie that is set, or an empty text."""
        return self.headers.get("set-cookie", "").partition(";")[0]


def send(dashboard: Dashboard, request: bytes) -> Answer:
    """Sends bytes and returns the first answer, with what of its body comes along."""
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=SECONDS) as wire:
        received = b""
        try:
            wire.sendall(request)
            while b"\r\n\r\n" not in received and (chunk := wire.recv(65536)):
                received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            headers = _headers(head)
            most = min(int(headers.get("content-length", 0)), 100_000)
            while len(body) < most and (chunk := wire.recv(65536)):
                body += chunk
        except (ConnectionResetError, BrokenPipeError):
            head, _, body = received.partition(b"\r\n\r\n")
            headers = _headers(head)
    if not head:
        return Answer(0)
    return Answer(int(head.split(b" ", 2)[1]), headers, body)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}


def ask(
    dashboard: Dashboard,
    target: str = "/",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Returns the answer to a request; it names the right host where `headers` name none."""
    told = {"Host": f"127.0.0.1:{dashboard.port}", **(headers or {})}
    if body and "Transfer-Encoding" not in told:
        told.setdefault("Content-Length", str(len(body)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return send(dashboard, f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)


def own_origin(dashboard: Dashboard) -> dict[str, str]:
    """Returns the Origin that the dashboard's own pages send."""
    return {"Origin": f"http://127.0.0.1:{dashboard.port}"}
