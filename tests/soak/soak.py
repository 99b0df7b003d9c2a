"""Lets them all loose on one store, and says what became of it."""

import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select

from engine.home import thaw_home
from engine.runs.store import Run, Store
from engine.runs.tables import events
from engine.spec import RunSpec
from tests.soak import hands
from tests.soak.hands import Seen, Signals

SAMPLE_SECONDS = 0.02
END_SECONDS = 120.0
NUM_READERS = 5


@dataclass
class Outcome:
    """What became of the store.

    Attributes:
        seconds: that it took.
        seen: by each of those who used it.
        integrity: what SQLite says of the file.
        largest_journal: in bytes, of all that was seen.
        last_journal: in bytes, when all had left.
        sizes: of the file in bytes, at the beginning and at the end.
        faults: all that was wrong.
    """

    seconds: float
    seen: list[Seen]
    integrity: str
    largest_journal: int
    last_journal: int
    sizes: tuple[int, int]
    faults: list[str]


def soak(seconds: float, events_a_second: float, num_readers: int = NUM_READERS) -> Outcome:
    """Returns what becomes of the store of THAW_HOME under a run, readers and a person."""
    store = Store()
    run = _add(store)
    context = multiprocessing.get_context("spawn")
    signals = Signals(context.Semaphore(0), context.Event(), context.Queue())
    processes = [
        context.Process(target=hands.write, args=(run.id, events_a_second, signals)),
        context.Process(target=hands.mark, args=(run.id, signals)),
        *(
            context.Process(target=hands.read, args=(run.id, number, signals))
            for number in range(1, num_readers + 1)
        ),
    ]
    for process in processes:
        process.start()
    for _ in processes:
        assert signals.ready.acquire(timeout=END_SECONDS)
    began, size = time.monotonic(), _size("thaw.db")
    largest = _watch(seconds)
    signals.end.set()
    seen = [signals.told.get(timeout=END_SECONDS) for _ in processes]
    for process in processes:
        process.join()
    outcome = Outcome(
        seconds=time.monotonic() - began,
        seen=sorted(seen, key=lambda one: one.who),
        integrity=_integrity(store.engine),
        largest_journal=largest,
        last_journal=_size("thaw.db-journal"),
        sizes=(size, _size("thaw.db")),
        faults=[f"{one.who}: {fault}" for one in seen for fault in one.faults],
    )
    outcome.faults += _faults(store, run, sum(one.num_events for one in seen if "run" in one.who))
    store.close()
    return outcome


def _add(store: Store) -> Run:
    """Adds a run that goes on, and some that have ended, as a store has."""
    spec = RunSpec.parse({"data": {"folder": "photos"}})
    *ended, run = store.add_runs([(f"run {number}", spec) for number in range(40)])
    for one in ended:
        store.set_status(one.id, "finished", summary={"best_val_accuracy": 0.9})
    store.set_status(run.id, "running")
    return run


def _watch(seconds: float) -> int:
    """Waits, and returns the size of the largest journal that was there meanwhile, in bytes."""
    until, largest = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        largest = max(largest, _size("thaw.db-journal"))
        time.sleep(SAMPLE_SECONDS)
    return largest


def _size(name: str) -> int:
    file = Path(thaw_home()) / name
    return file.stat().st_size if file.exists() else 0


def _integrity(engine: Engine) -> str:
    if engine.dialect.name != "sqlite":
        return "ok"
    with engine.connect() as connection:
        return str(connection.exec_driver_sql("PRAGMA integrity_check").scalar())


def _faults(store: Store, run: Run, num_told: int) -> list[str]:
    """Returns in what the events that are kept differ from those that were told."""
    told = events.c.kind.in_(("step", "epoch"))
    query = select(
        func.count(),
        func.max(events.c.seq),
        func.count().filter(told),
        func.count(events.c.step.distinct()).filter(told),
        func.max(events.c.step).filter(told),
    ).where(events.c.run_id == run.id)
    with store.engine.connect() as connection:
        num_kept, last_seq, num_steps, num_different, last_step = connection.execute(query).one()
    faults = []
    if not num_kept == last_seq == store.run(run.id).last_seq:
        faults.append(f"{num_kept} events up to number {last_seq}")
    if not num_steps == num_different == (last_step or 0) == num_told:
        faults.append(
            f"{num_told} events were told; {num_steps} are kept, {num_different} of them different"
        )
    return faults
