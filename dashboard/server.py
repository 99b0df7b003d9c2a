"""The ASGI app: Streamlit's pages, our event stream and assets, and the guard before them."""

import asyncio
import errno
import logging
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from anyio import to_thread
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from streamlit.web.bootstrap import load_config_options

from dashboard.access.bounds import BoundedStreams
from dashboard.access.gate import AdmittedOnly
from dashboard.access.headers import SecureHeaders
from dashboard.access.pages import let_in_by
from dashboard.access.rule import Access, access_for
from dashboard.allocator import keep_giving_back, keep_memory_level
from dashboard.downloads import PATH as DOWNLOAD_PATH
from dashboard.downloads import Downloads
from dashboard.guard import LOOPBACK, SameOriginOnly
from dashboard.palette import DARK, LIGHT, PRIMARY, PRIMARY_DARK
from dashboard.pictures import PATH as PICTURE_PATH
from dashboard.pictures import Pictures
from dashboard.runs import plain, store
from dashboard.sockets import drop_the_silent
from dashboard.stream import Hub, events_response
from dashboard.upload_section import MOST_MIB
from engine.errors import ServeError, ThawError
from engine.home import thaw_home
from engine.logs import note, start_logs
from engine.models.catalogue import DEFAULT_BACKBONE
from engine.redact import redacted
from engine.runs.process import start_detached
from engine.runs.queue import tend
from engine.runs.search_study import tend_searches
from engine.training.speeds import known_speeds

EVERYWHERE = frozenset({"0.0.0.0", "::"})
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def serve(host: str, port: int, token_file: Path | None = None) -> None:
    """Serves the dashboard until it is interrupted.

    Args:
        host: address to listen on; others than this machine's own ask who comes in.
        port: to listen on.
        token_file: holds the token that opens it.

    Raises:
        HomeError: THAW_HOME cannot be written.
        StoreError: the store cannot be opened.
        ServeError: the address cannot be listened on, or the token cannot be used.
    """
    _require_free(host, port)
    keep_memory_level()
    start_logs("dashboard")
    # Before secrets.toml is read: Streamlit would warn of settings that change afterwards.
    load_config_options(_config(host, port))
    access = access_for(host, port, token_file)
    tend(store())
    note("dashboard", "dashboard started", host=host, port=port)
    tend_searches()
    if not known_speeds():
        log_file = thaw_home() / "cache" / "speeds" / "measure.log"
        start_detached(["engine.runs.measure", DEFAULT_BACKBONE], log_file)
    print(f"\n{_greeting(host, port, access)}\n", flush=True)
    try:
        build_app(host, access).run(config=_config(host, port))
    finally:
        note("dashboard", "dashboard ended", port=port)


def build_app(host: str, access: Access) -> Any:
    """Returns the ASGI app for a server that is bound to `host`."""
    hub = Hub(store())
    downloads = Downloads(store())
    pictures = Pictures(store())
    let_in_by(access)

    async def events(request: Request) -> Response:
        return await to_thread.run_sync(events_response, hub, store(), request)

    async def plotly_js(request: Request) -> Response:
        return FileResponse(
            PLOTLY_JS,
            media_type="text/javascript",
            headers={"Cache-Control": "max-age=86400"},
        )

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        _close_on_signal(hub)
        drop_the_silent()
        giving_back = asyncio.create_task(keep_giving_back())
        yield {}
        giving_back.cancel()

    return st.App(
        Path(__file__).parent / "app.py",
        routes=[
            Route("/thaw/events", events),
            Route("/thaw/plotly.js", plotly_js),
            Route(DOWNLOAD_PATH, downloads.__call__),
            Route(PICTURE_PATH, pictures.__call__),
        ],
        middleware=[
            Middleware(SecureHeaders),
            Middleware(SameOriginOnly, bound_host=host, names=_names(access)),
            Middleware(AdmittedOnly, access=access),
            Middleware(BoundedStreams),
        ],
        lifespan=lifespan,
        on_script_error=_show_error,
    )


def _names(access: Access) -> frozenset[str]:
    """Returns the name under which people come back from signing in."""
    return frozenset({access.sign_in.host}) if access.sign_in else frozenset()


def _greeting(host: str, port: int, access: Access) -> str:
    """Returns where the dashboard is; a token that Thaw made is known from here alone."""
    shown = {"127.0.0.1": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    names = ["localhost", socket.gethostname()] if host in EVERYWHERE else [shown]
    made = access.token if access.token and access.token.is_made else None
    secret = f"/?token={made.value}" if made else ""
    places = " and at ".join(f"http://{name}:{port}{secret}" for name in names)
    lines = [f"  Thaw is at {places}  (Ctrl-C ends it; runs go on)"]
    if access.token and not made:
        lines.append("  It opens with the token that it was started with.")
    if access.sign_in:
        who = "those of THAW_ALLOWED_EMAILS" if access.sign_in.emails else "whoever can sign in"
        lines.append(f"  It lets in {who} at {access.sign_in.origin}.")
    if host not in LOOPBACK:
        lines.append("  What goes to and fro is not encrypted: see Security in the README.")
    return "\n".join(lines)


def _close_on_signal(hub: Hub) -> None:
    """Ends the event streams on Ctrl-C; the server waits for them and would never stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def close(signum: int, frame: Any, before: Any = before) -> None:
            loop.call_soon_threadsafe(lambda: loop.create_task(hub.close()))
            if callable(before):
                before(signum, frame)

        signal.signal(number, close)


def _show_error(error: Exception) -> bool:
    """Shows one sentence in the page and keeps the traceback in the log."""
    if isinstance(error, ThawError):
        st.error(plain(redacted(str(error))), icon=":material/error:")
        note("dashboard", "page failed", logging.WARNING, reason=str(error))
        return True
    note("dashboard", "page failed", logging.ERROR, error=error)
    print(redacted("".join(traceback.format_exception(error))), file=sys.stderr)
    message = plain(redacted(str(error)))
    st.error(
        f"Thaw met an error of its own ({type(error).__name__}: {message}). Runs are not touched; "
        "reload the page, and if it comes again, report it with what `thaw log` says.",
        icon=":material/error:",
    )
    return True


def _require_free(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        mend = "give an address of this machine, or leave --host away"
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            other = port + 1 if 1024 <= port < 65535 else 8501
            mend = f"stop what uses the port, or choose another: thaw --port {other}"
        raise ServeError(
            f"Thaw cannot listen on {host}:{port} ({error.strerror or error}); {mend}."
        ) from error


def _theme(name: str, colours: dict[str, str], primary: str) -> dict[str, str]:
    return {
        f"theme.{name}.primaryColor": primary,
        f"theme.{name}.backgroundColor": colours["background"],
        f"theme.{name}.secondaryBackgroundColor": colours["panel"],
        f"theme.{name}.textColor": colours["text"],
        f"theme.{name}.borderColor": colours["line"],
    }


def _config(host: str, port: int) -> dict[str, Any]:
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        # The widget's own limit is the browser's alone.
        "server.maxUploadSize": MOST_MIB,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        # It asks a server on the internet for this machine's address.
        "logger.hideWelcomeMessage": True,
        "client.showErrorDetails": "none",
        "theme.baseRadius": "0.5rem",
        **_theme("light", LIGHT, PRIMARY),
        **_theme("dark", DARK, PRIMARY_DARK),
    }
