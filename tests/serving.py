"""A dashboard in a process of its own, and a Chromium to look at it, for tests and benchmarks."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """Returns where a Chromium is installed, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Gives a headless Chromium; what is expected of its pages may take a busy machine's time."""
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=CHROMIUM_FLAGS, headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dashboard:
    """`thaw serve` on a port of its own; `url` is its address."""

    def __init__(
        self,
        home: Path,
        port: int | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ):
        """Takes what to add to the command and to the environment, and where to start it."""
        self.home = home
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and returns when it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(Path(sys.executable).parent / "thaw"),
                    *("serve", "--port", str(self.port), *self._arguments),
                ],
                env={"THAW_ROOTS": "/", **os.environ, "THAW_HOME": str(self.home)}
                | self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.url, timeout=2).close()
                return
            except urllib.error.HTTPError as answer:
                answer.close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"no answer at {self.url}: {(self.home / 'server.log').read_text()}")

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None
        return self._process.pid

    def num_connections(self) -> int:
        """Returns how many connections to it are open, by its own account."""
        found = psutil.Process(self.pid).net_connections("tcp")
        return sum(one.status in {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT} for one in found)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ends it as Ctrl-C does; returns its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=30)


# Other pages, such as a report's, have no script that could go on.
STILL = """() => {
    const app = document.querySelector("[data-testid=stApp]");
    return !app || app.getAttribute("data-test-script-state") === "notRunning";
}"""


LISTEN = """() => {
    window.thawClicked = [];
    document.addEventListener("click", (it) => window.thawClicked.push(it.target), {
        capture: true, once: true,
    });
}"""
REACHED = "(it) => !window.thawClicked || window.thawClicked.some((one) => it.contains(one))"


def click(locator: Locator) -> None:
    """Clicks once the page stands still, and again where the click went by what it was meant for.

    What moves between the button's going down and its coming up swallows a click.
    """
    page = locator.page
    for _ in range(5):
        page.wait_for_function(STILL)
        page.evaluate(LISTEN)
        before = locator.element_handle()
        locator.click()
        # It may have been drawn anew before the click or because of it.
        if any(one.evaluate(REACHED) for one in (before, *locator.element_handles())):
            return
    raise AssertionError(f"{locator} moves on and on")


def open_page(
    browser: Browser, url: str, width: int = 1440, height: int = 900, scheme: str = "light"
) -> Page:
    """Returns a page that has drawn its title, in a context of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("h1", timeout=60_000)
    return page


def drawn_points(page: Page) -> dict[str, list[float]]:
    """Returns the x values of every trace on the live charts, by `chart: trace`.

    The pointer is moved over each chart, upon which Plotly is given what is drawn as a tail yet.
    """
    points: dict[str, list[float]] = page.evaluate(
        """() => {
            const named = [];
            for (const plot of document.querySelectorAll(".thaw-plot")) {
                plot.dispatchEvent(new Event("pointerenter"));
                for (const trace of plot.data || [])
                    named.push([`${plot.dataset.chart}: ${trace.name}`, [...trace.x]]);
            }
            return Object.fromEntries(named);
        }"""
    )
    return points


def wait_for_status(page: Page, status: str, count: int = 1, timeout_seconds: float = 120) -> None:
    """Returns when so many run cards show a status; fails with what the cards show instead."""
    try:
        page.wait_for_function(
            """([status, count]) =>
                document.querySelectorAll(`.thaw-status[data-status="${status}"]`).length
                    >= count""",
            arg=[status, count],
            timeout=timeout_seconds * 1000,
            # By the clock: a page behind another may be given no frames.
            polling=100,
        )
    except TookTooLong as error:
        cards = page.locator(".thaw-card").all_inner_texts()
        raise AssertionError(f"no {count} runs are shown as {status}, but {cards}") from error
