"""Searches whose runs are pretended."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from sqlalchemy import Pool, event

from engine.runs import queue as queue_module
from engine.runs import search as search_module
from engine.runs import search_study
from engine.runs.search import main
from engine.runs.search_space import SearchSpec
from engine.runs.search_study import (
    Search,
    Trial,
    find_search,
    trials_of,
)
from engine.runs.store import Store
from engine.spec import RunSpec
from tests.engine.pretend_worker import PretendWorker
from tests.engine.specs import tiny_spec

RATES = {"optimiser.lr": {"low": 1e-4, "high": 1e-2, "log": True}}


def search_spec(space: dict[str, Any], **settings: Any) -> SearchSpec:
    base = tiny_spec("photos", {"training.epochs": 4})
    return SearchSpec.parse({"base": base, "space": space, "pruning": False, **settings})


def steady(spec: RunSpec) -> list[float]:
    """Four epochs at an accuracy that falls with the distance of the rate from 1e-3."""
    distance = abs(spec.optimiser.lr - 1e-3)
    return [0.9 - distance * share for share in (4, 3, 2, 3)]


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    """Leaves out what costs time here and proves nothing: waiting for the disk at each commit."""

    def do_not_wait(connection: Any, *_: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Pool, "checkout", do_not_wait)
    yield
    event.remove(Pool, "checkout", do_not_wait)


@pytest.fixture
def store(either_database: str) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No process is started; what would have been is in the list."""
    names: list[str] = []
    monkeypatch.setattr(queue_module, "start_supervisor", lambda: None)
    monkeypatch.setattr(search_study, "start_driver", names.append)
    monkeypatch.setattr(search_module, "POLL_SECONDS", 0.02)
    return names


def drive(
    search: Search, accuracies: Any = steady, slots: int = 1, epoch_seconds: float = 0.0
) -> tuple[Search, list[Trial]]:
    """Drives a search to its end in this process, with a pretended worker."""
    with PretendWorker(accuracies, slots, epoch_seconds):
        main(search.id)
    return find_search(search.id), trials_of(search.id)


def drivers(search_id: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if drives(child, search_id)]


def drives(child: psutil.Process, search_id: str) -> bool:
    try:
        return child.cmdline()[-2:] == ["engine.runs.search", search_id]
    except psutil.Error:
        # It has just ended.
        return False
