"""One dashboard and one Chromium for all browser tests."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from engine.runs.queue import supervisor_at_work
from tests.conftest import CLIPART
from tests.serving import Dashboard, chromium, chromium_path, open_page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if chromium_path() is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="package")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    served = Dashboard(tmp_path_factory.mktemp("served") / "home")
    served.start()
    yield served
    served.stop()


@pytest.fixture
def thaw_home(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dashboard's own home, so that a test can write to the store that it shows."""
    monkeypatch.setenv("THAW_HOME", str(dashboard.home))
    monkeypatch.delenv("THAW_DATABASE_URL", raising=False)
    return dashboard.home


@pytest.fixture(autouse=True)
def _same_home(thaw_home: Path) -> None:
    """Overrides the home that other tests get, once nothing is trained there any more.

    Else the supervisor of the test before would take what this one only pretends to train.
    """
    deadline = time.monotonic() + 120
    while supervisor_at_work():
        assert time.monotonic() < deadline, "a test before left a run that does not end"
        time.sleep(0.1)


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve real pictures, in a folder with a space and an umlaut."""
    folder = tmp_path_factory.mktemp("data") / "meine Fötos"
    for name in ("birds", "fruit"):
        (folder / name).mkdir(parents=True)
        for file in sorted((CLIPART / "train" / name).iterdir())[:12]:
            shutil.copy(file, folder / name)
    return folder


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard) -> Iterator[Page]:
    opened = open_page(browser, dashboard.url)
    yield opened
    opened.context.close()
