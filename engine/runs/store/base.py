"""What all parts of the store share: its connections, and how runs are found."""

import os
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Self

from sqlalchemy import Engine, Row, Select, func, not_, or_, select

from engine.errors import RunNotFoundError
from engine.events import ACTIVE, Status
from engine.runs.database import database_url, open_database
from engine.runs.ids import short_ids
from engine.runs.run import Run, to_run
from engine.runs.tables import runs


class StoreBase:
    """Finds runs; the parts of the store add what they do to it."""

    def __init__(self, url: str | None = None):
        """Opens the store at a SQLAlchemy URL, by default that of THAW_HOME.

        Raises:
            HomeError: THAW_HOME cannot be written.
            StoreError: the database cannot be opened.
        """
        self.engine = open_database(url or database_url())
        weakref.finalize(self, _dispose, self.engine, os.getpid())

    @classmethod
    def on(cls, engine: Engine) -> Self:
        """Returns a store on a database that is open already, and of this release's schema."""
        store = cls.__new__(cls)
        store.engine = engine
        return store

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def run(self, run_id: str) -> Run:
        """Returns the run with this id, or whose id alone starts with it.

        Raises:
            RunNotFoundError: no run or several answer to it.
        """
        # Upper and lower case are alike to SQLite only.
        starts = runs.c.id.startswith(run_id.lower(), autoescape=True)
        # One that is the beginning of others is an id of its own.
        in_order = select(runs).where(starts).order_by(func.length(runs.c.id), runs.c.id)
        rows = self._read(in_order.limit(2))
        if not rows or not run_id:
            raise RunNotFoundError(f"There is no run {run_id!r}; `thaw runs` lists them.")
        if len(rows) > 1 and rows[0].id != run_id.lower():
            raise RunNotFoundError(f"Several runs start with {run_id!r}; give more of the id.")
        return to_run(rows[0])

    def short_ids(self) -> dict[str, str]:
        """Returns for the id of each run, hidden ones too, what lists show of it."""
        return short_ids(row.id for row in self._read(select(runs.c.id)))

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
        return [to_run(row) for row in self._read(query)]

    def _read(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """Returns all rows of a query; when they are worked on, nothing is locked any more."""
        with self.engine.connect() as connection:
            return connection.execute(query).all()


def _dispose(engine: Engine, pid: int) -> None:
    """Closes the connections of a store that nobody uses any more."""
    # A child that was forked shares them with its parent, who may use them.
    if os.getpid() == pid:
        engine.dispose()
