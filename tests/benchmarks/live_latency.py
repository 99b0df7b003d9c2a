"""From an event to its drawn point in a real browser, and from the store to the drawn point."""

import time

import numpy as np

from engine.runs.store import Store
from engine.runs.writer import EventWriter
from tests.benchmarks.served import fresh_dashboard
from tests.pretend import pretend_run
from tests.serving import chromium, open_page

NUM_EVENTS = 240
EVERY_SECONDS = 0.1


def main() -> None:
    """Prints the distribution over NUM_EVENTS events, ten a second."""
    with fresh_dashboard() as dashboard, chromium() as browser:
        store = Store()
        run = pretend_run(store, steps=NUM_EVENTS)
        writer = EventWriter(store, run.id)
        page = open_page(browser, f"{dashboard.url}/live?run={run.id}")
        page.wait_for_selector(f'[data-run="{run.id}"]')
        for step in range(1, NUM_EVENTS + 1):
            values = {"train/loss": 1 / step, "images_per_second": 100.0, "lr/head": 1e-3}
            writer.emit("step", 1, step, values)
            time.sleep(EVERY_SECONDS)
        time.sleep(2)
        drawn = page.evaluate("document.querySelector('.thaw-live').thawDrawn")
        writer.close()
        store.set_status(run.id, "finished")
    delays = [1000 * (one["drawn"] - one["time"]) for one in drawn if one["kind"] == "step"]
    median, p95, worst = np.percentile(delays, [50, 95, 100])
    print(
        f"  {len(delays)} of {NUM_EVENTS} points drawn; event to drawn point: median "
        f"{median:.0f} ms, 95th percentile {p95:.0f} ms, worst {worst:.0f} ms"
    )
