"""A run from elsewhere as rows of the store: all of them, or none."""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from engine.runs.database import writing
from engine.runs.run_file import EventLine, RunDocument
from engine.runs.store import Store
from engine.runs.tables import acts, events, runs
from engine.spec import RunSpec
from engine.strategies import STRATEGIES

BATCH = 1000


def asked_acts(store: Store, run_id: str) -> list[dict[str, Any]]:
    """Returns what a person asked of a run while it went on, as plain data."""
    query = select(acts).where(acts.c.run_id == run_id).order_by(acts.c.number)
    with store.engine.connect() as connection:
        return [
            {"number": row.number, "time": row.time, "act": json.loads(row.act)}
            for row in connection.execute(query)
        ]


def is_taken(store: Store, run_id: str) -> bool:
    """Returns whether the store has a run of this id, hidden or not."""
    with store.engine.connect() as connection:
        return connection.scalar(select(runs.c.id).where(runs.c.id == run_id)) is not None


def ids_from(store: Store, file_id: str) -> list[str]:
    """Returns the runs that have an id, or had it in the file that they came from."""
    query = select(runs.c.id, runs.c.summary).where(
        or_(runs.c.id == file_id, runs.c.summary.contains(file_id))
    )
    with store.engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        row.id
        for row in rows
        if file_id in (row.id, (json.loads(row.summary).get("imported") or {}).get("id"))
    ]


def insert_run(
    store: Store,
    run_id: str,
    document: RunDocument,
    summary: Mapping[str, Any],
    lines: Iterable[EventLine],
) -> None:
    """Adds a run that has ended elsewhere, with its events and acts, in one transaction.

    Args:
        store: gets it.
        run_id: that it has here.
        document: what its file says.
        summary: as it is to be here.
        lines: its events, in order.

    Raises:
        SQLAlchemyError: it cannot be written, or the id was taken meanwhile.
    """
    row, spec = document.run, RunSpec.parse(document.run.spec)
    with writing(store.engine) as connection:
        connection.execute(
            insert(runs).values(
                id=run_id,
                name=row.name,
                status=row.status,
                reason=row.reason,
                spec=spec.model_dump_json(),
                summary=json.dumps(dict(summary), allow_nan=False),
                group_id=row.group,
                colour=_colour(connection, spec, row.colour),
                created_at=row.created_at,
                started_at=row.started_at,
                ended_at=row.ended_at,
                last_seq=row.last_seq,
                note=row.note,
                tags=json.dumps(sorted(set(row.tags))),
                starred=row.starred,
            )
        )
        _insert_events(connection, run_id, lines)
        if document.acts:
            connection.execute(
                insert(acts),
                [
                    {
                        "run_id": run_id,
                        "number": one.number,
                        "time": one.time,
                        "act": json.dumps(one.act, allow_nan=False),
                    }
                    for one in document.acts
                ],
            )


def _insert_events(connection: Connection, run_id: str, lines: Iterable[EventLine]) -> None:
    rows = (
        line.model_dump() | {"run_id": run_id, "values": json.dumps(line.values, allow_nan=False)}
        for line in lines
    )
    while batch := list(islice(rows, BATCH)):
        connection.execute(insert(events), batch)


def _colour(connection: Connection, spec: RunSpec, wanted: int) -> int:
    """Returns the wanted colour, or the next one where a run of its kind has it here."""
    temperature = STRATEGIES[spec.strategy.name].temperature
    taken = {
        row.colour
        for row in connection.execute(select(runs.c.colour, runs.c.spec))
        if (kind := STRATEGIES.get(json.loads(row.spec)["strategy"]["name"])) is not None
        and kind.temperature == temperature
    }
    return wanted if wanted not in taken else len(taken)
