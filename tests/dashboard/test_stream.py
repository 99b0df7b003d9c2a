"""The event stream: complete, in order, nothing twice, and what an address asks for."""

import asyncio
import json
import threading
import time
from contextlib import aclosing
from typing import Any

import pytest
from starlette.requests import Request

import dashboard.stream
from dashboard.runs import colour_of, label_of
from dashboard.stream import Hub, card, events_response, parse_cursors
from engine.models.catalogue import backbone_record, head_parameters
from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, add_run, finish, start
from tests.dashboard.streaming import Reader, append_steps, reading, upto

pytestmark = pytest.mark.usefixtures("database")


LITE0 = backbone_record("efficientnet_lite0")


def test_cards_come_first_then_all_events_in_order(store: Store) -> None:
    frozen, full = (finish(store, run) for run in add_pair(store))

    async def read() -> Reader:
        async with reading(Hub(store), {frozen.id: 0, full.id: 0}) as stream:
            return await Reader(stream).has(frozen.last_seq + full.last_seq)

    reader = asyncio.run(read())
    assert [card["id"] for card in reader.received[0]["runs"]] == [frozen.id, full.id]
    for run in (frozen, full):
        assert reader.seqs(run) == upto(run.last_seq)
    stored = [json.loads(event.to_json()) for event in store.events(full.id)]
    assert [event for event in reader.events if event["run_id"] == full.id] == stored


def test_a_card_says_what_is_needed_to_draw_the_run(store: Store) -> None:
    run = add_run(store, "full", training={"epochs": 7})

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).has(1)

    [sent] = asyncio.run(read()).cards
    assert sent == {
        "id": run.id,
        "label": label_of(run),
        "colour": colour_of(run),
        "strategy": "Full",
        "epochs": 7,
        "group": run.group_id,
        "status": "queued",
        "updates": False,
        "stages": sent["stages"],
        "head": [0, 1281],
    }
    assert sent["stages"][0] == ["stem", "Stem", 928]
    assert [name for name, _, _ in sent["stages"]] == list(LITE0.stage_names)
    assert sum(size for _, _, size in sent["stages"]) == LITE0.num_parameters


def test_a_card_counts_the_parameters_of_a_head_of_two_layers(store: Store) -> None:
    run = add_run(store, model={"head": "mlp", "hidden_units": 32})
    fixed, each = card(run)["head"]
    for classes in (2, 7):
        expected = head_parameters("mlp", LITE0.num_features, 32, classes)
        assert fixed + each * classes == expected


@pytest.mark.parametrize("seen", [1, 7, 26])
def test_a_cursor_resumes_where_it_stopped(store: Store, seen: int) -> None:
    run = start(store, add_run(store))
    append_steps(store, run, 25)
    last = store.run(run.id).last_seq

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: seen}) as stream:
            return await Reader(stream).has(last - seen)

    reader = asyncio.run(read())
    assert reader.seqs() == upto(last, after=seen)
    assert [card["id"] for card in reader.cards] == [run.id]


def test_long_histories_come_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.stream, "CHUNK", 10)
    run = start(store, add_run(store))
    append_steps(store, run, 95)
    last = store.run(run.id).last_seq

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            return await Reader(stream).has(last)

    reader = asyncio.run(read())
    assert reader.seqs() == upto(last)
    assert max(len(message.get("events", [])) for message in reader.received) == 10


def test_an_event_arrives_while_the_page_waits(store: Store) -> None:
    run = start(store, add_run(store))
    before = store.run(run.id).last_seq

    async def read() -> tuple[Reader, float]:
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(before)
            waiting = asyncio.create_task(reader.has(before + 3))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            began = time.monotonic()
            await asyncio.to_thread(append_steps, store, run, 3)
            return await waiting, time.monotonic() - began

    reader, seconds = asyncio.run(read())
    assert reader.seqs() == upto(before + 3)
    assert seconds < dashboard.stream.KEEP_ALIVE_SECONDS / 2


def test_a_run_that_is_finished_says_so(store: Store) -> None:
    run = start(store, add_run(store))

    async def read() -> Reader:
        async with reading(Hub(store), {run.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            store.set_status(run.id, "finished")
            return await reader.has(3)

    reader = asyncio.run(read())
    assert [e["values"]["status"] for e in reader.events] == ["queued", "running", "finished"]


def test_followers_get_runs_as_they_become_active(store: Store) -> None:
    ended = finish(store, add_run(store))
    going = start(store, add_run(store))

    async def read() -> tuple[Reader, Run]:
        async with reading(Hub(store), {}, follow=True) as stream:
            reader = await Reader(stream).has(2)
            added = add_run(store, "full")
            await reader.until(lambda reader: added.id in reader.seen_ids())
            append_steps(store, added, 5)
            return await reader.until(lambda reader: len(reader.seqs(added)) >= 6), added

    reader, added = asyncio.run(read())
    assert [card["id"] for card in reader.cards] == [going.id, added.id]
    assert reader.seqs(added) == upto(6)
    assert reader.seqs(ended) == []


def test_followers_do_not_get_what_ended_while_nobody_looked(store: Store) -> None:
    ended = start(store, add_run(store))

    async def read() -> Reader:
        hub = Hub(store)
        async with reading(hub, {}, follow=True) as stream:
            await Reader(stream).has(2)
        store.set_status(ended.id, "finished")
        going = start(store, add_run(store))
        async with reading(hub, {}, follow=True) as stream:
            return await Reader(stream).until(lambda reader: going.id in reader.seen_ids())

    assert ended.id not in {card["id"] for card in asyncio.run(read()).cards}


def test_who_does_not_follow_gets_only_what_was_asked_for(store: Store) -> None:
    asked, other = start(store, add_run(store)), start(store, add_run(store))

    async def read() -> Reader:
        async with reading(Hub(store), {asked.id: 0}) as stream:
            reader = await Reader(stream).has(2)
            append_steps(store, other, 3)
            append_steps(store, asked, 3)
            return await reader.has(5)

    reader = asyncio.run(read())
    assert [card["id"] for card in reader.cards] == [asked.id]
    assert {event["run_id"] for event in reader.events} == {asked.id}


def test_a_run_that_several_threads_write_to_arrives_complete(store: Store) -> None:
    run = start(store, add_run(store))
    num_threads, each = 4, 40
    last = store.run(run.id).last_seq + num_threads * each

    async def read() -> list[Reader]:
        hub = Hub(store)
        async with reading(hub, {run.id: 0}) as one, reading(hub, {run.id: 0}) as other:
            readers = [Reader(one), Reader(other)]
            tasks = [asyncio.create_task(reader.has(last)) for reader in readers]
            writers = [
                threading.Thread(target=append_steps, args=(Store(), run, each, 2))
                for _ in range(num_threads)
            ]
            for writer in writers:
                writer.start()
            await asyncio.gather(*tasks)
            for writer in writers:
                writer.join()
        return readers

    for reader in asyncio.run(read()):
        assert reader.seqs() == upto(last)


@pytest.mark.parametrize(
    ("values", "cursors"),
    [
        (["abcd1234"], {"abcd1234": 0}),
        (["abcd1234:17"], {"abcd1234": 17}),
        (["abcd1234:17", "ffff0000:3"], {"abcd1234": 17, "ffff0000": 3}),
        (["abcd1234:"], {"abcd1234": 0}),
        (["abcd1234:x"], {"abcd1234": 0}),
        (["abcd1234:-1"], {"abcd1234": 0}),
        (["abcd1234:1.5"], {"abcd1234": 0}),
        (["abcd1234:²"], {"abcd1234": 0}),
        (["abcd1234:5:6"], {"abcd1234": 0}),
        (["", ":5"], {}),
        ([], {}),
    ],
)
def test_malformed_cursors_count_from_zero(values: list[str], cursors: dict[str, int]) -> None:
    assert parse_cursors(values) == cursors


def test_only_so_many_runs_can_be_asked_for() -> None:
    assert len(parse_cursors([f"{number:08x}:1" for number in range(5000)])) == 100


def respond(store: Store, query: str, run: Run, num_events: int) -> Reader:
    """Returns what the route answers to a query, once so many events of a run have come."""
    request = Request(
        {"type": "http", "method": "GET", "path": "/thaw/events", "headers": []}
        | {"query_string": query.encode()}
    )

    async def read() -> Reader:
        response = events_response(Hub(store), store, request)
        assert response.media_type == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        body: Any = response.body_iterator
        async with aclosing(body) as stream:
            return await Reader(stream).until(lambda reader: len(reader.seqs(run)) >= num_events)

    return asyncio.run(read())


def test_unknown_runs_are_left_out(store: Store) -> None:
    run = finish(store, add_run(store))
    query = f"run=00000000:4&run={run.id}:3&run={run.id[:4]}&run=%00&run=../etc&run='--"
    reader = respond(store, query, run, run.last_seq - 3)
    assert [card["id"] for card in reader.cards] == [run.id]
    assert reader.seqs() == upto(run.last_seq, after=3)


def test_the_address_can_ask_to_follow(store: Store) -> None:
    run = start(store, add_run(store))
    assert respond(store, "follow=1", run, 2).seqs(run) == [1, 2]


@pytest.mark.parametrize("digits", [20, 5000])
def test_a_cursor_of_absurd_length_breaks_nothing(store: Store, digits: int) -> None:
    run = finish(store, add_run(store))
    other = finish(store, add_run(store))
    query = f"run={run.id}:{'9' * digits}&run={other.id}"
    reader = respond(store, query, other, other.last_seq)
    assert reader.seqs(other) == upto(other.last_seq)
