"""The ASGI app: Streamlit's pages, our event stream and assets, and the guard before them."""

import asyncio
import errno
import logging
import signal
import socket
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

from dashboard.guard import SameOriginOnly
from dashboard.palette import DARK, LIGHT, PRIMARY, PRIMARY_DARK
from dashboard.runs import store
from dashboard.sockets import drop_the_silent
from dashboard.stream import Hub, events_response
from engine.errors import ServeError, ThawError
from engine.home import thaw_home
from engine.models.catalogue import DEFAULT_BACKBONE
from engine.runs.process import start_detached
from engine.runs.queue import tend
from engine.runs.search_study import tend_searches
from engine.training.speeds import known_speeds

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

log = logging.getLogger("thaw")


def serve(host: str, port: int) -> None:
    """Serves the dashboard until it is interrupted.

    Raises:
        HomeError: THAW_HOME cannot be written.
        StoreError: the store cannot be opened.
        ServeError: the address cannot be listened on.
    """
    _require_free(host, port)
    tend(store())
    tend_searches()
    if not known_speeds():
        log_file = thaw_home() / "cache" / "speeds" / "measure.log"
        start_detached(["engine.runs.measure", DEFAULT_BACKBONE], log_file)
    shown = {"127.0.0.1": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    print(f"\n  Thaw is at http://{shown}:{port}  (Ctrl-C ends it; runs go on)\n", flush=True)
    build_app(host).run(config=_config(host, port))


def build_app(host: str) -> Any:
    """Returns the ASGI app for a server that is bound to `host`."""
    hub = Hub(store())

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
        yield {}

    return st.App(
        Path(__file__).parent / "app.py",
        routes=[Route("/thaw/events", events), Route("/thaw/plotly.js", plotly_js)],
        middleware=[Middleware(SameOriginOnly, bound_host=host)],
        lifespan=lifespan,
        on_script_error=_show_error,
    )


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
    """Shows one sentence in the page and keeps the traceback in the server's log."""
    if isinstance(error, ThawError):
        st.error(str(error), icon=":material/error:")
        return True
    log.exception("A page failed", exc_info=error)
    st.error(
        f"Thaw met an error of its own ({type(error).__name__}: {error}). Runs are not touched; "
        "reload the page, and if it comes again, report it with what the server printed.",
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
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "theme.baseRadius": "0.5rem",
        **_theme("light", LIGHT, PRIMARY),
        **_theme("dark", DARK, PRIMARY_DARK),
    }
