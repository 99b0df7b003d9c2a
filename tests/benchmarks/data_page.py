"""The Data page's report on 20,000 pictures that are known, in a real browser, until it is drawn.

A session that is new asks for the report: every file is looked up, none is decoded. Then a finding
is opened, and pages of pictures are turned. Before that, the same pictures are looked at for the
first time.
"""

import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser

from engine.data.report import inspect_folder
from tests.benchmarks.scan import CLASSES, make_pictures
from tests.benchmarks.served import fresh_dashboard
from tests.serving import chromium, open_page

COUNT = 20_000
COPIES = 20
VISITS = 5
PAGES = 5
OFFERED = """() => [...document.querySelectorAll("button")]
    .some((button) => button.textContent.includes("Look at every picture"))"""
# With its chart, and as many pictures as there are of a class on a page.
DRAWN = """() => {
    const pictures = [...document.querySelectorAll("[data-testid=stImage] img")];
    return document.querySelector("[data-testid=stMetric]")?.textContent.includes("20,020")
        && document.querySelectorAll(".js-plotly-plot .bars .point").length === 8
        && document.body.textContent.includes("is there more than once")
        && pictures.length >= 18
        && pictures.every((picture) => picture.complete && picture.naturalWidth);
}"""
CAPTIONS = """() => [...document.querySelectorAll("[data-testid=stImage]")]
    .map((picture) => picture.textContent).join()"""
TURNED = f"(before) => ({DRAWN})() && ({CAPTIONS})() !== before"
OPENED = f"""() => ({DRAWN})()
    && document.querySelectorAll("[data-testid=stImage] img").length >= 36"""


def main() -> None:
    """Prints the seconds of each, the median and the worst of some visits."""
    with tempfile.TemporaryDirectory() as folder, fresh_dashboard() as dashboard:
        photos = Path(folder) / "photos"
        photos.mkdir()
        make_pictures(photos, COUNT)
        for number in range(COPIES):
            place = photos / f"class {number % CLASSES}"
            shutil.copy(place / f"{number}.jpg", place / f"copy {number}.jpg")
        started = time.perf_counter()
        inspect_folder(photos)
        print(f"  looked at for the first time: {time.perf_counter() - started:.1f} s", flush=True)
        found: dict[str, list[float]] = defaultdict(list)
        with chromium() as browser:
            for _ in range(VISITS):
                for what, seconds in _visit(browser, dashboard.url, photos):
                    found[what].append(seconds)
    for what, times in found.items():
        print(f"  {what}: {statistics.median(times):.2f} s, at worst {max(times):.2f} s")


def _visit(browser: Browser, url: str, photos: Path) -> list[tuple[str, float]]:
    """Returns what a person waits for on one visit, with its seconds."""
    page = open_page(browser, f"{url}/data")
    page.get_by_text("What was found").wait_for()
    page.get_by_text("Folder or table", exact=True).click()
    named = page.get_by_role("textbox", name="Folder or table")
    named.fill(str(photos))
    offer = page.get_by_role("button", name="Look at every picture")
    found = []

    def wait(what: str, act: Callable[[], None], drawn: str, before: object = None) -> None:
        started = time.perf_counter()
        act()
        page.wait_for_function(drawn, arg=before, timeout=120_000)
        found.append((what, time.perf_counter() - started))

    wait("the folder is named, until the report is offered", lambda: named.press("Enter"), OFFERED)
    wait("the report is asked for, until it is drawn", offer.click, DRAWN)
    for _ in range(PAGES):
        more = page.get_by_role("button", name="Increment")
        wait("another page of pictures", more.click, TURNED, page.evaluate(CAPTIONS))
    finding = page.get_by_text("the same picture is there more than once")
    wait("a finding is opened", finding.click, OPENED)
    page.context.close()
    return found
