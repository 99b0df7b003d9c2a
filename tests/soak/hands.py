"""Those who use the store at the same time, each in a process of its own.

Each works until it is told to end, and then puts what it saw on a queue.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event, Semaphore
from typing import Any, NamedTuple, TypeVar

from engine.events import Wish
from engine.runs.process import machine_name, process_started
from engine.runs.store import Store
from engine.runs.writer import EventWriter

LONG_READ = 100_000
LONG_READ_SECONDS = 5.0
PAGE_SECONDS = 0.05
MARK_SECONDS = 0.05

Result = TypeVar("Result")


class Signals(NamedTuple):
    """What they have in common.

    Attributes:
        ready: each says that it has begun.
        end: all are to end.
        told: what they saw.
    """

    ready: Semaphore
    end: Event
    told: "Queue[Seen]"


@dataclass
class Seen:
    """What one of them did and saw.

    Attributes:
        who: it was.
        num_calls: of the store.
        worst_seconds: that a call took, one of those that last a moment.
        longest_seconds: that it took to read all of a long run.
        num_events: that were written, or read as they came.
        faults: errors, and events that were missing or there twice.
    """

    who: str
    num_calls: int = 0
    worst_seconds: float = 0.0
    longest_seconds: float = 0.0
    num_events: int = 0
    faults: list[str] = field(default_factory=list)

    def timed(self, call: Callable[..., Result], *arguments: Any, **more: Any) -> Result:
        """Returns what a call returns, and notes how long that took."""
        began = time.perf_counter()
        result = call(*arguments, **more)
        self.num_calls += 1
        self.worst_seconds = max(self.worst_seconds, time.perf_counter() - began)
        return result


class TimedStore(Store):
    """A store that notes how long each of a writer's batches takes."""

    seen: Seen

    def append(self, *arguments: Any, **more: Any) -> Wish:
        """Appends events."""
        return self.seen.timed(super().append, *arguments, **more)


def write(run_id: str, events_a_second: float, signals: Signals) -> None:
    """A run that tells of a step many times a second, and of an epoch after each 100."""

    def work(store: TimedStore, seen: Seen) -> None:
        store.set_process(run_id, machine_name(), os.getpid(), process_started(os.getpid()) or 0.0)
        writer = EventWriter(store, run_id)
        began = time.perf_counter()
        while not signals.end.is_set():
            due = int((time.perf_counter() - began) * events_a_second) - seen.num_events
            for _ in range(due):
                seen.num_events += 1
                step = seen.num_events
                values = {"train/loss": 1 / step, "train/accuracy": 0.5, "lr/head": 1e-3}
                kind = "epoch" if step % 100 == 0 else "step"
                writer.emit(kind, step // 100 + 1, step, values)  # type: ignore[arg-type]
            time.sleep(0.005)
        writer.close()

    _do("a run that writes", work, signals)


def read(run_id: str, number: int, signals: Signals) -> None:
    """A dashboard with open pages: it polls, lists runs, and now and then reads a long run."""
    drawn = random.Random(number)

    def work(store: TimedStore, seen: Seen) -> None:
        cursor, long_at = 0, time.monotonic() + drawn.uniform(0, LONG_READ_SECONDS)
        changed = store.watch()
        while not signals.end.is_set():
            if changed():
                seen.timed(store.heads, [run_id])
                fresh = [event.seq for event in seen.timed(store.events, run_id, cursor)]
                if fresh != list(range(cursor + 1, cursor + 1 + len(fresh))):
                    seen.faults.append(f"after {cursor} came {fresh[:5]} …")
                cursor += len(fresh)
            seen.timed(store.all_runs)
            if time.monotonic() > long_at:
                began = time.monotonic()
                store.events(run_id, limit=LONG_READ)
                seen.longest_seconds = max(seen.longest_seconds, time.monotonic() - began)
                seen.timed(store.epochs, run_id)
                long_at = time.monotonic() + LONG_READ_SECONDS
            time.sleep(PAGE_SECONDS)
        seen.num_events = cursor

    _do(f"reader {number}", work, signals)


def mark(run_id: str, signals: Signals) -> None:
    """A person in a hurry, who names, tags and stars runs, and reads what was marked."""

    def work(store: TimedStore, seen: Seen) -> None:
        while not signals.end.is_set():
            note = f"note {seen.num_calls}"
            seen.timed(store.mark, run_id, note=note, tags=["a", note], starred=True)
            if (found := seen.timed(store.run, run_id).note) != note:
                seen.faults.append(f"{found!r} was kept for {note!r}")
            time.sleep(MARK_SECONDS)

    _do("a person who marks", work, signals)


def _do(who: str, work: Callable[[TimedStore, Seen], None], signals: Signals) -> None:
    seen = Seen(who)
    store = TimedStore()
    store.seen = seen
    signals.ready.release()
    try:
        work(store, seen)
    except Exception as error:
        seen.faults.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
    store.close()
    signals.told.put(seen)
