"""Reads the event stream as a page does."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from dashboard.stream import Hub
from engine.runs.store import Run, Store
from tests.dashboard.made import step_event

PATIENCE_SECONDS = 30.0


class Reader:
    """What one page has received."""

    def __init__(self, messages: AsyncIterator[str]):
        self._messages = messages
        self.received: list[dict[str, Any]] = []
        self.num_keep_alives = 0

    async def until(self, enough: Callable[["Reader"], bool]) -> "Reader":
        """Reads until there is enough.

        Raises:
            AssertionError: there was not, after a while or at the stream's end.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not enough(self):
                    self._take(await anext(self._messages))
        except (TimeoutError, StopAsyncIteration) as error:
            raise AssertionError(f"only {len(self.events)} events: {self.seqs()}") from error
        return self

    async def has(self, num_events: int) -> "Reader":
        """Reads until so many events have come."""
        return await self.until(lambda reader: len(reader.events) >= num_events)

    def _take(self, message: str) -> None:
        assert message.endswith("\n\n")
        if message.startswith(":"):
            self.num_keep_alives += 1
            return
        assert message.startswith("data: ")
        assert "\n" not in message[:-2]
        self.received.append(json.loads(message.removeprefix("data: ")))

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [card for message in self.received for card in message.get("runs", [])]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for message in self.received for event in message.get("events", [])]

    def seen_ids(self) -> set[str]:
        return {event["run_id"] for event in self.events}

    def seqs(self, run: Run | None = None) -> list[int]:
        return [e["seq"] for e in self.events if run is None or e["run_id"] == run.id]


def reading(hub: Hub, cursors: dict[str, int], follow: bool = False) -> "aclosing[Any]":
    """Gives a stream that is closed at the end, as when a page goes away."""
    return aclosing(hub.stream(cursors, follow))


def append_steps(store: Store, run: Run, count: int, batch: int = 20) -> None:
    """Appends steps, a few in a transaction."""
    steps = [step_event(1, step) for step in range(1, count + 1)]
    for first in range(0, count, batch):
        store.append(run.id, steps[first : first + batch])


def upto(last: int, after: int = 0) -> list[int]:
    return list(range(after + 1, last + 1))


async def noticed(hub: Hub, run: Run, seq: int) -> None:
    """Returns once the hub has looked at the store and found the run's events up to `seq`."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while hub._heads.get(run.id) != seq:
            await asyncio.sleep(0.01)
