"""The event stream while runs die, wait or the store is away, and when the server ends."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable

import pytest
from sqlalchemy.exc import OperationalError

import dashboard.stream
from dashboard.stream import Hub
from engine.errors import StoreError
from engine.events import Status
from engine.runs.process import machine_name
from engine.runs.store import Store
from tests.dashboard.made import add_run, start
from tests.dashboard.streaming import PATIENCE_SECONDS, Reader, append_steps, noticed, reading, upto

pytestmark = pytest.mark.usefixtures("database")


def test_a_waiting_page_is_kept_alive(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.stream, "KEEP_ALIVE_SECONDS", 0.05)
    run = start(store, add_run(store))

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).until(lambda reader: reader.num_keep_alives >= 2)

    assert asyncio.run(read()).seqs() == [1, 2]


def test_closing_ends_every_stream(store: Store) -> None:
    run = start(store, add_run(store))

    async def exhaust(stream: AsyncIterator[str]) -> None:
        async for _ in stream:
            pass

    async def read() -> int:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as one, reading(hub, {}, follow=True) as other:
            pages = [asyncio.create_task(exhaust(stream)) for stream in (one, other)]
            await noticed(hub, run, 2)
            assert not any(page.done() for page in pages)
            await hub.close()
            ended, _ = await asyncio.wait(pages, timeout=30.0)
        return len(ended)

    assert asyncio.run(read()) == 2


def test_pages_that_go_while_all_are_told_something_are_let_go(store: Store) -> None:
    """As on Ctrl-C, when streams end and connections break in the same moment."""
    run = start(store, add_run(store))

    async def exhaust(hub: Hub) -> None:
        async with reading(hub, {run.id: 0}) as stream:
            async for _ in stream:
                pass

    async def read() -> tuple[int, Hub]:
        hub = Hub(store)
        pages = [asyncio.create_task(exhaust(hub)) for _ in range(20)]
        await noticed(hub, run, 2)
        await asyncio.sleep(0.2)
        await hub.close()
        for _ in range(2):
            for page in pages:
                page.cancel()
            await asyncio.sleep(0)
        ended, _ = await asyncio.wait(pages, timeout=30.0)
        return len(ended), hub

    ended, hub = asyncio.run(read())
    assert ended == 20
    assert not hub._watched


def test_a_run_whose_process_is_dead_is_shown_as_interrupted(store: Store) -> None:
    run = start(store, add_run(store))
    store.set_process(run.id, machine_name(), os.getpid(), 1.0)

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).has(3)

    assert asyncio.run(read()).events[-1]["values"]["status"] == "interrupted"


def test_an_open_page_sees_to_it_that_waiting_runs_start(
    store: Store, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.stream, "KEEP_ALIVE_SECONDS", 0.05)
    run = add_run(store)

    async def read() -> None:
        async with reading(Hub(store), {run.id: 0}) as stream:
            await Reader(stream).until(lambda _: bool(started))

    asyncio.run(read())
    assert set(started) == {"supervisor"}


class ForgetfulStore(Store):
    """A store that is away once, as when another process holds its lock for too long."""

    fails = False

    def heads(self, run_ids: Iterable[str]) -> dict[str, tuple[int, Status]]:
        if self.fails:
            self.fails = False
            raise OperationalError("SELECT", {}, Exception("database is locked"))
        return super().heads(run_ids)


def test_a_page_outlives_a_moment_without_the_store() -> None:
    store = ForgetfulStore()
    run = start(store, add_run(store))

    async def read() -> Reader:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            store.fails = True
            await asyncio.to_thread(append_steps, store, run, 3)
            # A page may read the events before the hub looks, and fails, for all pages.
            async with asyncio.timeout(PATIENCE_SECONDS):
                while store.fails:
                    await asyncio.sleep(0.02)
            await asyncio.to_thread(append_steps, store, run, 2)
            return await reader.has(7)

    assert asyncio.run(read()).seqs() == upto(7)
    store.close()


def test_a_store_that_cannot_be_written_is_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    run = start(store, add_run(store))
    tried: list[Store] = []

    def tend(one: Store) -> None:
        tried.append(one)
        raise StoreError("The store of runs cannot be written (database or disk is full).")

    monkeypatch.setattr(dashboard.stream, "tend", tend)

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            await asyncio.to_thread(append_steps, store, run, 3)
            return await reader.has(5)

    assert asyncio.run(read()).seqs() == upto(5)
    assert tried
    store.close()
