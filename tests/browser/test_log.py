"""The log of a run in a real browser: text whatever it holds, and no wider than the screen."""

import json
import time

import pytest
from playwright.sync_api import Browser, expect

from engine.home import run_folder
from engine.logs.lines import LogEntry
from engine.logs.places import run_log, run_output
from engine.runs.store import Store
from tests.dashboard.made import add_run, finish, start
from tests.serving import Dashboard, click, open_page, wait_for_status

ODD = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture
def run_id() -> str:
    """A run that has ended, with 600 lines, a traceback and some output."""
    store = Store()
    one = finish(store, start(store, add_run(store)))
    store.close()
    run_folder(one.id).mkdir(parents=True, exist_ok=True)
    for number in range(600):
        told = {"traceback": f"Traceback\n{ODD}"} if number == 599 else {"words": ODD * 3}
        entry = LogEntry(time.time(), "ERROR", f"event {number}", "x", "worker", 7, one.id, told)
        run_log(one.id).append(json.dumps(entry.to_dict()))
    run_output(one.id).write_text(f"{ODD}\n" * 30)
    return one.id


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_a_log_is_opened_and_read(
    browser: Browser, dashboard: Dashboard, run_id: str, width: int, height: int
) -> None:
    page = open_page(browser, f"{dashboard.url}/live?run={run_id}", width, height)
    title = page.title()
    # Until then what is above it still grows, and moves it away from under the pointer.
    wait_for_status(page, "finished")
    click(page.locator("summary", has_text="Log"))
    rows = page.locator(".thaw-log > div")
    expect(rows).to_have_count(500, timeout=60_000)
    # The newest is at the bottom, and in sight within its frame.
    expect(rows.last).to_contain_text("event 599")
    expect(rows.last).to_be_visible()
    page.wait_for_function(
        """() => {
            let box = document.querySelector(".thaw-log");
            while (box && box.scrollHeight <= box.clientHeight + 1) box = box.parentElement;
            return box.scrollHeight - box.scrollTop - box.clientHeight < 40;
        }"""
    )
    folded = rows.last.locator("pre")
    expect(folded).to_be_hidden()
    click(rows.last.locator("summary"))
    expect(folded).to_contain_text(ODD)
    click(page.get_by_role("button", name="Earlier lines"))
    expect(rows).to_have_count(600, timeout=30_000)
    expect(page.get_by_role("button", name="Download the log")).to_be_visible()
    assert page.locator(".thaw-log img, .thaw-log script").count() == 0
    assert page.title() == title
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()
