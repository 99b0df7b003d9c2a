"""Fixtures for all tests: a THAW_HOME of its own for each, real pictures, a reporter."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.events import Kind, MetricEvent, Value
from engine.spec import Act
from tests.databases import database, either_database, postgres, postgres_server

__all__ = ["database", "either_database", "postgres", "postgres_server"]

CLIPART = Path(__file__).parent.parent / "sample_data" / "clipart" / "base"
TINY_CLASSES = ("birds", "fruit", "vehicles")
TINY_IMAGES_PER_CLASS = 8


@pytest.fixture(autouse=True)
def thaw_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty THAW_HOME, so that no test reads or writes the user's own."""
    home = tmp_path / "thaw-home"
    monkeypatch.setenv("THAW_HOME", str(home))
    monkeypatch.delenv("THAW_DATABASE_URL", raising=False)
    monkeypatch.delenv("THAW_MAX_RUNS", raising=False)
    return home


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real pictures as <class>/*: three classes of eight; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("tiny")
    for name in TINY_CLASSES:
        (folder / name).mkdir()
        for file in sorted((CLIPART / "train" / name).iterdir())[:TINY_IMAGES_PER_CLASS]:
            shutil.copy(file, folder / name)
    return folder


@pytest.fixture
def own_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the same pictures that a test may change."""
    return shutil.copytree(tiny_folder, tmp_path / "own")


class Recorder:
    """A Reporter that keeps every event, and asks to stop at the event that it is told.

    `acts` are pairs (number of events so far, act): what a person does, and when.
    """

    def __init__(self, stop_at: tuple[Kind, int] | None = None) -> None:
        """Asks to stop once `stop_at` = (kind, number) has come; the number counts from 1."""
        self.events: list[MetricEvent] = []
        self.acts: list[tuple[int, Act]] = []
        self._stop_at = stop_at

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        seq = len(self.events) + 1
        self.events.append(MetricEvent("tiny", seq, time.time(), kind, epoch, step, dict(values)))

    def should_stop(self) -> bool:
        if self._stop_at is None:
            return False
        kind, number = self._stop_at
        return len(self.of_kind(kind)) >= number

    def take_acts(self) -> list[Act]:
        due = [act for seq, act in self.acts if seq <= len(self.events)]
        self.acts = [(seq, act) for seq, act in self.acts if seq > len(self.events)]
        return due

    def settle(self) -> bool:
        return True

    def of_kind(self, kind: Kind) -> list[MetricEvent]:
        return [event for event in self.events if event.kind == kind]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
