"""Training speed with three pages open on the run against none, alternating within one run."""

import time

import numpy as np

from engine.events import MetricEvent
from engine.runs.queue import enqueue
from engine.runs.store import Store
from engine.spec import RunSpec
from tests.benchmarks.served import fresh_dashboard
from tests.conftest import CLIPART
from tests.serving import chromium, open_page

PHASE_SECONDS = 20.0
# A page that was just opened is busy with itself for a while; who watches training stays longer.
SETTLE_SECONDS = 25.0
NUM_PHASES = 11
NUM_PAGES = 3
# Few enough that each step is an event: longer runs keep every n-th.
EPOCHS = 200


def main() -> None:
    """Prints steps per second by phase and the ratio of watched to unwatched.

    Phases with and without pages take turns, and each watched one is held against the mean of its
    two neighbours, so that a machine whose speed drifts slows both sides alike.
    """
    with fresh_dashboard() as dashboard, chromium() as browser:
        store = Store()
        spec = RunSpec.parse(
            {
                "data": {"folder": str(CLIPART)},
                "strategy": {"name": "full"},
                "images": {"size": 160},
                "training": {"epochs": EPOCHS, "batch_size": 16},
            }
        )
        [run] = enqueue(store, [("Watched", spec)])
        while not any(event.kind == "epoch" for event in store.events(run.id)):
            time.sleep(0.5)
        intervals: list[tuple[float, float]] = []
        for phase in range(NUM_PHASES):
            pages = [
                open_page(browser, f"{dashboard.url}/live?run={run.id}")
                for _ in range(NUM_PAGES if phase % 2 else 0)
            ]
            time.sleep(SETTLE_SECONDS)
            intervals.append((time.time(), time.time() + PHASE_SECONDS))
            time.sleep(PHASE_SECONDS)
            for page in pages:
                page.context.close()
        store.request_stop(run.id)
        steps = [event for event in store.events(run.id) if event.kind == "step"]
        while store.run(run.id).is_active:
            time.sleep(0.2)
    speeds = [steps_per_second(steps, start, end) for start, end in intervals]
    for phase, speed in enumerate(speeds):
        print(f"  {NUM_PAGES if phase % 2 else 0} pages: {speed:5.3f} steps/s")
    ratios = [
        2 * speeds[phase] / (speeds[phase - 1] + speeds[phase + 1])
        for phase in range(1, NUM_PHASES - 1, 2)
    ]
    mean = float(np.mean(ratios))
    error = float(np.std(ratios, ddof=1) / len(ratios) ** 0.5)
    print(
        f"  speed with {NUM_PAGES} pages to none: {mean:.3f} ± {error:.3f} (mean and standard "
        f"error of {len(ratios)} watched phases; {len(steps)} steps)"
    )


def steps_per_second(steps: list[MetricEvent], start: float, end: float) -> float:
    """Returns how many steps a second were done between the first and the last one inside."""
    inside = [event for event in steps if start <= event.time <= end]
    return (inside[-1].step - inside[0].step) / (inside[-1].time - inside[0].time)
