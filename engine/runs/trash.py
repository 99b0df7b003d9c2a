"""Runs that were thrown away: kept for some days, in which they can be had back."""

import shutil
import time

from engine.home import run_folder
from engine.runs.store import Store

KEPT_SECONDS = 7 * 86_400.0


def empty_trash(store: Store, older_than: float = KEPT_SECONDS) -> list[str]:
    """Removes runs that were thrown away long ago, with their folders; returns their ids.

    A model in use, and those that its adoptions could be undone to, are kept all the same.

    Args:
        store: holds them.
        older_than: seconds since they were thrown away.
    """
    until = time.time() - older_than
    gone = [
        run.id
        for run in store.all_runs(hidden=True)
        if run.deleted_at is not None and run.deleted_at <= until
    ]
    held = store.models_held() if gone else frozenset()
    gone = [run_id for run_id in gone if run_id not in held]
    for run_id in gone:
        # The row goes last: what a kill leaves behind is found again.
        shutil.rmtree(run_folder(run_id), ignore_errors=True)
        store.forget(run_id)
    return gone
