"""What runs tell: their events, in order and without gaps, from many writers."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from engine.errors import RunNotFoundError
from engine.events import ACTIVE, Kind, MetricEvent, Status, Value, Wish
from engine.runs.database import writing
from engine.runs.store.base import StoreBase
from engine.runs.tables import events, runs

# Rows of events that are read at once: a writer waits for no more, see tables.py.
PAGE = 5000

NewEvent = tuple[float, Kind, int, int, Mapping[str, Value]]


class StoredEvents(StoreBase):
    """Reads and writes events."""

    def heads(self, run_ids: Iterable[str]) -> dict[str, tuple[int, Status]]:
        """Returns `last_seq` and status of the given runs and of all active ones."""
        query = select(runs.c.id, runs.c.last_seq, runs.c.status).where(
            or_(runs.c.id.in_(list(run_ids)), runs.c.status.in_(ACTIVE))
        )
        return {row.id: (row.last_seq, row.status) for row in self._read(query)}

    def watch(self) -> Callable[[], bool]:
        """Returns a function that says whether anything was written since it was last asked.

        On SQLite that is one look at a counter, which never waits and costs next to nothing; while
        someone writes, and on PostgreSQL, the answer is yes. There `heads` is looked at instead,
        which at 20 times a second costs 2 % of a core, and only while a page is open.
        """
        if self.engine.dialect.name != "sqlite":
            return lambda: True
        connection = self.engine.raw_connection()
        connection.detach()
        connection.cursor().execute("PRAGMA busy_timeout = 0")
        seen: int | None = None

        def changed() -> bool:
            nonlocal seen
            try:
                [[version]] = connection.cursor().execute("PRAGMA data_version").fetchall()
            except sqlite3.OperationalError:
                return True
            is_new = bool(version != seen)
            seen = version
            return is_new

        return changed

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[MetricEvent]:
        """Returns a run's events whose `seq` is greater than `after`, in order."""
        return self._events(select(events).where(events.c.run_id == run_id), after, limit)

    def epochs(self, run_id: str) -> list[MetricEvent]:
        """Returns a run's epoch events, in order."""
        return self.events_of_kind(run_id, "epoch")

    def events_of_kind(self, run_id: str, kind: Kind) -> list[MetricEvent]:
        """Returns a run's events of one kind, in order."""
        chosen = select(events).where(events.c.run_id == run_id, events.c.kind == kind)
        return self._events(chosen, after=0, limit=None)

    def _events(self, query: Select[Any], after: int, limit: int | None) -> list[MetricEvent]:
        found: list[MetricEvent] = []
        while limit is None or len(found) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            rows = self._read(query.where(events.c.seq > after).order_by(events.c.seq).limit(size))
            found += [_to_event(row) for row in rows]
            if len(rows) < size:
                break
            after = found[-1].seq
        return found

    def append(
        self,
        run_id: str,
        new_events: Sequence[NewEvent],
        again: bool = False,
        pid: int | None = None,
    ) -> Wish:
        """Appends events in one transaction, beats, and returns what the run is to do.

        A run that was taken for dead, since neither it nor its beats could be seen, is so no more.
        It is to stop where a person asked for it, and where another process has taken it up.

        Args:
            run_id: the run.
            new_events: what it tells.
            again: they may be there already, since the answer to an earlier call was lost.
            pid: of the process that tells it.
        """
        this_run = runs.c.id == run_id
        query = select(runs.c.status, runs.c.stop_requested, runs.c.pid).where(this_run)
        with writing(self.engine, run_id) as connection:
            row = connection.execute(query).first()
            if row is None:
                raise RunNotFoundError(f"The run {run_id!r} is no longer in the store.")
            if pid is not None and row.pid not in (pid, None):
                return "stop"
            if row.status == "interrupted":
                back = update(runs).where(this_run)
                connection.execute(back.values(status="running", reason="", ended_at=None))
                told: dict[str, Value] = {"status": "running", "reason": "It was heard of again."}
                self._append(connection, run_id, [(time.time(), "status", 0, 0, told)])
            if not (again and new_events and _has(connection, run_id, new_events[0])):
                self._append(connection, run_id, new_events)
            connection.execute(update(runs).where(this_run).values(beat_at=time.time()))
        if row.stop_requested or row.status not in (*ACTIVE, "interrupted"):
            return "stop"
        return "pause" if row.status == "pausing" else ""

    def _append(self, connection: Connection, run_id: str, new_events: Sequence[NewEvent]) -> None:
        if not new_events:
            return
        last = connection.scalar(select(runs.c.last_seq).where(runs.c.id == run_id))
        if last is None:
            raise RunNotFoundError(f"The run {run_id!r} is no longer in the store.")
        rows = [
            {
                "run_id": run_id,
                "seq": seq,
                "time": at,
                "kind": kind,
                "epoch": epoch,
                "step": step,
                "values": json.dumps(dict(values), allow_nan=False),
            }
            for seq, (at, kind, epoch, step, values) in enumerate(new_events, start=last + 1)
        ]
        connection.execute(insert(events), rows)
        connection.execute(
            update(runs).where(runs.c.id == bindparam("run")).values(last_seq=rows[-1]["seq"]),
            {"run": run_id},
        )

    def forget_after(self, run_id: str, step: int, epoch: int) -> None:
        """Removes the events of a run that tell of what is done again.

        Args:
            run_id: the run.
            step: the last that is not.
            epoch: likewise; after the last step of one it may still have to be judged.
        """
        later = or_(
            and_(events.c.kind.in_(("step", "act")), events.c.step > step),
            and_(events.c.kind == "epoch", events.c.epoch > epoch),
            # A phase is told of with the number of steps before it.
            and_(events.c.kind == "phase", events.c.step >= step),
        )
        with writing(self.engine, run_id) as connection:
            connection.execute(delete(events).where(events.c.run_id == run_id, later))


def _has(connection: Connection, run_id: str, event: NewEvent) -> bool:
    """Returns whether a run has told of this very thing, at this very time."""
    at, kind, epoch, step, _ = event
    same = (events.c.time == at, events.c.kind == kind, events.c.epoch == epoch)
    query = select(events.c.seq).where(events.c.run_id == run_id, *same, events.c.step == step)
    return connection.execute(query.limit(1)).first() is not None


def _to_event(row: Row[Any]) -> MetricEvent:
    return MetricEvent(
        run_id=row.run_id,
        seq=row.seq,
        time=row.time,
        kind=row.kind,
        epoch=row.epoch,
        step=row.step,
        values=json.loads(row._mapping["values"]),
    )
