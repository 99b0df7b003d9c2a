"""Training speed with three pages open on the run against none, alternating within one run."""

import time

import numpy as np

from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.spec import RunSpec
from tests.benchmarks.served import fresh_dashboard
from tests.conftest import CLIPART
from tests.serving import chromium, open_page

PHASE_SECONDS = 20.0
NUM_PHASES = 8
NUM_PAGES = 3


def main() -> None:
    """Prints images per second by phase and the ratio of the medians.

    Phases with and without pages take turns, so that a machine that slows down over time slows
    both; steps near a change are left out.
    """
    with fresh_dashboard() as dashboard, chromium() as browser:
        store = Store()
        spec = RunSpec.parse(
            {
                "data": {"folder": str(CLIPART)},
                "strategy": {"name": "full"},
                "images": {"size": 160},
                "training": {"epochs": 1000, "batch_size": 16},
            }
        )
        [run] = enqueue(store, [("Watched", spec)])
        while not any(event.kind == "epoch" for event in store.events(run.id)):
            time.sleep(0.5)
        intervals: list[tuple[bool, float, float]] = []
        for phase in range(NUM_PHASES):
            watched = phase % 2 == 1
            pages = [
                open_page(browser, f"{dashboard.url}/live?run={run.id}")
                for _ in range(NUM_PAGES if watched else 0)
            ]
            time.sleep(5)
            intervals.append((watched, time.time(), time.time() + PHASE_SECONDS))
            time.sleep(PHASE_SECONDS)
            for page in pages:
                page.context.close()
        store.request_stop(run.id)
        steps = [event for event in store.events(run.id) if event.kind == "step"]
        while store.run(run.id).is_active:
            time.sleep(0.2)
    speeds: dict[bool, list[float]] = {True: [], False: []}
    for watched, start, end in intervals:
        inside = [
            float(event.values["images_per_second"] or 0.0)
            for event in steps
            if start <= event.time <= end
        ]
        speeds[watched] += inside
        print(f"  {NUM_PAGES if watched else 0} pages: {np.median(inside):6.1f} images/s")
    ratio = np.median(speeds[True]) / np.median(speeds[False])
    print(f"  ratio of medians, {NUM_PAGES} pages to none: {ratio:.3f} ({len(steps)} steps)")
