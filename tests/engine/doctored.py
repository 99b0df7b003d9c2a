"""What tests of `thaw doctor` ask it, and the runs that they give it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.runs.store import Run, Store
from engine.spec import RunSpec
from tests.engine.commands import THAW


def doctor(*arguments: str, **environment: str) -> Any:
    """Runs `thaw doctor`; the process has `stdout`, `stderr` and `returncode`."""
    done = subprocess.run(
        [THAW, "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def spec() -> RunSpec:
    return RunSpec.parse({"data": {"folder": "/nowhere"}})


@pytest.fixture
def store(thaw_home: Path) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def run(store: Store) -> Run:
    """One run, which waits."""
    [made] = store.add_runs([("A", spec())])
    return made


def folder_of(path: Path) -> dict[str, tuple[int, float]]:
    return {
        str(one.relative_to(path)): (one.stat().st_size, one.stat().st_mtime)
        for one in path.rglob("*")
        if one.is_file()
    }
