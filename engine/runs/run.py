"""A run, as it is kept in the store."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Row

from engine.events import ACTIVE, Status
from engine.spec import RunSpec


@dataclass(frozen=True)
class Run:
    """One row of the store.

    Attributes:
        id: sixteen hexadecimal digits; eight where an earlier Thaw made it.
        name: what a person reads.
        status: see events.Status.
        reason: why it failed, stopped, paused or was interrupted, or why it could not pause, in one
            sentence; else empty.
        spec_json: the RunSpec as JSON.
        summary: facts and results so far, such as `best_val_accuracy` (fraction) and `seconds`.
        group_id: shared by runs that were launched together.
        colour: place in the palette of its temperature, from 0.
        created_at: seconds since the Unix epoch, like the next two.
        started_at: None while it waits.
        ended_at: None while it waits or goes on.
        stop_requested: a person asked it to stop.
        last_seq: number of events so far.
        slot: which of the places for running at once it holds.
        host: where its process runs; see process.machine_name.
        pid: of that process.
        pid_started: when that process started; see process.process_started.
        beat_at: when the process last gave a sign of life.
        note: what a person wrote about it.
        tags: words that a person gave it, in order.
        starred: whether a person marked it.
        archived: whether it is kept out of the usual lists.
        deleted_at: when it was thrown away, None where it was not; it can be had back for a while.
        place: in the queue, before those with a larger one; its time of creation where None.
    """

    id: str
    name: str
    status: Status
    reason: str
    spec_json: str
    summary: dict[str, Any]
    group_id: str
    colour: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    stop_requested: bool
    last_seq: int
    slot: int | None
    host: str | None
    pid: int | None
    pid_started: float | None
    beat_at: float | None
    note: str = ""
    tags: tuple[str, ...] = ()
    starred: bool = False
    archived: bool = False
    deleted_at: float | None = None
    place: float | None = None

    @cached_property
    def spec(self) -> RunSpec:
        """The run's spec."""
        return RunSpec.parse(self.spec_json)

    @property
    def is_active(self) -> bool:
        """Whether it waits or goes on."""
        return self.status in ACTIVE


def to_run(row: Row[Any]) -> Run:
    """Returns a row of the table of runs as a run."""
    values = dict(row._mapping)
    values["spec_json"] = values.pop("spec")
    values["summary"] = json.loads(values["summary"])
    values["tags"] = tuple(json.loads(values["tags"]))
    return Run(**values)
