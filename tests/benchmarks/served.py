"""An empty home for a benchmark, and a dashboard with one."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from engine.runs.process import KEEP_MEMORY
from tests.serving import Dashboard


def in_own_process(module: str, *arguments: str, keep_memory: bool = True) -> Any:
    """Returns what a benchmark prints as JSON on its last line, run as a run's process is."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=(KEEP_MEMORY if keep_memory else {}) | os.environ,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


FIGURES = Path(__file__).parent / "figures"


def save_figure(figure: go.Figure, name: str) -> None:
    """Keeps a figure as a page of its own, and says where."""
    FIGURES.mkdir(exist_ok=True)
    file = FIGURES / f"{name}.html"
    figure.write_html(file, include_plotlyjs=True)
    print(f"  figure: {file}")


@contextmanager
def fresh_dashboard() -> Iterator[Dashboard]:
    """Gives a running dashboard; this process shares its THAW_HOME meanwhile."""
    with own_home() as folder:
        dashboard = Dashboard(folder)
        dashboard.start()
        try:
            yield dashboard
        finally:
            dashboard.stop()


@contextmanager
def own_home() -> Iterator[Path]:
    """Gives this process an empty THAW_HOME."""
    before = os.environ.get("THAW_HOME")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["THAW_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["THAW_HOME"]
            else:
                os.environ["THAW_HOME"] = before
