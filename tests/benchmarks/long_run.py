"""A page on a run of 100,000 points: until all is drawn, memory, frames, clicks."""

import statistics
import threading
import time

import numpy as np
import psutil
from playwright.sync_api import Page

from engine.runs.store import NewEvent, Run, Store
from tests.benchmarks.served import fresh_dashboard
from tests.pretend import pretend_run
from tests.serving import Dashboard, chromium, open_page

NUM_POINTS = 100_000
STEPS = 1000
NUM_CLICKS = 20
STREAM_SECONDS = 20.0
MIB = 2**20

# Returns how long it takes from a click to the frame in which the lines are gone or back.
CLICK = """(name) => new Promise((resolve) => {
    const button = [...document.querySelectorAll(".thaw-legend-item")]
        .find((it) => it.textContent === name);
    const plot = document.querySelector("[data-chart=loss]");
    const began = performance.now();
    plot.once("plotly_afterplot", () =>
        requestAnimationFrame(() => resolve(performance.now() - began)));
    button.click();
})"""
FRAMES = """(seconds) => new Promise((resolve) => {
    const times = [];
    let before = performance.now();
    const end = before + 1000 * seconds;
    const next = (now) => {
        times.push(now - before);
        before = now;
        if (now < end) requestAnimationFrame(next); else resolve(times);
    };
    requestAnimationFrame(next);
})"""


def main() -> None:
    """Prints what the page and the server take, and how soon they answer."""
    with fresh_dashboard() as dashboard, chromium() as browser:
        store = Store()
        run = pretend_run(store, epochs=NUM_POINTS // STEPS + 1, steps=STEPS)
        for first in range(1, NUM_POINTS, STEPS):
            store.append(run.id, [step_event(step) for step in range(first, first + STEPS)])
        # Whoever comes first makes the server load what every later one uses.
        open_page(browser, f"{dashboard.url}/live?run=nobody").context.close()
        before = server_mib(dashboard)
        began = time.perf_counter()
        page = open_page(browser, f"{dashboard.url}/live?run={run.id}", height=1600)
        wait_for_last(page, NUM_POINTS)
        print(f"  opened and all drawn after {time.perf_counter() - began:.1f} s")
        print(
            f"  page's heap {heap_mib(page):.0f} MiB; server's memory {before:.0f} MiB before, "
            f"{server_mib(dashboard):.0f} after"
        )
        clicks = [page.evaluate(CLICK, "training") for _ in range(NUM_CLICKS)]
        print(
            f"  click on the legend to drawn: median {statistics.median(clicks):.0f} ms, worst "
            f"{max(clicks):.0f} ms"
        )
        frames = stream(store, run, page)
        median, p95, worst = np.percentile(frames, [50, 95, 100])
        print(
            f"  frames while ten events a second come: median {median:.0f} ms, 95th percentile "
            f"{p95:.0f} ms, worst {worst:.0f} ms"
        )
        print(f"  click on Stop to stopping: {stop(page):.0f} ms")
        store.set_status(run.id, "stopped")


def step_event(step: int) -> NewEvent:
    values = {"train/loss": 2 + (step * 7919 % 1000) / 1000, "images_per_second": 100.0 + step % 7}
    return (time.time(), "step", 1 + (step - 1) // STEPS, step, {**values, "lr/head": 1 / step})


def wait_for_last(page: Page, step: int) -> None:
    page.wait_for_function(
        """(x) => {
            const plot = document.querySelector("[data-chart=loss]");
            plot?.dispatchEvent(new Event("pointerenter"));
            return plot?.data?.[0]?.x.at(-1) === x;
        }""",
        arg=step / STEPS,
        timeout=120_000,
        polling=100,
    )


def server_mib(dashboard: Dashboard) -> float:
    return float(psutil.Process(dashboard.pid).memory_info().rss / MIB)


def heap_mib(page: Page) -> float:
    """What the page's JavaScript holds, once it has been swept."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")) / MIB


def stream(store: Store, run: Run, page: Page) -> list[float]:
    """Returns how long each frame took while events came."""
    ended = threading.Event()

    def write() -> None:
        step = NUM_POINTS
        while not ended.wait(0.1):
            step += 1
            store.append(run.id, [step_event(step)])

    writer = threading.Thread(target=write)
    writer.start()
    frames: list[float] = page.evaluate(FRAMES, STREAM_SECONDS)
    ended.set()
    writer.join()
    return frames


def stop(page: Page) -> float:
    """Returns how many ms pass from the click to the status that the store tells."""
    began = time.perf_counter()
    page.locator(".thaw-stop:not(.thaw-resume)").click()
    page.wait_for_selector('.thaw-status[data-status="stopping"]')
    return 1000 * (time.perf_counter() - began)
