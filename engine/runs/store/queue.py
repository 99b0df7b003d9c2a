"""The queue of runs: who waits, in which order, and who is next."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, func, insert, or_, select, update

from engine.events import WORKING
from engine.logs import note
from engine.runs.database import writing
from engine.runs.ids import new_id
from engine.runs.run import Run
from engine.runs.store.events import StoredEvents
from engine.runs.tables import runs
from engine.spec import RunSpec
from engine.strategies import STRATEGIES


class StoredQueue(StoredEvents):
    """Adds runs, orders them, and hands them out."""

    def add_runs(self, named_specs: Sequence[tuple[str, RunSpec]]) -> list[Run]:
        """Adds runs of one group to the end of the queue, all or none, and returns them."""
        group_id = new_id()
        ids = [new_id() for _ in named_specs]
        with writing(self.engine) as connection:
            specs = connection.scalars(select(runs.c.spec)).all()
            colours = Counter(_temperature(text) for text in specs)
            for run_id, (name, spec) in zip(ids, named_specs, strict=True):
                temperature = STRATEGIES[spec.strategy.name].temperature
                self._add(connection, run_id, name, spec, group_id, colours[temperature])
                colours[temperature] += 1
        for run_id, (name, _) in zip(ids, named_specs, strict=True):
            note("runs", "run queued", run=run_id, name=name, group=group_id)
        return [self.run(run_id) for run_id in ids]

    def _add(
        self,
        connection: Connection,
        run_id: str,
        name: str,
        spec: RunSpec,
        group_id: str,
        colour: int,
    ) -> None:
        connection.execute(
            insert(runs).values(
                id=run_id,
                name=name,
                status="queued",
                spec=spec.model_dump_json(),
                group_id=group_id,
                colour=colour,
                created_at=time.time(),
            )
        )
        self._append(connection, run_id, [(time.time(), "status", 0, 0, {"status": "queued"})])

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

    def queue_order(self) -> list[str]:
        """Returns the ids of the runs that wait, the next to start first."""
        return [row.id for row in self._read(_waiting(select(runs.c.id)))]

    def claim_next(self, num_slots: int, host: str) -> tuple[str, int] | None:
        """Takes the run that is next, where a slot is free, and marks it as running.

        Args:
            num_slots: runs that may go on at once on this machine.
            host: the machine, where it will run.

        Returns:
            The run's id and the number of its slot, or None.
        """
        with writing(self.engine) as connection:
            working = connection.execute(
                select(runs.c.slot).where(runs.c.status.in_(WORKING), runs.c.host == host)
            ).all()
            taken = {row.slot for row in working}
            free = [slot for slot in range(num_slots) if slot not in taken]
            waiting = connection.scalar(_waiting(select(runs.c.id)).limit(1))
            if not free or len(working) >= num_slots or waiting is None:
                return None
            now = time.time()
            connection.execute(
                update(runs)
                .where(runs.c.id == waiting)
                .values(status="running", started_at=now, beat_at=now, slot=free[0], host=host)
            )
            self._append(connection, waiting, [(now, "status", 0, 0, {"status": "running"})])
        note("runs", "run claimed", run=waiting, slot=free[0], host=host)
        return waiting, free[0]

    def num_waiting_before(self, run: Run) -> int:
        """Returns how many runs go on or wait ahead of a queued one."""
        own = run.created_at if run.place is None else run.place
        place = func.coalesce(runs.c.place, runs.c.created_at)
        ahead = and_(runs.c.status == "queued", place < own)
        query = select(func.count()).where(or_(runs.c.status.in_(WORKING), ahead))
        with self.engine.connect() as connection:
            return int(connection.scalar(query) or 0)


def _waiting(query: Select[Any]) -> Select[Any]:
    """Returns a query of runs for those that wait, the next to start first."""
    in_order = (func.coalesce(runs.c.place, runs.c.created_at), runs.c.id)
    return query.where(runs.c.status == "queued").order_by(*in_order)


def _temperature(spec_json: str) -> str | None:
    strategy = STRATEGIES.get(json.loads(spec_json)["strategy"]["name"])
    return strategy.temperature if strategy else None
