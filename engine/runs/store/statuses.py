"""How runs stand: their status, what is known of them, and which process trains them."""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select, update

from engine.events import ACTIVE, RESUMABLE, Status, Value
from engine.logs import note
from engine.runs.database import writing
from engine.runs.store.events import StoredEvents
from engine.runs.tables import runs


class StoredStatuses(StoredEvents):
    """Changes how runs stand, and tells so in their events."""

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
        with writing(self.engine, run_id) as connection:
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
        _note_status(run_id, row.status, status, reason)
        return True

    def add_to_summary(self, run_id: str, facts: Mapping[str, Any]) -> None:
        """Adds facts to a run's summary."""
        with writing(self.engine, run_id) as connection:
            text = connection.scalar(select(runs.c.summary).where(runs.c.id == run_id))
            merged = json.loads(text or "{}") | dict(facts)
            connection.execute(
                update(runs).where(runs.c.id == run_id).values(summary=json.dumps(merged))
            )

    def set_process(self, run_id: str, host: str, pid: int, pid_started: float) -> None:
        """Records which process trains the run."""
        with writing(self.engine, run_id) as connection:
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(host=host, pid=pid, pid_started=pid_started, beat_at=time.time())
            )

    def request_stop(self, run_id: str) -> None:
        """Asks a run to stop: at once where it waits, after the present step where it runs."""
        if self.set_status(run_id, "stopped", "stopped before it started", only_from=["queued"]):
            return
        if self.set_status(run_id, "stopped", "stopped while it was paused", only_from=["paused"]):
            return
        going_on: list[Status] = ["running", "pausing"]
        self.set_status(run_id, "stopping", only_from=going_on, stop_requested=True)

    def request_pause(self, run_id: str) -> bool:
        """Asks a run to pause: at once where it waits, after the present step where it runs.

        Returns:
            Whether it waited or ran, or is pausing already.
        """
        if self.set_status(run_id, "paused", "paused before it started", only_from=["queued"]):
            return True
        return self.set_status(run_id, "pausing", only_from=["running", "pausing"])

    def refuse_pause(self, run_id: str, reason: str) -> bool:
        """Takes down why a run goes on that was to pause; returns whether it was."""
        return self.set_status(run_id, "running", reason, only_from=["pausing"])

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


def _note_status(run_id: str, before: Status, status: Status, reason: str) -> None:
    """Writes to the logs what became of a run."""
    asked = {"queued": "run resumed", "stopping": "stop asked", "pausing": "pause asked"}
    level = {"failed": logging.ERROR, "interrupted": logging.WARNING}.get(status, logging.INFO)
    told: dict[str, Any] = {"reason": reason} if reason else {}
    event = asked.get(status, f"run {status}")
    note("runs", event, level, run=run_id, before=before, **told)
