"""Bounds what stays open: nobody can take all connections with event streams and WebSockets."""

from collections import Counter

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.guard import LOOPBACK

EVENTS = "/thaw/events"
MOST = 512
MOST_OF_A_CLIENT = 128
TOLD = "Too many pages are open; close some."


class BoundedStreams:
    """ASGI middleware that answers 503 to one connection too many that would stay open."""

    def __init__(self, app: ASGIApp):
        self._app = app
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and counts it while it lasts."""
        if scope["type"] != "websocket" and scope.get("path") != EVENTS:
            await self._app(scope, receive, send)
            return
        client = str((scope.get("client") or ("",))[0])
        if self._is_too_many(client):
            await _refuse(scope, receive, send)
            return
        self._open[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _is_too_many(self, client: str) -> bool:
        # All clients of a proxy on this machine that does not tell them apart are one.
        of_client = 0 if client in LOOPBACK else self._open[client]
        return of_client >= MOST_OF_A_CLIENT or self._open.total() >= MOST


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        response = PlainTextResponse(TOLD, 503, {"Retry-After": "10"})
        await response(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        headers = [(b"content-length", b"0"), (b"retry-after", b"10")]
        await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1013})
