"""Steps that a pretended run tells: many at once, or one every now and then."""

import asyncio
import itertools
import time

from engine.events import Value
from engine.runs.store import Run, Store
from engine.runs.writer import EventWriter

# A real run tells as often as it does steps.
EVERY_SECONDS = 0.2
# Of an epoch.
STEPS = 500


def step_values(step: int) -> dict[str, Value]:
    """Returns what a pretended step tells."""
    return {"train/loss": 1 / step, "images_per_second": 100.0, "lr/head": 1e-3}


def tell_past(store: Store, run: Run, num_steps: int) -> None:
    """Lets a pretended run tell its first steps at once."""
    for start in range(1, num_steps + 1, 1000):
        steps = range(start, min(start + 1000, num_steps + 1))
        now = time.time()
        store.append(run.id, [(now, "step", 1 + s // STEPS, s, step_values(s)) for s in steps])


async def keep_telling(store: Store, run: Run, past: int) -> None:
    """Tells a step every now and then until it is cancelled, after those that it told at once."""
    writer = EventWriter(store, run.id)
    try:
        for step in itertools.count(past + 1):
            writer.emit("step", 1 + step // STEPS, step, step_values(step))
            await asyncio.sleep(EVERY_SECONDS)
    finally:
        writer.close()
        store.set_status(run.id, "finished")
