"""A run goes out of one browser as a file, and into another dashboard."""

import shutil
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as TookTooLong

from engine.home import run_folder
from engine.runs.store import Store
from tests.engine.hostile.run_files import small_run
from tests.serving import Dashboard, click, open_page


def tick_first_row(page: Page) -> None:
    """Ticks the newest run: the box on the left, which is drawn and so no element to wait for."""
    table = page.locator("[data-testid=stDataFrame] canvas").first
    asked = page.get_by_test_id("stPopoverButton")
    for _ in range(10):
        place = table.bounding_box()
        page.wait_for_timeout(500)
        if place is None or place != table.bounding_box():
            continue
        page.mouse.click(place["x"] + 20, place["y"] + 52)
        with suppress(TookTooLong):
            asked.wait_for(timeout=10_000)
            return


def test_a_run_that_was_downloaded_comes_in_again(
    browser: Browser, dashboard: Dashboard, tmp_path: Path
) -> None:
    store = Store()
    run = small_run(store)
    page = open_page(browser, f"{dashboard.url}/runs")
    tick_first_row(page)
    click(page.get_by_test_id("stPopoverButton"))
    with page.expect_download() as download:
        click(page.locator("[data-testid=stLinkButton] a"))
    assert download.value.suggested_filename == f"frozen-photos-{run.id}.thaw"
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    page.context.close()

    store.delete(run.id)
    store.forget(run.id)
    shutil.rmtree(run_folder(run.id))
    page = open_page(browser, f"{dashboard.url}/runs")
    click(page.get_by_text("Import", exact=True).first)
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_text(f"({run.id}) came in.").wait_for()
    page.locator("input[type=file]").set_input_files(
        {"name": "holiday.thaw", "mimeType": "", "buffer": b"no run"}
    )
    page.get_by_text("holiday.thaw is no file of a run").wait_for()
    page.context.close()
    assert store.run(run.id).status == "finished"
    store.close()
