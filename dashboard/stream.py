"""The event stream: one poll of the store for all pages, one cursor a page.

A page asks for the runs it shows and, for each, the `seq` it has seen last; what came after is
sent. No event is lost or sent twice, whoever reconnects when. A page that is slow falls behind in
its own cursor and holds nobody back; a stream costs a coroutine, not a thread.
"""

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import takewhile
from typing import Any

from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from dashboard.runs import colour_of, label_of
from engine.errors import ThawError
from engine.events import ACTIVE, MetricEvent
from engine.models.catalogue import backbone_record, head_parameters
from engine.runs.patience import is_away, why_away
from engine.runs.queue import tend
from engine.runs.store import Run, Store
from engine.strategies import STRATEGIES

POLL_SECONDS = 0.05
# Each look at the store wakes every page. With more pages than this there are fewer looks, so that
# a crowd does not take from training what it watches.
PAGES_AT_FULL_PACE = 4
LONGEST_POLL_SECONDS = 0.25
TEND_SECONDS = 3.0
KEEP_ALIVE_SECONDS = 10.0
CHUNK = 1000
# Chunks of the past are read by so few at once: a crowd that opens a long run all at once would
# else hold a chunk each.
PAST_READS = 2
REMEMBERED = 2000
SHARED_MESSAGES = 100
SEQ = re.compile(r"[0-9]{1,12}")

# The `seq` of its last event, and the message that holds them.
Chunk = tuple[int, str]

log = logging.getLogger("thaw")


def card(run: Run) -> dict[str, Any]:
    """Returns what a page needs to draw a run before its first event.

    `stages` are [name, label, parameters], stem first; `head` is [parameters whatever the number
    of classes, parameters a class].
    """
    spec = run.spec
    backbone = backbone_record(spec.model.backbone)
    fixed, with_one_class = (
        head_parameters(spec.model.head, backbone.num_features, spec.model.hidden_units, classes)
        for classes in (0, 1)
    )
    return {
        "id": run.id,
        "label": label_of(run),
        "colour": colour_of(run),
        "strategy": STRATEGIES[spec.strategy.name].label,
        "epochs": spec.training.epochs,
        "group": run.group_id,
        "updates": bool(spec.update.start),
        "status": run.status,
        "stages": [[stage.name, stage.label, stage.num_parameters] for stage in backbone.stages],
        "head": [fixed, with_one_class - fixed],
    }


class Hub:
    """Watches the store for all open pages."""

    def __init__(self, store: Store):
        self._store = store
        self._heads: dict[str, int] = {}
        self._recent: dict[str, deque[MetricEvent]] = {}
        self._active: set[str] = set()
        self._watched: dict[str, int] = {}
        # Set, and put in another's place, whenever there is something new.
        self._news = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._num_pages = 0
        self._asked = 1
        # What several pages are sent alike, until there is something new.
        self._messages: dict[tuple[str, int, int, int], str] = {}
        self._past_reads: dict[tuple[str, int], asyncio.Task[Chunk | None]] = {}
        self._past_places = asyncio.Semaphore(PAST_READS)
        self.closing = False

    async def close(self) -> None:
        """Ends all streams, so that the server can stop."""
        self.closing = True
        self._tell()

    async def stream(self, cursors: dict[str, int], follow: bool) -> AsyncIterator[str]:
        """Yields server-sent events: first a card for each run, then its events in order.

        Args:
            cursors: run ids, and the `seq` that was seen last of each.
            follow: add runs as they become active.
        """
        known: set[str] = set()
        self._enter(cursors)
        try:
            while not self.closing:
                news = self._news
                if follow:
                    for run_id in self._active - set(cursors):
                        cursors[run_id] = 0
                        self._watch(run_id, 1)
                if unknown := [run_id for run_id in cursors if run_id not in known]:
                    known.update(unknown)
                    yield _message({"runs": await self._cards(unknown)})
                sent = False
                for run_id, cursor in list(cursors.items()):
                    if chunk := await self._after(run_id, cursor):
                        cursors[run_id], message = chunk
                        yield message
                        sent = True
                if not sent and not await _within_a_while(news):
                    yield ": still here\n\n"
        finally:
            self._leave(cursors)

    def _enter(self, cursors: dict[str, int]) -> None:
        if not self._num_pages:
            # What was active when the last page left may have ended since.
            self._active = set()
        self._num_pages += 1
        for run_id in cursors:
            self._watch(run_id, 1)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())

    def _leave(self, cursors: dict[str, int]) -> None:
        self._num_pages -= 1
        for run_id in cursors:
            self._watch(run_id, -1)

    def _watch(self, run_id: str, change: int) -> None:
        self._asked += 1
        self._watched[run_id] = self._watched.get(run_id, 0) + change
        if self._watched[run_id] <= 0:
            for table in (self._watched, self._heads, self._recent):
                table.pop(run_id, None)

    async def _cards(self, run_ids: list[str]) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            return [card(self._store.run(run_id)) for run_id in run_ids]

        return await to_thread.run_sync(read)

    async def _after(self, run_id: str, cursor: int) -> Chunk | None:
        """Returns at most CHUNK events after `cursor`, from memory where they are recent."""
        if cursor >= self._heads.get(run_id, cursor + 1):
            return None
        recent = self._recent.get(run_id, ())
        if recent and recent[0].seq <= cursor + 1:
            newest_first = takewhile(lambda event: event.seq > cursor, reversed(recent))
            fresh = list(newest_first)[::-1][:CHUNK]
            return (fresh[-1].seq, self._message_of(fresh)) if fresh else None
        return await self._past(run_id, cursor)

    async def _past(self, run_id: str, cursor: int) -> Chunk | None:
        """Returns a chunk from the store, read once for all who wait for the same."""
        key = run_id, cursor
        read = self._past_reads.get(key)
        if read is None:
            read = self._past_reads[key] = asyncio.create_task(self._read_past(*key))
            read.add_done_callback(lambda _: self._past_reads.pop(key, None))
        # One page that goes takes nothing from the others.
        return await asyncio.shield(read)

    async def _read_past(self, run_id: str, cursor: int) -> Chunk | None:
        def read() -> Chunk | None:
            events = self._store.events(run_id, cursor, CHUNK)
            return (events[-1].seq, _events_message(events)) if events else None

        async with self._past_places:
            return await to_thread.run_sync(read)

    def _message_of(self, fresh: list[MetricEvent]) -> str:
        """Returns events as a message, which is written once for all who are sent the same."""
        key = (fresh[0].run_id, fresh[0].seq, fresh[-1].seq, len(fresh))
        message = self._messages.get(key)
        if message is None:
            message = _events_message(fresh)
            if len(self._messages) < SHARED_MESSAGES:
                self._messages[key] = message
        return message

    @property
    def _poll_seconds(self) -> float:
        crowd = max(1.0, self._num_pages / PAGES_AT_FULL_PACE)
        return min(POLL_SECONDS * crowd, LONGEST_POLL_SECONDS)

    def _tell(self) -> None:
        self._messages.clear()
        self._news.set()
        self._news = asyncio.Event()

    async def _poll(self) -> None:
        tended = 0.0
        changed: Callable[[], bool] | None = None
        answered = 0
        clock = asyncio.get_running_loop().time
        while self._num_pages and not self.closing:
            try:
                if clock() - tended > TEND_SECONDS:
                    tended = clock()
                    await to_thread.run_sync(self._tend)
                changed = changed or self._store.watch()
                asked = self._asked
                if changed() or asked != answered:
                    answered = asked
                    watched, heads = dict(self._watched), dict(self._heads)
                    if self._take(*await to_thread.run_sync(self._read, watched, heads)):
                        self._tell()
            except (ThawError, SQLAlchemyError, OSError) as error:
                # The store is away for a moment, as when it is locked; pages wait and see.
                log.warning("The store could not be read: %s", why_away(error))
                answered = 0
                await asyncio.sleep(1.0)
            await asyncio.sleep(self._poll_seconds)

    def _tend(self) -> None:
        """Brings the store in line with reality; where it cannot be written it is still read."""
        try:
            tend(self._store)
        except ThawError as error:
            log.warning("The queue could not be looked after: %s", error)

    def _read(
        self, watched: dict[str, int], heads: dict[str, int]
    ) -> tuple[set[str], dict[str, int], dict[str, list[MetricEvent]]]:
        """Returns the active runs, the heads of watched runs and their events since `heads`.

        Runs in a thread, so it changes nothing; what it found is taken over on the event loop.
        """
        found = self._store.heads(watched)
        active = {run_id for run_id, (_, status) in found.items() if status in ACTIVE}
        new_heads = {run_id: found.get(run_id, (0, ""))[0] for run_id in watched}
        fresh = {
            run_id: self._store.events(run_id, after=heads[run_id])
            for run_id, last_seq in new_heads.items()
            if run_id in heads and last_seq > heads[run_id]
        }
        return active, new_heads, fresh

    def _take(
        self,
        active: set[str],
        new_heads: dict[str, int],
        fresh: dict[str, list[MetricEvent]],
    ) -> bool:
        """Remembers what was read, for runs that are still watched; returns whether it is news."""
        news = active != self._active
        self._active = active
        for run_id, last_seq in new_heads.items():
            if run_id not in self._watched:
                continue
            events = fresh.get(run_id, [])
            # More may have been written between the two looks at the store.
            head = events[-1].seq if events else last_seq
            if self._heads.get(run_id) != head:
                self._recent.setdefault(run_id, deque(maxlen=REMEMBERED)).extend(events)
                self._heads[run_id] = head
                news = True
        return news


async def _within_a_while(news: asyncio.Event) -> bool:
    """Returns True once there is news, False if there is none for KEEP_ALIVE_SECONDS."""
    try:
        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
            await news.wait()
    except TimeoutError:
        return False
    return True


def _events_message(events: list[MetricEvent]) -> str:
    body = ",".join(event.to_json() for event in events)
    return f'data: {{"events":[{body}]}}\n\n'


def _message(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document)}\n\n"


def parse_cursors(values: list[str]) -> dict[str, int]:
    """Returns run ids and cursors from `id` or `id:seq` texts; malformed ones count from 0."""
    cursors: dict[str, int] = {}
    for value in values[:100]:
        run_id, _, seq = value.partition(":")
        if run_id:
            cursors[run_id] = int(seq) if SEQ.fullmatch(seq) else 0
    return cursors


def events_response(hub: Hub, store: Store, request: Request) -> Response:
    """Returns the stream that `?run=ID:SEQ&follow=1` asks for; unknown runs are left out.

    While the store is away it is a refusal (503), upon which a page asks again.
    """
    asked = parse_cursors(request.query_params.getlist("run"))
    try:
        known = store.heads(asked)
    except SQLAlchemyError as error:
        if not is_away(error):
            raise
        return PlainTextResponse("The store of runs cannot be reached.", status_code=503)
    existing = {run_id: seq for run_id, seq in asked.items() if run_id in known}
    return StreamingResponse(
        hub.stream(existing, follow=request.query_params.get("follow") == "1"),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )
