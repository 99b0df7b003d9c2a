"""Pages without a browser: they ask the server as a page does, and count what comes.

A `Listener` reads the event stream with a cursor a run and connects again where it breaks, as
live.js does. A `Session` is what a browser tab is to Streamlit: it runs the script of a page.
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.serving import Dashboard

RECONNECT_SECONDS = 1.0
LONGEST_LINE = 2**24
# What the component of the Live page is called.
LIVE = "thaw_live"

T = TypeVar("T")


def in_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Returns what a coroutine does, run in a thread: Playwright has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Listener:
    """One open event stream, and how often it broke, lost or doubled something.

    Attributes:
        cards: ids of the runs that were described, in order.
        seqs: by run, the `seq` of every event, in order.
        delays: seconds from a step to the arrival of its event, of all that came about since this
            listens.
        breaks: how often the stream ended.
    """

    def __init__(self, dashboard: Dashboard, runs: Sequence[str], follow: bool = False):
        self._dashboard = dashboard
        self._asked = list(runs)
        self._follow = follow
        self.cards: list[str] = []
        self.seqs: dict[str, list[int]] = {}
        self.delays: list[float] = []
        self.breaks = 0
        self._began = time.time()
        self._writer: asyncio.StreamWriter | None = None

    @property
    def num_events(self) -> int:
        """How many events have come."""
        return sum(map(len, self.seqs.values()))

    @property
    def num_lost(self) -> int:
        """Places in which a `seq` is not the next one."""
        return sum(seq > before + 1 for before, seq in self._steps())

    @property
    def num_doubled(self) -> int:
        """Events that had come before."""
        return sum(seq <= before for before, seq in self._steps())

    def _steps(self) -> list[tuple[int, int]]:
        return [pair for seqs in self.seqs.values() for pair in zip([0, *seqs], seqs, strict=False)]

    async def listen(self) -> None:
        """Listens until it is cancelled."""
        self._began = time.time()
        try:
            while True:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await self._listen_once()
                self.breaks += 1
                await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            self.drop()

    def drop(self) -> None:
        """Cuts the connection; one that listens comes back."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def open(self) -> asyncio.StreamReader:
        """Returns a connection on which the stream was asked for, with nothing read from it."""
        ids = list(dict.fromkeys([*self._asked, *self.seqs]))
        query = [("run", f"{run}:{self._last(run)}") for run in ids]
        if self._follow:
            query.append(("follow", "1"))
        reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._dashboard.port, limit=LONGEST_LINE
        )
        # HTTP/1.0, so that the body comes as it is and ends with the connection.
        self._writer.write(
            f"GET /thaw/events?{urlencode(query)} HTTP/1.0\r\n"
            f"Host: 127.0.0.1:{self._dashboard.port}\r\n\r\n".encode()
        )
        await self._writer.drain()
        return reader

    def _last(self, run: str) -> int:
        seqs = self.seqs.get(run)
        return seqs[-1] if seqs else 0

    async def _listen_once(self) -> None:
        reader = await self.open()
        status = await reader.readline()
        if not status.endswith(b"\n"):
            return
        assert b" 200 " in status, status
        while (line := await reader.readline()).endswith(b"\n"):
            if line.startswith(b"data: "):
                self._take(json.loads(line[6:]))

    def _take(self, message: dict[str, Any]) -> None:
        now = time.time()
        self.cards += [card["id"] for card in message.get("runs", [])]
        for event in message.get("events", []):
            self.seqs.setdefault(event["run_id"], []).append(event["seq"])
            if event["kind"] == "step" and event["time"] > self._began:
                self.delays.append(now - event["time"])


class Session:
    """One tab: a WebSocket to Streamlit on which a page's script was run.

    Attributes:
        shown: what the page says and what its live component was given, in order.
    """

    def __init__(self, dashboard: Dashboard, page: str, query: str = ""):
        self._url = f"ws://127.0.0.1:{dashboard.port}/_stcore/stream"
        self._page = page
        self._query = query
        self._socket: ClientConnection | None = None
        self.shown: list[str] = []
        self.live: dict[str, Any] | None = None

    async def open(self) -> None:
        """Opens the page and returns when its script has ended."""
        self._socket = await connect(
            self._url, subprotocols=[Subprotocol("streamlit")], max_size=2**26
        )
        await self.rerun()

    async def rerun(self) -> None:
        """Runs the page's script again and keeps what it shows."""
        assert self._socket is not None
        self.shown, self.live = [], None
        state = ClientState(query_string=self._query, page_name=self._page)
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            self._take(message)
            if message.WhichOneof("type") == "script_finished":
                return

    def _take(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") != "delta":
            return
        element = message.delta.new_element
        self.shown.append(str(element))
        if element.WhichOneof("type") == "bidi_component":
            component = element.bidi_component
            if component.component_name.endswith(LIVE):
                self.live = json.loads(component.json)

    async def close(self) -> None:
        """Closes the tab."""
        if self._socket is not None:
            await self._socket.close()
