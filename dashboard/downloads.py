"""A run's file as a download: made on the disk when it is asked for, and sent from there.

Streamlit's own downloads are held in memory whole, and a checkpoint may have gigabytes.
"""

import tempfile
from collections.abc import Iterator
from typing import IO
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from engine.errors import RunNotFoundError, ThawError
from engine.home import thaw_home
from engine.runs.exporting import file_name, require_ended, write_run
from engine.runs.store import Run, Store

PATH = "/thaw/export/{run_id}"
CHUNK = 2**20
AT_ONCE = 2


def download_url(run_id: str, with_states: bool) -> str:
    """Returns the address of a run's file."""
    query = f"?{urlencode({'states': 1})}" if with_states else ""
    return PATH.format(run_id=run_id) + query


class Downloads:
    """Answers requests for runs' files, a few at once: each takes room on the disk for a while."""

    def __init__(self, store: Store):
        self._store = store
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, request: Request) -> Response:
        """Returns a run's file, or a sentence on why there is none."""
        self._limiter = self._limiter or CapacityLimiter(AT_ONCE)
        asked = request.path_params["run_id"], "states" in request.query_params
        return await to_thread.run_sync(self._answer, *asked, limiter=self._limiter)

    def _answer(self, run_id: str, with_states: bool) -> Response:
        try:
            run = self._store.run(run_id)
            file = self._written(run, with_states)
        except RunNotFoundError as error:
            return PlainTextResponse(str(error), status_code=404)
        except ThawError as error:
            return PlainTextResponse(str(error), status_code=409)
        headers = {
            "Content-Disposition": f'attachment; filename="{file_name(run)}"',
            "Content-Length": str(file.tell()),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return _Sent(file, headers)

    def _written(self, run: Run, with_states: bool) -> IO[bytes]:
        """Returns a run's file, which has no name and is gone when it is closed."""
        require_ended(run)
        file = tempfile.TemporaryFile(dir=thaw_home())  # noqa: SIM115
        try:
            write_run(self._store, run, file, with_states)
        except BaseException:
            file.close()
            raise
        return file


class _Sent(StreamingResponse):
    """A file from its beginning, which is closed when it was sent, or whoever asked has left."""

    def __init__(self, file: IO[bytes], headers: dict[str, str]):
        super().__init__(_chunks(file), 200, headers, "application/octet-stream")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk
