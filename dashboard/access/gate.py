"""Lets nobody pass who has not shown the token or signed in, whatever is asked for."""

from urllib.parse import parse_qs, parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.access.login_page import ENTER, POLICY, SIGN_IN, login_page
from dashboard.access.oidc import OPEN_PATHS, login_address
from dashboard.access.rule import Access, Answer, every_cookies
from dashboard.access.sessions import LIFETIME_SECONDS

LEAVE = "/thaw/leave"
MOST_FORM_BYTES = 8192
NOTHING_KEPT = {"Cache-Control": "no-store"}


class AdmittedOnly:
    """ASGI middleware that answers 401 to who is not let in."""

    def __init__(self, app: ASGIApp, access: Access):
        """Takes what opens the dashboard."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers it."""
        if scope["type"] not in {"http", "websocket"} or self._access.is_open:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif response := await self._response(Request(scope, receive)):
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._access.answer(Headers(scope=scope), _address(scope)) == "in":
            await self._app(scope, receive, send)
        elif "websocket.http.response" in scope.get("extensions", {}):
            start = {"status": 401, "headers": [(b"content-length", b"0")]}
            await send({"type": "websocket.http.response.start", **start})
            await send({"type": "websocket.http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _response(self, request: Request) -> Response | None:
        """Returns the answer to a request that goes no further, None where it may pass."""
        access, get = self._access, request.method in {"GET", "HEAD"}
        path = request.scope["path"]
        if path == ENTER:
            return await self._enter(request) if request.method == "POST" else _go("/")
        if path == LEAVE and get:
            return self._left()
        if get and access.token and "token" in request.query_params:
            return self._with_token(request)
        if access.sign_in and get and path in OPEN_PATHS:
            return None
        if access.sign_in and get and path == SIGN_IN:
            return self._to_provider(request)
        answer = access.answer(request.headers, _address(request.scope))
        return None if answer == "in" else self._refusal(request, answer)

    def _with_token(self, request: Request) -> Response:
        """Answers an address that holds a token: it leaves the address bar and is a cookie."""
        rest = parse_qsl(request.url.query, keep_blank_values=True)
        target = _address_of(request.scope["path"], [pair for pair in rest if pair[0] != "token"])
        answer = self._access.try_token(request.query_params["token"], _address(request.scope))
        if answer != "in":
            return self._refusal(request, answer, target)
        return self._entered(request, target)

    async def _enter(self, request: Request) -> Response:
        # Browsers name the origin of each form; which one it may be was checked before.
        if not request.headers.get("origin"):
            return PlainTextResponse("Only Thaw's own page may send this.", 403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_FORM_BYTES:
                return PlainTextResponse("That is too much.", 413, {"Connection": "close"})
        try:
            form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        except ValueError:
            return PlainTextResponse("This is no form of Thaw's.", 400)
        target = _local(form.get("next", ["/"])[0])
        token = form.get("token", [""])[0].strip()
        answer = self._access.try_token(token, _address(request.scope))
        if answer != "in":
            return self._refusal(request, answer, target)
        return self._entered(request, target)

    def _entered(self, request: Request, target: str) -> Response:
        response = _go(target)
        response.headers["Referrer-Policy"] = "no-referrer"
        if sessions := self._access.sessions:
            response.set_cookie(
                sessions.cookie_name,
                sessions.make(),
                max_age=LIFETIME_SECONDS,
                path="/",
                httponly=True,
                samesite="strict",
                # So a proxy on this machine says that it speaks https; others are not believed.
                secure=request.url.scheme == "https",
            )
        return response

    def _left(self) -> Response:
        response = _go("/")
        if sessions := self._access.sessions:
            response.delete_cookie(sessions.cookie_name, path="/", httponly=True, samesite="strict")
        return response

    def _to_provider(self, request: Request) -> Response:
        provider = request.query_params.get("provider", "")
        if self._access.sign_in and provider in self._access.sign_in.providers:
            return _go(login_address(provider))
        return _go("/")

    def _refusal(self, request: Request, answer: Answer, target: str | None = None) -> Response:
        access, headers = self._access, dict(NOTHING_KEPT)
        wait = access.attempts.wait_seconds(_address(request.scope))
        status = 429 if answer == "wait" else 401
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer" if access.token else "Cookie"
        if wait:
            headers["Retry-After"] = str(wait)
        fault = _fault(answer, wait)
        if "text/html" not in request.headers.get("accept", "") or _is_part(request):
            told = fault or "Thaw asks who you are: open its address in a browser first, or send "
            told += "" if fault else "its token as `Authorization: Bearer`."
            return PlainTextResponse(told, status, headers)
        if target is None:
            query = parse_qsl(request.url.query, keep_blank_values=True)
            target = _address_of(request.scope["path"], query) if request.method == "GET" else "/"
        page = login_page(
            target,
            has_token=access.token is not None,
            is_made=access.token is not None and access.token.is_made,
            sign_in=access.sign_in,
            fault=fault,
            stranger=self._stranger(request),
            asks_again=answer == "out" and _is_followed_link(request),
        )
        return HTMLResponse(page, status, headers | {"Content-Security-Policy": POLICY})

    def _stranger(self, request: Request) -> str:
        """Returns who signed in and may not come in, or an empty text."""
        if self._access.sign_in is None:
            return ""
        users = (self._access.sign_in.user(table) for table in every_cookies(request.headers))
        known = next((user for user in users if user), None)
        return "" if known is None else str(known.get("email") or known.get("sub") or "somebody")


def _fault(answer: Answer, wait: int) -> str:
    if answer == "wait":
        return f"Too many wrong tokens were tried; wait {wait} s and try again."
    if answer == "wrong":
        return f"This is not the token.{f' Wait {wait} s before the next try.' if wait else ''}"
    return ""


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _is_part(request: Request) -> bool:
    """Returns whether a browser asks for a part of a page, and not for a page to show."""
    return request.headers.get("sec-fetch-mode", "navigate") != "navigate"


def _is_followed_link(request: Request) -> bool:
    foreign = request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    return foreign and request.method == "GET"


def _go(target: str) -> RedirectResponse:
    return RedirectResponse(target, 303, NOTHING_KEPT)


def _address_of(path: str, query: list[tuple[str, str]]) -> str:
    return _local(f"{quote(path)}?{urlencode(query)}" if query else quote(path))


def _local(target: str) -> str:
    """Returns an address of this dashboard: one that a browser takes for another site's is `/`."""
    is_local = target.startswith("/") and target[1:2] not in {"/", "\\"}
    return target if is_local and target.isascii() and target.isprintable() else "/"
