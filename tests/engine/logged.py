"""Reads the log back."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.logs.files import LineFile
from engine.logs.lines import LogEntry
from engine.logs.reading import last_entries


def entries_of(file: LineFile) -> list[LogEntry]:
    return last_entries(file.parts, 10_000)[0]


@pytest.fixture
def started(thaw_home: Path) -> Iterator[Path]:
    """Logs of this very process, taken back afterwards; gives THAW_HOME."""
    import faulthandler
    import threading
    import warnings

    hooks = sys.excepthook, threading.excepthook, warnings.showwarning
    root, ours = logging.getLogger(), logging.getLogger("thaw")
    before = list(root.handlers), root.level, ours.level
    was_on = faulthandler.is_enabled()
    thaw_home.mkdir()
    yield thaw_home
    sys.excepthook, threading.excepthook, warnings.showwarning = hooks
    root.handlers[:], root.level, ours.level = before
    root.setLevel(before[1])
    ours.setLevel(before[2])
    if was_on:
        faulthandler.enable(file=sys.__stderr__)
