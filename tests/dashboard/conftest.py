"""No test of the dashboard starts a process; all of them share the store that the pages read."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Pool, QueuePool, event
from streamlit.components.v2 import manifest_scanner

import dashboard.runs
import dashboard.server
import engine.data.samples
import engine.runs.queue
from dashboard import embedding, live, show
from engine.runs.store import Store

# As they are before a test puts something in their place.
COMPONENTS = (embedding._component, live._component, show._component)


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been started as a process of its own, in order."""
    names: list[str] = []

    def note(arguments: list[str], *_: object) -> None:
        names.append(arguments[0])

    monkeypatch.setattr(engine.runs.queue, "start_supervisor", lambda: names.append("supervisor"))
    monkeypatch.setattr(engine.runs.queue, "start_detached", note)
    monkeypatch.setattr(dashboard.server, "start_detached", note)
    return names


@pytest.fixture(autouse=True)
def _fresh_dashboard(thaw_home: Path) -> Iterator[None]:
    """Makes each test's pages open the store of its own THAW_HOME."""
    dashboard.runs.store.cache_clear()
    for component in COMPONENTS:
        component.cache_clear()
    yield
    if dashboard.runs.store.cache_info().currsize:
        _close(dashboard.runs.store())
    dashboard.runs.store.cache_clear()
    for component in COMPONENTS:
        component.cache_clear()


def _close(store: Store) -> None:
    """Closes a store once threads that outlive their page have given back what they read with."""
    pool = store.engine.pool
    deadline = time.monotonic() + 10
    while isinstance(pool, QueuePool) and pool.checkedout() and time.monotonic() < deadline:
        time.sleep(0.01)
    store.close()


@pytest.fixture(autouse=True)
def _any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pages read images wherever a test has put them."""
    monkeypatch.setenv("THAW_ROOTS", "/")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leaves out what costs time here and proves nothing.

    Streamlit looks through all installed packages for components whenever an AppTest is made, and
    SQLite waits for the disk after every commit.
    """
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", list)
    event.listen(Pool, "checkout", _do_not_wait_for_the_disk)
    yield
    event.remove(Pool, "checkout", _do_not_wait_for_the_disk)


def _do_not_wait_for_the_disk(connection: Any, *_: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture
def store(_fresh_dashboard: None) -> Store:
    """The store that the pages read."""
    return dashboard.runs.store()


@pytest.fixture
def small_sample(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts 24 pictures in the place of the sample data, where a test is not about the data."""
    monkeypatch.setattr(engine.data.samples, "sample_folder", lambda name: tiny_folder)
    return tiny_folder
