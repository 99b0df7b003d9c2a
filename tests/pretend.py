"""A run whose events are written by the test itself, through the store that real runs use."""

import os

from engine.runs.process import host_name, process_started
from engine.runs.store import Run, Store
from engine.spec import RunSpec


def pretend_run(store: Store, name: str = "Frozen", epochs: int = 10, steps: int = 20) -> Run:
    """Returns a running run that this very process claims to train."""
    spec = RunSpec.parse({"data": {"folder": "/nowhere"}, "training": {"epochs": epochs}})
    [run] = store.add_runs([(name, spec)])
    store.set_status(run.id, "running", only_from=["queued"])
    started = process_started(os.getpid())
    assert started is not None
    store.set_process(run.id, host_name(), os.getpid(), started)
    store.append(run.id, [(0.0, "progress", 0, 0, {"task": "ready", "steps_per_epoch": steps})])
    return store.run(run.id)
