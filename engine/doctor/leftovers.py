"""What lies in THAW_HOME and should not, or should and does not."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from engine.caching import cache_bytes, cache_limit
from engine.caching.arrays import make_room
from engine.doctor.database import NoStoreError, all_runs
from engine.doctor.finding import Finding, few, gib, not_applicable, ok, warning
from engine.errors import CacheError
from engine.home import home_path

OLD_SECONDS = 86_400.0
# The names that Thaw gives to what it is still writing; a person's own go by no such name.
UNFINISHED = re.compile(
    r"\.(?:.+\.)?[0-9a-f]{8,16}\.part|[0-9a-f]{16,}\.[0-9a-f]{8}\.(?:part|gone)"
)
PLACES = ("*", "datasets/*", "runs/*/*", "cache/*", "cache/*/*", "soups/*", "searches/*/*")


def run_folders() -> Finding:
    """Looks for folders of runs that the store does not know, and for runs without a folder."""
    folders = home_path() / "runs"
    try:
        runs = all_runs()
    except NoStoreError as none:
        return not_applicable(str(none))
    there = {folder.name for folder in folders.glob("*") if folder.is_dir()}
    unknown = sorted(there - {run.id for run in runs})
    bare = sorted(run.id for run in runs if run.started_at and run.id not in there)
    facts = {"without_a_run": unknown, "without_a_folder": bare}
    if unknown:
        return warning(
            f"{len(unknown)} folders in {folders} belong to no run of the store: {few(unknown)}.",
            "Look whether you need the weights in them, and remove them yourself.",
            **facts,
        )
    if bare:
        return warning(
            f"{len(bare)} runs have no folder in {folders}: {few(bare)}.",
            "Their curves are in the store, their weights are gone; delete them if you like.",
            **facts,
        )
    return ok(f"{len(runs)} runs and {len(there)} folders of runs belong together.", **facts)


def unfinished() -> Finding:
    """Looks for what processes that were killed have left half written."""
    old = list(_unfinished())
    if not old:
        return ok("Nothing half written was left behind.")
    names = [str(path.relative_to(home_path())) for path in old]
    return Finding(
        "warning",
        f"{len(old)} half-written files or folders of more than a day ago are left: {few(names)}.",
        "Run `thaw doctor --mend`: it removes them.",
        {"paths": names},
        _remove,
    )


def cache_room() -> Finding:
    """Looks whether the caches keep within their limit."""
    root = home_path() / "cache"
    if not root.is_dir():
        return not_applicable("There is no cache yet.")
    try:
        held, limit = cache_bytes(root), cache_limit(root)
    except CacheError as error:
        return not_applicable(str(error))
    facts = {"bytes": held, "limit": limit}
    if held <= limit:
        return ok(f"The caches hold {gib(held)} of at most {gib(limit)}.", **facts)
    return Finding(
        "warning",
        f"The caches hold {gib(held)}, more than their limit of {gib(limit)}.",
        "Run `thaw doctor --mend`, which removes what was not used for longest, or raise the limit "
        "with `thaw cache --limit`.",
        facts,
        lambda: _make_room(held),
    )


def _unfinished() -> Iterator[Path]:
    before = time.time() - OLD_SECONDS
    home = home_path()
    for place in PLACES:
        for path in home.glob(place):
            if (
                UNFINISHED.fullmatch(path.name)
                and not path.is_symlink()
                and _touched(path) < before
            ):
                yield path


def _touched(path: Path) -> float:
    """Returns when anything in a file or folder was changed last."""
    try:
        times = [path.stat().st_mtime]
        if path.is_dir():
            times += [inner.stat().st_mtime for inner in path.rglob("*")]
    except OSError:
        return time.time()
    return max(times)


def _remove() -> list[str]:
    done = []
    for path in list(_unfinished()):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        if not path.exists():
            done.append(f"{path} was removed.")
    return done


def _make_room(before: int) -> list[str]:
    make_room(0)
    return [f"{gib(before - cache_bytes())} of the caches were removed."]
