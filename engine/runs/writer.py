"""Writes a run's events from a thread of its own, so that training never waits for the disk."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from engine.errors import RunNotFoundError, StoreError
from engine.events import Kind, Value
from engine.runs.store import NewEvent, Store
from engine.spec import Act

BEAT_SECONDS = 0.5
BATCH = 500
# How long a run waits for a store that cannot be written, as when the disk is full for a moment.
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 0.5

Result = TypeVar("Result")


def patiently(write: Callable[[], Result]) -> Result:
    """Returns what a write to the store gives, which is tried for a while until it can be done.

    Raises:
        StoreError: the store could not be written all that time.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return write()
        except RunNotFoundError:
            raise
        except StoreError:
            if time.monotonic() >= until:
                raise
        time.sleep(RETRY_SECONDS)


class EventWriter:
    """The training loop's Reporter: events go out in order, beats go out between them."""

    def __init__(self, store: Store, run_id: str, again: Sequence[Act] = (), acts_seen: int = 0):
        """Starts writing.

        Args:
            store: holds the run.
            run_id: the run.
            again: acts that were asked for before the run was resumed and were not applied yet.
            acts_seen: number of the last act that was asked for before.
        """
        self._store = store
        self._run_id = run_id
        self._events: queue.SimpleQueue[NewEvent | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._pause = threading.Event()
        self._asking = threading.Lock()
        self._acts: queue.SimpleQueue[Act] = queue.SimpleQueue()
        self._acts_seen = acts_seen
        for act in again:
            self._acts.put(act)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="event-writer", daemon=True)
        self._thread.start()

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Takes an event down; it is in the store a few milliseconds later.

        Raises:
            Exception: what kept the thread from writing an earlier one.
        """
        if self._error is not None:
            raise self._error
        self._events.put((time.time(), kind, epoch, step, values))

    def should_stop(self) -> bool:
        """Returns whether a person asked the run to stop, or to pause."""
        return self._stop.is_set() or self._pause.is_set()

    def should_pause(self) -> bool:
        """Returns whether a person asked the run to pause, and not to stop."""
        return self._pause.is_set() and not self._stop.is_set()

    def refuse_pause(self, sentence: str) -> None:
        """Tells why the run goes on, and takes the pause for not asked."""
        # What was read before that is not to be heard after it.
        with self._asking:
            patiently(lambda: self._store.refuse_pause(self._run_id, sentence))
            self._pause.clear()

    def request_stop(self) -> None:
        """Makes training stop after the present step."""
        self._stop.set()

    def take_acts(self) -> list[Act]:
        """Returns what a person asked to be changed since this was last called, in order."""
        taken: list[Act] = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._acts.get_nowait())
        return taken

    def close(self) -> None:
        """Returns when every event is in the store.

        Raises:
            Exception: what kept the thread from writing.
        """
        self._events.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        open_ended = True
        try:
            while open_ended:
                batch, open_ended = self._next_batch()
                self._append(batch)
                for number, act in self._store.acts(self._run_id, self._acts_seen):
                    self._acts_seen = number
                    self._acts.put(act)
        except Exception as error:
            self._error = error

    def _append(self, batch: list[NewEvent]) -> None:
        with self._asking:
            wish = patiently(partial(self._store.append, self._run_id, batch))
            if wish == "stop":
                self._stop.set()
            elif wish == "pause":
                self._pause.set()

    def _next_batch(self) -> tuple[list[NewEvent], bool]:
        """Returns the events that have come, after at most BEAT_SECONDS, and whether more may."""
        batch: list[NewEvent] = []
        timeout: float | None = BEAT_SECONDS
        while len(batch) < BATCH:
            try:
                item = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
            timeout = None
        return batch, True
