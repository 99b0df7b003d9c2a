"""A run whose events are written by the test itself, through the store that real runs use."""

import json
import os
import time
from collections.abc import Mapping

from engine.events import Value
from engine.models.catalogue import backbone_record
from engine.runs.process import machine_name, process_started
from engine.runs.store import NewEvent, Run, Store
from engine.spec import Act, RunSpec
from engine.training.plan import rate_plan


def pretend_run(
    store: Store,
    name: str = "Frozen",
    epochs: int = 10,
    steps: int = 20,
    strategy: str = "frozen",
    updates: str = "",
) -> Run:
    """Returns a running run that this very process claims to train; `updates` is another's id."""
    spec = RunSpec.parse(
        {
            "data": {"folder": "/nowhere"},
            "training": {"epochs": epochs},
            "strategy": {"name": strategy},
            "update": {"start": updates},
        }
    )
    [run] = store.add_runs([(name, spec)])
    started = process_started(os.getpid())
    assert started is not None
    # At once, since a dashboard that looks in between finds a run without a living process.
    taken = store.set_status(
        run.id,
        "running",
        only_from=["queued"],
        host=machine_name(),
        pid=os.getpid(),
        pid_started=started,
        beat_at=time.time(),
    )
    assert taken, "a supervisor took the run before this process could"
    store.append(run.id, [(0.0, "progress", 0, 0, {"task": "ready", "steps_per_epoch": steps})])
    return store.run(run.id)


def plan_event(run: Run, steps: int = 20, classes: int = 3) -> NewEvent:
    """What a run tells once it is ready: the rates that its spec asks for, as training has them."""
    stages = backbone_record(run.spec.model.backbone).stage_names
    curve = rate_plan(run.spec, stages, steps).curve()
    planned = {"epochs": curve.epochs, "head": curve.head, "backbone": curve.backbone}
    values: dict[str, Value] = {
        "task": "ready",
        "steps_per_epoch": steps,
        "classes": classes,
        "planned_rates": json.dumps(planned),
    }
    return (time.time(), "progress", 0, 0, values)


def phase_event(
    run: Run, epoch: int, step: int, rates: Mapping[str, float], head: float = 1e-3
) -> NewEvent:
    """What a run tells when other stages learn: those in `rates`; all others are frozen."""
    stages = backbone_record(run.spec.model.backbone).stage_names
    values: dict[str, Value] = {f"stage/{name}": rates.get(name, 0.0) for name in stages}
    return (time.time(), "phase", epoch, step, {**values, "head": head})


def act_event(epoch: int, step: int, act: Act) -> NewEvent:
    """What a run tells when something was changed."""
    values: dict[str, Value] = {
        "act": act.kind,
        "target": act.target,
        "factor": act.factor,
        "sentence": act.sentence,
    }
    return (time.time(), "act", epoch, step, values)
