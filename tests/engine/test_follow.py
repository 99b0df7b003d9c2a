"""Ctrl-C while runs or a search are being put in the queue: what was begun is stopped."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from engine.cli.app import app
from engine.cli.follow import follow, follow_all
from engine.runs.queue import LOCK_FILE, enqueue
from engine.runs.search_space import SearchSpec
from engine.runs.search_study import Search, all_searches, start_search
from engine.runs.store import Run, Store
from tests.engine.pretend_worker import PretendWorker
from tests.engine.specs import tiny_spec


@pytest.fixture(autouse=True)
def _no_training(thaw_home: Path) -> Iterator[None]:
    """Holds the supervisor's lock: what is queued stays so, but for what a test pretends."""
    thaw_home.mkdir()
    with FileLock(thaw_home / LOCK_FILE):
        yield


def interrupted_start(store: Store, folder: Path, num: int) -> list[Run]:
    """Returns runs put in the queue, with Ctrl-C pressed before anybody follows them."""
    runs = enqueue(store, [(f"run {index}", tiny_spec(folder)) for index in range(num)])
    os.kill(os.getpid(), signal.SIGINT)
    return runs


def test_a_run_is_stopped(tiny_folder: Path) -> None:
    store = Store()
    ended = follow(store, lambda: interrupted_start(store, tiny_folder, 1)[0], quiet=True)
    assert ended.status == "stopped"


def test_all_runs_are_stopped(tiny_folder: Path) -> None:
    store = Store()
    ended = follow_all(store, lambda: interrupted_start(store, tiny_folder, 3), quiet=True)
    assert [run.status for run in ended] == ["stopped"] * 3


def test_a_search_is_stopped(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(spec: SearchSpec) -> Search:
        started = start_search(spec)
        os.kill(os.getpid(), signal.SIGINT)
        return started

    monkeypatch.setattr("engine.cli.search.start_search", interrupted)
    over = "optimiser.lr=1e-4..1e-2"
    with PretendWorker(lambda _: [0.5] * 10_000, epoch_seconds=0.02):
        shown = CliRunner().invoke(app, ["search", "--data", str(tiny_folder), "--over", over])
    assert shown.exit_code == 1
    [search] = all_searches()
    assert search.status == "stopped"
