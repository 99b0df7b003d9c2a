"""Runs that were really trained, on small pictures, in this process."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.runs import worker
from engine.runs.store import Store
from tests.engine.specs import tiny_spec


@contextmanager
def trained_runs(
    home: Path, folder: Path, settings: Mapping[str, dict[str, Any]]
) -> Iterator[Store]:
    """Trains a run for each name, and gives the store of a THAW_HOME that holds them."""
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THAW_HOME", str(home))
        store = Store()
        for name, of_run in settings.items():
            [run] = store.add_runs([(name, tiny_spec(folder, of_run))])
            store.set_status(run.id, "running")
            worker.main(run.id)
            assert store.run(run.id).status == "finished", store.run(run.id).reason
        yield store
        store.close()
    signal.signal(signal.SIGTERM, handler)
