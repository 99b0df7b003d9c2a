"""Refuses requests that another site makes a browser send here.

Streamlit checks hosts on its WebSocket alone. This stands before every route: a foreign Host is a
name that was rebound to this address, a foreign Origin is a page of another site.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OWN_PREFIX = "/thaw/"
FOREIGN_SITES = frozenset({"cross-site", "same-site"})
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(:\d*)?")


class SameOriginOnly:
    """ASGI middleware that answers 403 to a foreign Host or Origin."""

    def __init__(self, app: ASGIApp, bound_host: str, names: Iterable[str] = ()):
        """Allows the names of this machine that fit the address it is bound to, and `names`.

        THAW_ALLOWED_HOSTS, a comma-separated list, adds the names of a reverse proxy.
        """
        self._app = app
        self._bound_host = bound_host
        extra = os.environ.get("THAW_ALLOWED_HOSTS", "").lower().split(",")
        self._names = LOOPBACK | {bound_host.lower()} | {name.strip() for name in extra}
        self._names |= frozenset(names)
        if bound_host not in LOOPBACK:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._names -= {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        fault = self._fault(Headers(scope=scope), scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": fault})
        else:
            await PlainTextResponse(fault, status_code=403)(scope, receive, send)

    def _fault(self, headers: Headers, path: str) -> str | None:
        if not path.startswith("/"):
            return "This is no path of Thaw's."
        host = headers.get("host", "")
        if len(headers.getlist("host")) > 1 or len(headers.getlist("origin")) > 1:
            return "A request has one Host and one Origin."
        if not self._is_ours(host):
            return (
                "This Host is not allowed. If Thaw is meant to answer to it, start it with "
                "THAW_ALLOWED_HOSTS set to that name."
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host.lower():
            return "This Origin is not allowed: only Thaw's own pages may ask."
        if path.startswith(OWN_PREFIX) and headers.get("sec-fetch-site") in FOREIGN_SITES:
            return "Only Thaw's own pages may ask."
        return None

    def _is_ours(self, host: str) -> bool:
        match = HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].strip("[]").lower()
        if name in self._names:
            return True
        return self._bound_host not in LOOPBACK and _is_address(name)


def _is_address(name: str) -> bool:
    """An address cannot be rebound, so on an open port any of this machine's will do."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
