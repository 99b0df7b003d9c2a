"""What a run tells the world while it goes on."""

import json
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["status", "progress", "step", "epoch", "phase", "act"]
Status = Literal[
    "queued",
    "running",
    "stopping",
    "pausing",
    "paused",
    "stopped",
    "finished",
    "failed",
    "interrupted",
]
# What a person wants of a run that goes on; nothing where it is to go on.
Wish = Literal["", "stop", "pause"]
Value = float | int | str | None

# Values of progress events that are a sentence for the person: what befell a run, and what it does.
NOTES = ("state_note", "memory_note")

ACTIVE: tuple[Status, ...] = ("queued", "running", "stopping", "pausing")
WORKING: tuple[Status, ...] = ("running", "stopping", "pausing")
RESUMABLE: tuple[Status, ...] = ("paused", "stopped", "interrupted", "failed")

# Made once: every open page has every event written out for it.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class MetricEvent:
    """One thing that happened in a run.

    Attributes:
        run_id: the run.
        seq: counts up within the run; there are gaps where a run was resumed and did some steps
            again.
        time: seconds since the Unix epoch when it happened.
        kind: status, progress (preparation), step, epoch, phase (which stages learn from here on,
            `stage/<name>` with their learning rate before its schedule, 0 where frozen) or act
            (something a person changed).
        epoch: counts from 1; 0 before training starts.
        step: optimiser steps since the start of the run.
        values: metric keys such as `train/loss` and their values; an accuracy is a fraction.
    """

    run_id: str
    seq: int
    time: float
    kind: Kind
    epoch: int = 0
    step: int = 0
    values: dict[str, Value] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the event as one JSON object on one line."""
        return _encode(vars(self))


def note_of(event: MetricEvent) -> str:
    """Returns the sentence that an event has for the person, empty where it has none."""
    return next((str(event.values[name]) for name in NOTES if event.values.get(name)), "")
