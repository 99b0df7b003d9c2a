"""From the click on `Train both` to the first point on the chart, imports warm."""

import time

from tests.benchmarks.served import fresh_dashboard
from tests.serving import chromium, open_page, wait_for_status

POINT = "() => [...document.querySelectorAll('.thaw-plot')].some((p) => p.data?.[0]?.x.length)"


def main() -> None:
    """Prints the seconds for the sample data at the page's own settings, a first and a later pair.

    The later pair is measured with the decode verdicts and the operating system's file cache warm.
    """
    with fresh_dashboard() as dashboard, chromium() as browser:
        for which in ("first", "second"):
            page = open_page(browser, dashboard.url)
            button = page.get_by_role("button", name="Train both")
            button.wait_for()
            started = time.perf_counter()
            button.click()
            page.wait_for_url("**/live?run=*", timeout=60_000)
            page.wait_for_function(POINT, timeout=120_000)
            print(
                f"  {which} pair: first point {time.perf_counter() - started:.1f} s after the click"
            )
            wait_for_status(page, "finished")
            page.get_by_role("button", name="Stop").first.click()
            wait_for_status(page, "stopped")
            page.context.close()
