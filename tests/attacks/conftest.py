"""Dashboards to attack: one with a token that others can reach, and one that is open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.raw import ask
from tests.serving import Dashboard


@pytest.fixture(scope="package")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard on all addresses of this machine; it made its token by itself."""
    served = Dashboard(tmp_path_factory.mktemp("closed") / "home", arguments=("--host", "0.0.0.0"))
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="package")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard for this machine alone, which asks for nothing."""
    served = Dashboard(tmp_path_factory.mktemp("local") / "home")
    served.start()
    yield served
    served.stop()


@pytest.fixture
def token(closed: Dashboard) -> str:
    """The right token of the closed dashboard."""
    return (closed.home / "token").read_text().strip()


@pytest.fixture
def cookie(closed: Dashboard, token: str) -> str:
    """The cookie of somebody who is let in."""
    return ask(closed, f"/?token={token}").cookie


@pytest.fixture
def log(closed: Dashboard) -> Path:
    """What the closed dashboard printed."""
    return closed.home / "server.log"
