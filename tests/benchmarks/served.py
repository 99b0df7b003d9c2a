"""An empty home for a benchmark, and a dashboard with one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import plotly.graph_objects as go

from tests.serving import Dashboard

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
