"""What a person says of runs, and which are thrown away."""

import json
import time
from typing import Any

from sqlalchemy import and_, delete, select, update

from engine.events import ACTIVE
from engine.logs import note
from engine.runs.database import writing
from engine.runs.store.base import StoreBase
from engine.runs.tables import acts, events, runs

MARKS = frozenset({"name", "note", "tags", "starred", "archived"})


class StoredMarks(StoreBase):
    """Marks runs, throws them away and brings them back."""

    def mark(self, run_id: str, **marks: Any) -> None:
        """Sets what a person says of a run: name, note, tags, starred or archived."""
        unknown = set(marks) - MARKS
        assert not unknown, unknown
        if "tags" in marks:
            marks["tags"] = json.dumps(sorted(set(marks["tags"])))
        with writing(self.engine, run_id) as connection:
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
        with writing(self.engine, run_id) as connection:
            done = connection.execute(update(runs).where(chosen).values(deleted_at=at))
        if done.rowcount:
            note("runs", "run deleted" if at else "run restored", run=run_id)
        return bool(done.rowcount)

    def forget(self, run_id: str) -> None:
        """Removes a run that was thrown away from the store, for good."""
        thrown_away = and_(runs.c.id == run_id, runs.c.deleted_at.is_not(None))
        with writing(self.engine, run_id) as connection:
            if connection.scalar(select(runs.c.id).where(thrown_away)) is None:
                return
            for table in (events, acts):
                connection.execute(delete(table).where(table.c.run_id == run_id))
            connection.execute(delete(runs).where(thrown_away))
        # Not to its own log, which is gone.
        note("runs", "run removed for good", removed=run_id)
