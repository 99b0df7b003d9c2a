"""A validation picture of a run, small, for whoever points at it: read when it is asked for.

It stands behind the same gate and the same rule of Host and Origin as all of Thaw's own routes, and
shows only what lies below the roots. Whether another file is there is not told.
"""

from functools import lru_cache
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dashboard.data_summary import thumbnail
from dashboard.roots import is_allowed
from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import ThawError
from engine.home import run_folder
from engine.runs.store import Store

PATH = "/thaw/picture/{run_id}/{place:int}"
AT_ONCE = 4
KEPT_SECONDS = 600
NONE_HERE = "There is no such picture here that Thaw may show."


class Pictures:
    """Answers requests for pictures, a few at once: each is decoded."""

    def __init__(self, store: Store):
        self._store = store
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, request: Request) -> Response:
        """Returns a picture as PNG, or a sentence that there is none."""
        self._limiter = self._limiter or CapacityLimiter(AT_ONCE)
        asked = request.path_params["run_id"], request.path_params["place"]
        return await to_thread.run_sync(self._answer, *asked, limiter=self._limiter)

    def _answer(self, run_id: str, place: int) -> Response:
        path = self._path(run_id, place)
        picture = thumbnail(path) if path is not None and is_allowed(path) else None
        if picture is None:
            return PlainTextResponse(NONE_HERE, 404, {"Cache-Control": "no-store"})
        kept = {"Cache-Control": f"private, max-age={KEPT_SECONDS}"}
        return Response(picture, 200, kept | {"X-Content-Type-Options": "nosniff"}, "image/png")

    def _path(self, run_id: str, place: int) -> str | None:
        """Returns where the validation picture at a place of a run lies, None where none is."""
        try:
            file = run_folder(self._store.run(run_id).id) / MANIFEST_FILE
            paths = _val_paths(file, file.stat().st_mtime_ns)
        except (ThawError, OSError):
            return None
        return paths[place] if place < len(paths) else None


@lru_cache(maxsize=8)
def _val_paths(file: Path, changed: int) -> tuple[str, ...]:
    """Returns the paths of the validation pictures of a manifest, as it was at a time."""
    return tuple(item.path for item in Manifest.from_file(file).val)
