"""What a person asks of runs that go on."""

import time

from sqlalchemy import func, insert, select

from engine.errors import SpecError
from engine.logs import note
from engine.runs.database import writing
from engine.runs.store.base import StoreBase
from engine.runs.tables import acts
from engine.spec import Act, RunSpec


class StoredActs(StoreBase):
    """Keeps acts until the run has taken them."""

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
        with writing(self.engine, run.id) as connection:
            last = connection.scalar(select(func.max(acts.c.number)).where(acts.c.run_id == run.id))
            connection.execute(
                insert(acts).values(
                    run_id=run.id,
                    number=(last or 0) + 1,
                    time=time.time(),
                    act=act.model_dump_json(),
                )
            )
        note("runs", "change asked", run=run.id, change=act.sentence)

    def acts(self, run_id: str, after: int = 0) -> list[tuple[int, Act]]:
        """Returns the acts asked of a run whose number is greater than `after`, in order."""
        query = (
            select(acts.c.number, acts.c.act)
            .where(acts.c.run_id == run_id, acts.c.number > after)
            .order_by(acts.c.number)
        )
        return [(row.number, Act.parse(row.act)) for row in self._read(query)]
