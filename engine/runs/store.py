"""The store: runs and their events, for any number of processes at once."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from engine.errors import RunNotFoundError, SpecError
from engine.events import ACTIVE, RESUMABLE, WORKING, Kind, MetricEvent, Status, Value
from engine.runs.database import database_url, open_database, writing
from engine.runs.ids import new_id, short_ids
from engine.runs.tables import acts, events, runs
from engine.spec import Act, RunSpec
from engine.strategies import STRATEGIES

MARKS = frozenset({"name", "note", "tags", "starred", "archived"})

NewEvent = tuple[float, Kind, int, int, Mapping[str, Value]]


@dataclass(frozen=True)
class Run:
    """One row of the store.

    Attributes:
        id: sixteen hexadecimal digits; eight where an earlier Thaw made it.
        name: what a person reads.
        status: see events.Status.
        reason: why it failed, stopped or was interrupted, in one sentence; else empty.
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
        host: where its process runs.
        pid: of that process.
        pid_started: when that process started, in seconds since the Unix epoch.
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


class Store:
    """Reads and writes runs; safe to use from several threads and processes."""

    def __init__(self, url: str | None = None):
        """Opens the store at a SQLAlchemy URL, by default that of THAW_HOME.

        Raises:
            HomeError: THAW_HOME cannot be written.
            StoreError: the database cannot be opened.
        """
        self.engine = open_database(url or database_url())

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def add_runs(self, named_specs: Sequence[tuple[str, RunSpec]]) -> list[Run]:
        """Adds runs of one group to the end of the queue, all or none, and returns them."""
        group_id = new_id()
        ids = [new_id() for _ in named_specs]
        with writing(self.engine) as connection:
            for run_id, (name, spec) in zip(ids, named_specs, strict=True):
                self._add(connection, run_id, name, spec, group_id)
        return [self.run(run_id) for run_id in ids]

    def _add(
        self, connection: Connection, run_id: str, name: str, spec: RunSpec, group_id: str
    ) -> None:
        same_temperature = [
            row.spec
            for row in connection.execute(select(runs.c.spec))
            if _temperature(row.spec) == STRATEGIES[spec.strategy.name].temperature
        ]
        connection.execute(
            insert(runs).values(
                id=run_id,
                name=name,
                status="queued",
                spec=spec.model_dump_json(),
                group_id=group_id,
                colour=len(same_temperature),
                created_at=time.time(),
            )
        )
        self._append(connection, run_id, [(time.time(), "status", 0, 0, {"status": "queued"})])

    def run(self, run_id: str) -> Run:
        """Returns the run with this id, or whose id alone starts with it.

        Raises:
            RunNotFoundError: no run or several answer to it.
        """
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(runs)
                .where(runs.c.id.startswith(run_id, autoescape=True))
                # One that is the beginning of others is an id of its own.
                .order_by(func.length(runs.c.id), runs.c.id)
                .limit(2)
            ).all()
        if not rows or not run_id:
            raise RunNotFoundError(f"There is no run {run_id!r}; `thaw runs` lists them.")
        if len(rows) > 1 and rows[0].id != run_id:
            raise RunNotFoundError(f"Several runs start with {run_id!r}; give more of the id.")
        return _to_run(rows[0])

    def short_ids(self) -> dict[str, str]:
        """Returns for the id of each run, hidden ones too, what lists show of it."""
        with self.engine.connect() as connection:
            return short_ids(connection.scalars(select(runs.c.id)))

    def all_runs(self, statuses: Iterable[Status] | None = None, hidden: bool = False) -> list[Run]:
        """Returns the runs, newest first; those that wait or go on are never hidden.

        Args:
            statuses: only of these, if any are given.
            hidden: those that were archived or deleted, too.
        """
        query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id)
        if not hidden:
            put_away = or_(runs.c.deleted_at.is_not(None), runs.c.archived)
            query = query.where(or_(runs.c.status.in_(ACTIVE), not_(put_away)))
        if statuses is not None:
            query = query.where(runs.c.status.in_(list(statuses)))
        with self.engine.connect() as connection:
            return [_to_run(row) for row in connection.execute(query)]

    def heads(self, run_ids: Iterable[str]) -> dict[str, tuple[int, Status]]:
        """Returns `last_seq` and status of the given runs and of all active ones."""
        query = select(runs.c.id, runs.c.last_seq, runs.c.status).where(
            or_(runs.c.id.in_(list(run_ids)), runs.c.status.in_(ACTIVE))
        )
        with self.engine.connect() as connection:
            return {row.id: (row.last_seq, row.status) for row in connection.execute(query)}

    def watch(self) -> Callable[[], bool]:
        """Returns a function that says whether anything was written since it was last asked.

        On SQLite that is one look at a counter, which never waits and costs next to nothing; while
        someone writes, and on other databases, the answer is yes.
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
        query = (
            select(events)
            .where(events.c.run_id == run_id, events.c.seq > after)
            .order_by(events.c.seq)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [_to_event(row) for row in connection.execute(query)]

    def epochs(self, run_id: str) -> list[MetricEvent]:
        """Returns a run's epoch events, in order."""
        return self.events_of_kind(run_id, "epoch")

    def events_of_kind(self, run_id: str, kind: Kind) -> list[MetricEvent]:
        """Returns a run's events of one kind, in order."""
        query = (
            select(events)
            .where(events.c.run_id == run_id, events.c.kind == kind)
            .order_by(events.c.seq)
        )
        with self.engine.connect() as connection:
            return [_to_event(row) for row in connection.execute(query)]

    def append(self, run_id: str, new_events: Sequence[NewEvent]) -> bool:
        """Appends events in one transaction, beats, and returns whether a stop was requested."""
        with writing(self.engine) as connection:
            self._append(connection, run_id, new_events)
            connection.execute(update(runs).where(runs.c.id == run_id).values(beat_at=time.time()))
            return bool(connection.scalar(select(runs.c.stop_requested).where(runs.c.id == run_id)))

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

    def set_status(
        self,
        run_id: str,
        status: Status,
        reason: str = "",
        only_from: Iterable[Status] = ACTIVE,
        summary: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> bool:
        """Changes a run's status and tells so in its events, in one transaction.

        Args:
            run_id: the run.
            status: the new status.
            reason: one sentence, where there is something to say.
            only_from: statuses from which the change is allowed.
            summary: facts to add to the run's summary.
            **columns: other columns to set.

        Returns:
            Whether the run had an allowed status, so that the change was made.
        """
        with writing(self.engine) as connection:
            row = connection.execute(
                select(runs.c.status, runs.c.summary).where(runs.c.id == run_id)
            ).first()
            if row is None or row.status not in tuple(only_from):
                return False
            if status not in ACTIVE:
                columns.setdefault("ended_at", time.time())
            merged = json.loads(row.summary) | dict(summary or {})
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(status=status, reason=reason, summary=json.dumps(merged), **columns)
            )
            values: dict[str, Value] = {"status": status, "reason": reason}
            self._append(connection, run_id, [(time.time(), "status", 0, 0, values)])
        return True

    def add_to_summary(self, run_id: str, facts: Mapping[str, Any]) -> None:
        """Adds facts to a run's summary."""
        with writing(self.engine) as connection:
            text = connection.scalar(select(runs.c.summary).where(runs.c.id == run_id))
            merged = json.loads(text or "{}") | dict(facts)
            connection.execute(
                update(runs).where(runs.c.id == run_id).values(summary=json.dumps(merged))
            )

    def set_process(self, run_id: str, host: str, pid: int, pid_started: float) -> None:
        """Records which process trains the run."""
        with writing(self.engine) as connection:
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(host=host, pid=pid, pid_started=pid_started, beat_at=time.time())
            )

    def request_stop(self, run_id: str) -> None:
        """Asks a run to stop: at once where it waits, after the present step where it runs."""
        if self.set_status(run_id, "stopped", "stopped before it started", only_from=["queued"]):
            return
        self.set_status(run_id, "stopping", only_from=["running"], stop_requested=True)

    def mark(self, run_id: str, **marks: Any) -> None:
        """Sets what a person says of a run: name, note, tags, starred or archived."""
        unknown = set(marks) - MARKS
        assert not unknown, unknown
        if "tags" in marks:
            marks["tags"] = json.dumps(sorted(set(marks["tags"])))
        with writing(self.engine) as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(**marks))

    def delete(self, run_id: str) -> bool:
        """Throws a run away that has ended, and returns whether it did; see `restore`."""
        return self._set_deleted(run_id, time.time())

    def restore(self, run_id: str) -> bool:
        """Brings a run back that was thrown away, and returns whether it was there."""
        return self._set_deleted(run_id, None)

    def _set_deleted(self, run_id: str, at: float | None) -> bool:
        was = runs.c.deleted_at.is_(None) if at else runs.c.deleted_at.is_not(None)
        chosen = and_(runs.c.id == run_id, runs.c.status.not_in(ACTIVE), was)
        with writing(self.engine) as connection:
            done = connection.execute(update(runs).where(chosen).values(deleted_at=at))
        return bool(done.rowcount)

    def forget(self, run_id: str) -> None:
        """Removes a run that was thrown away from the store, for good."""
        thrown_away = and_(runs.c.id == run_id, runs.c.deleted_at.is_not(None))
        with writing(self.engine) as connection:
            if connection.scalar(select(runs.c.id).where(thrown_away)) is None:
                return
            for table in (events, acts):
                connection.execute(delete(table).where(table.c.run_id == run_id))
            connection.execute(delete(runs).where(thrown_away))

    def put_first(self, run_id: str) -> bool:
        """Makes a waiting run the next to start, and returns whether it waits."""
        return self._put(run_id, first=True)

    def put_last(self, run_id: str) -> bool:
        """Makes a waiting run the last to start, and returns whether it waits."""
        return self._put(run_id, first=False)

    def _put(self, run_id: str, first: bool) -> bool:
        place = func.coalesce(runs.c.place, runs.c.created_at)
        end = func.min(place) - 1.0 if first else func.max(place) + 1.0
        waits = runs.c.status == "queued"
        with writing(self.engine) as connection:
            at = connection.scalar(select(end).where(waits))
            done = connection.execute(
                update(runs).where(runs.c.id == run_id, waits).values(place=at)
            )
        return bool(done.rowcount)

    def reopen(self, run_id: str) -> bool:
        """Puts a run that ended before its time at the end of the queue; returns whether it did."""
        return self.set_status(
            run_id,
            "queued",
            only_from=RESUMABLE,
            stop_requested=False,
            ended_at=None,
            deleted_at=None,
            archived=False,
            place=time.time(),
            slot=None,
            host=None,
            pid=None,
            pid_started=None,
            beat_at=None,
        )

    def forget_after(self, run_id: str, step: int) -> None:
        """Removes the events of a run that tell of what comes after a step: it is done again."""
        later = or_(
            and_(events.c.kind.in_(("step", "epoch", "act")), events.c.step > step),
            # A phase is told of with the number of steps before it.
            and_(events.c.kind == "phase", events.c.step >= step),
        )
        with writing(self.engine) as connection:
            connection.execute(delete(events).where(events.c.run_id == run_id, later))

    def request_act(self, run_id: str, act: Act) -> None:
        """Asks a run that goes on to change what learns, or how fast, before its next step.

        Raises:
            SpecError: the run has ended, waits, or its backbone has no such stage.
        """
        run = self.run(run_id)
        if run.status != "running":
            raise SpecError(
                f"Run {run.id} is {run.status}; only a run that is going on can be steered."
            )
        RunSpec.parse(run.spec.model_dump() | {"steering": [act.model_dump()]})
        with writing(self.engine) as connection:
            last = connection.scalar(select(func.max(acts.c.number)).where(acts.c.run_id == run.id))
            connection.execute(
                insert(acts).values(
                    run_id=run.id,
                    number=(last or 0) + 1,
                    time=time.time(),
                    act=act.model_dump_json(),
                )
            )

    def acts(self, run_id: str, after: int = 0) -> list[tuple[int, Act]]:
        """Returns the acts asked of a run whose number is greater than `after`, in order."""
        query = (
            select(acts.c.number, acts.c.act)
            .where(acts.c.run_id == run_id, acts.c.number > after)
            .order_by(acts.c.number)
        )
        with self.engine.connect() as connection:
            return [(row.number, Act.parse(row.act)) for row in connection.execute(query)]

    def claim_next(self, num_slots: int, host: str) -> tuple[str, int] | None:
        """Takes the run that waited longest, where a slot is free, and marks it as running.

        Args:
            num_slots: runs that may go on at once on this store.
            host: where it will run.

        Returns:
            The run's id and the number of its slot, or None.
        """
        with writing(self.engine) as connection:
            working = connection.execute(
                select(runs.c.slot).where(runs.c.status.in_(WORKING))
            ).all()
            taken = {row.slot for row in working}
            free = [slot for slot in range(num_slots) if slot not in taken]
            waiting = connection.scalar(
                select(runs.c.id)
                .where(runs.c.status == "queued")
                .order_by(func.coalesce(runs.c.place, runs.c.created_at), runs.c.id)
                .limit(1)
            )
            if not free or len(working) >= num_slots or waiting is None:
                return None
            now = time.time()
            connection.execute(
                update(runs)
                .where(runs.c.id == waiting)
                .values(status="running", started_at=now, beat_at=now, slot=free[0], host=host)
            )
            self._append(connection, waiting, [(now, "status", 0, 0, {"status": "running"})])
            return waiting, free[0]

    def num_waiting_before(self, run: Run) -> int:
        """Returns how many runs go on or wait ahead of a queued one."""
        query = (
            select(func.count())
            .select_from(runs)
            .where(
                or_(
                    runs.c.status.in_(WORKING),
                    (runs.c.status == "queued") & (runs.c.created_at < run.created_at),
                )
            )
        )
        with self.engine.connect() as connection:
            return int(connection.scalar(query) or 0)


def _temperature(spec_json: str) -> str | None:
    strategy = STRATEGIES.get(json.loads(spec_json)["strategy"]["name"])
    return strategy.temperature if strategy else None


def _to_run(row: Row[Any]) -> Run:
    values = dict(row._mapping)
    values["spec_json"] = values.pop("spec")
    values["summary"] = json.loads(values["summary"])
    values["tags"] = tuple(json.loads(values["tags"]))
    return Run(**values)


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
