"""Which model of a lineage is in use: a record that only grows."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, insert, select

from engine.errors import SpecError
from engine.logs import note
from engine.runs.database import writing
from engine.runs.store.base import StoreBase
from engine.runs.tables import adoptions

AdoptionKind = Literal["adopted", "undone"]


@dataclass(frozen=True)
class Adoption:
    """One line of the record.

    Attributes:
        number: counts up from 1 over all lineages.
        time: seconds since the Unix epoch.
        lineage: what it began with: the id of a run, or the path of a checkpoint.
        kind: whether an update was adopted, or an adoption undone.
        run_id: of that update; the run itself may be gone.
        other: the model in use before it was adopted, or again since that was undone.
        details: the run's name, the rule and what was measured, as plain data.
    """

    number: int
    time: float
    lineage: str
    kind: AdoptionKind
    run_id: str
    other: str
    details: dict[str, Any]

    @property
    def in_use(self) -> str:
        """The model that was in use from then on."""
        return self.run_id if self.kind == "adopted" else self.other

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        told = {
            "number": self.number,
            "time": self.time,
            "lineage": self.lineage,
            "kind": self.kind,
            "run_id": self.run_id,
            "other": self.other,
            "in_use": self.in_use,
        }
        return told | {"details": self.details}


def stack_of(record: Sequence[Adoption]) -> tuple[str, ...]:
    """Returns the models that a lineage's record leads through, less what was undone.

    The first is the model before any adoption, the last is in use; none where there is no record.
    """
    stack: list[str] = []
    for one in record:
        if one.kind == "undone":
            stack.pop()
            continue
        if not stack:
            stack.append(one.other)
        stack.append(one.run_id)
    return tuple(stack)


class StoredAdoptions(StoreBase):
    """Keeps what was decided about updates; nothing in it is ever changed or removed."""

    def adoptions(self, lineage: str | None = None) -> list[Adoption]:
        """Returns the record in order, of one lineage or of all."""
        query = select(adoptions).order_by(adoptions.c.number)
        if lineage is not None:
            query = query.where(adoptions.c.lineage == lineage)
        return [
            Adoption(**dict(row._mapping) | {"details": json.loads(row.details)})
            for row in self._read(query)
        ]

    def models_held(self) -> frozenset[str]:
        """Returns the models in use and those that could be gone back to."""
        lines: dict[str, list[Adoption]] = {}
        for one in self.adoptions():
            lines.setdefault(one.lineage, []).append(one)
        stacks = (stack_of(record) for record in lines.values())
        return frozenset(key for stack in stacks if len(stack) > 1 for key in stack)

    def add_adoption(
        self,
        lineage: str,
        kind: AdoptionKind,
        run_id: str,
        other: str,
        details: dict[str, Any],
        seen: Sequence[Adoption],
    ) -> Adoption:
        """Adds a line to the record of a lineage and returns it.

        Args:
            lineage: what it began with.
            kind: of decision.
            run_id: of the update.
            other: see Adoption.
            details: plain data.
            seen: the lineage's lines that the decision rests on.

        Raises:
            SpecError: somebody has added another line to that lineage meanwhile.
        """
        last = select(func.max(adoptions.c.number))
        with writing(self.engine) as connection:
            known = connection.scalar(last.where(adoptions.c.lineage == lineage))
            if known != max((one.number for one in seen), default=None):
                raise SpecError(
                    "Somebody else has just adopted or undone an update of this model; look again, "
                    "and decide anew."
                )
            values: dict[str, Any] = {
                "number": (connection.scalar(last) or 0) + 1,
                "time": time.time(),
                "lineage": lineage,
                "kind": kind,
                "run_id": run_id,
                "other": other,
                "details": json.dumps(details),
            }
            connection.execute(insert(adoptions).values(**values))
        note("runs", f"update {kind}", run=run_id, in_use=run_id if kind == "adopted" else other)
        return Adoption(**values | {"details": details})
