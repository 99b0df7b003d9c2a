"""Writes a run's events from a thread of its own, so that training never waits for the disk.

Nor for a store that is away: training goes on, and what it told is written once the store is back.
At the end the writer waits for it as long as `patience.py` says, then the run fails.
"""

import contextlib
import itertools
import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence

from engine.events import Kind, Value, Wish
from engine.runs.patience import give_up_after, patiently
from engine.runs.store import NewEvent, Store
from engine.spec import Act

BEAT_SECONDS = 0.5
BATCH = 2000
# A run that always has more to tell would else hold the store without a break, and on SQLite those
# who wait ask for it ten times a second only. It rests for so many times as long as it wrote.
REST = 2.0
MOST_REST_SECONDS = 0.5
# How long training waits until what it told is in the store, before it keeps what it has come to.
SETTLE_SECONDS = 2.0


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
        self._closed_at: float | None = None
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._kept = threading.Condition()
        self._num_told = self._num_kept = 0
        self._is_away = False
        self._thread = threading.Thread(target=self._write, name="event-writer", daemon=True)
        self._thread.start()

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Takes an event down; it is in the store a few milliseconds later.

        Raises:
            Exception: what kept the thread from writing an earlier one.
        """
        if self._error is not None:
            raise self._error
        with self._kept:
            self._num_told += 1
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

    def settle(self) -> bool:
        """Returns whether all that was told is in the store, for which it waits a moment.

        What a run has come to must not be newer than what it told: of a process that is killed
        between the two, the steps and epochs in between would be told by nobody.
        """
        with self._kept:
            told = self._num_told
            self._hurry.set()
            self._kept.wait_for(lambda: self._num_kept >= told or self._is_stuck, SETTLE_SECONDS)
            return self._num_kept >= told

    @property
    def _is_stuck(self) -> bool:
        return self._is_away or self._error is not None

    def close(self) -> None:
        """Returns when every event is in the store.

        Raises:
            Exception: what kept the thread from writing.
        """
        if self._closed_at is None:
            self._closed_at = time.monotonic()
        self._closing.set()
        self._hurry.set()
        self._events.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        open_ended = True
        try:
            while open_ended:
                batch, open_ended = self._next_batch()
                began = time.monotonic()
                self._append(batch)
                for number, act in patiently(self._new_acts, self._gives_up):
                    self._acts_seen = number
                    self._acts.put(act)
                self._rest(min(REST * (time.monotonic() - began), MOST_REST_SECONDS))
        except Exception as error:
            with self._kept:
                self._error = error
                self._kept.notify_all()

    def _rest(self, seconds: float) -> None:
        self._hurry.wait(seconds)
        if not self._closing.is_set():
            self._hurry.clear()

    def _append(self, batch: Sequence[NewEvent]) -> None:
        """Writes events once, however often it takes, and hears what the run is to do."""
        tries = itertools.count()

        def append() -> Wish:
            again = next(tries) > 0
            self._note_kept(0, is_away=again)
            return self._store.append(self._run_id, batch, again=again, pid=os.getpid())

        with self._asking:
            wish = patiently(append, self._gives_up)
            self._note_kept(len(batch), is_away=False)
            if wish == "stop":
                self._stop.set()
            elif wish == "pause":
                self._pause.set()

    def _note_kept(self, num: int, is_away: bool) -> None:
        with self._kept:
            self._num_kept += num
            self._is_away = is_away
            self._kept.notify_all()

    def _new_acts(self) -> list[tuple[int, Act]]:
        return self._store.acts(self._run_id, self._acts_seen)

    def _gives_up(self, away_seconds: float) -> bool:
        """Returns whether the store has been away for too long since training ended."""
        closed_at = self._closed_at
        return closed_at is not None and give_up_after(time.monotonic() - closed_at)

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
