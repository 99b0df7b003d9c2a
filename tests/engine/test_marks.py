"""What a person says of runs; which are put away, thrown away, or go first."""

import time
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.home import run_folder
from engine.runs.database import writing
from engine.runs.queue import tend
from engine.runs.store import Run, Store
from engine.runs.tables import runs
from engine.runs.trash import KEPT_SECONDS
from tests.engine.commands import document, refusal, thaw
from tests.engine.specs import tiny_spec


@pytest.fixture
def store(database: str) -> Store:
    return Store()


def ended(store: Store, name: str = "Frozen") -> Run:
    [run] = store.add_runs([(name, tiny_spec("photos"))])
    store.claim_next(9, "here")
    store.set_status(run.id, "finished")
    run_folder(run.id).mkdir(parents=True)
    (run_folder(run.id) / "best.safetensors").write_bytes(b"weights")
    return store.run(run.id)


def names(store: Store, hidden: bool = False) -> set[str]:
    return {run.name for run in store.all_runs(hidden=hidden)}


def test_marks_are_kept(store: Store) -> None:
    run = ended(store)
    store.mark(run.id, name="The best", note="for the paper", tags=["b", "a", "b"], starred=True)
    again = Store().run(run.id)
    assert (again.name, again.note, again.tags, again.starred) == (
        "The best",
        "for the paper",
        ("a", "b"),
        True,
    )


def test_what_is_archived_is_kept_out_of_lists(store: Store) -> None:
    run, _ = ended(store, "old"), ended(store, "new")
    store.mark(run.id, archived=True)
    assert names(store) == {"new"}
    assert names(store, hidden=True) == {"old", "new"}
    assert store.run(run.id).name == "old"
    store.mark(run.id, archived=False)
    assert names(store) == {"old", "new"}


def test_what_is_deleted_can_be_had_back(store: Store) -> None:
    run = ended(store)
    assert store.delete(run.id)
    assert not store.delete(run.id)
    assert names(store) == set()
    tend(store)
    assert run_folder(run.id).exists()
    assert store.restore(run.id)
    assert not store.restore(run.id)
    assert names(store) == {"Frozen"}


def test_a_run_that_goes_on_is_not_deleted(store: Store) -> None:
    [run] = store.add_runs([("Frozen", tiny_spec("photos"))])
    assert not store.delete(run.id)
    store.claim_next(1, "here")
    assert not store.delete(run.id)
    assert names(store) == {"Frozen"}


def test_after_some_days_it_is_gone_for_good(store: Store) -> None:
    old, young, kept = ended(store, "old"), ended(store, "young"), ended(store, "kept")
    for run in (old, young):
        store.delete(run.id)
    with writing(store.engine) as connection:
        long_ago = time.time() - KEPT_SECONDS - 1
        chosen = update(runs).where(runs.c.id == old.id)
        connection.execute(chosen.values(deleted_at=long_ago))
    tend(store)
    assert names(store, hidden=True) == {"young", "kept"}
    assert not run_folder(old.id).exists()
    assert store.events(old.id) == []
    assert run_folder(young.id).exists()
    assert run_folder(kept.id).exists()


def test_what_was_not_deleted_is_never_forgotten(store: Store) -> None:
    run = ended(store)
    store.forget(run.id)
    assert names(store) == {"Frozen"}


def test_the_queue_can_be_reordered(store: Store) -> None:
    added = store.add_runs([(name, tiny_spec("photos")) for name in ("a", "b", "c", "d")])
    by_name = {run.name: run.id for run in added}
    assert store.put_first(by_name["c"])
    assert store.put_last(by_name["a"])
    assert store.put_first(by_name["d"])
    started = []
    while (claimed := store.claim_next(9, "here")) is not None:
        started.append(store.run(claimed[0]).name)
    assert started == ["d", "c", "b", "a"]
    assert not store.put_first(by_name["a"])


def test_marks_from_the_command_line(store: Store) -> None:
    run, other = ended(store), ended(store, "Other")
    [told] = document(
        thaw(
            *("mark", run.id[:6], "--name", "The best", "--note", "why"),
            *("--tag", "paper", "--tag", "x", "--star", "--json"),
        )
    )
    assert told == {
        "run_id": run.id,
        "name": "The best",
        "status": "finished",
        "note": "why",
        "tags": ["paper", "x"],
        "starred": True,
        "archived": False,
        "deleted": False,
    }
    [told] = document(thaw("mark", run.id, "--untag", "x", "--no-star", "--json"))
    assert (told["tags"], told["starred"], told["note"]) == (["paper"], False, "why")
    tagged = document(thaw("runs", "--tag", "paper", "--json"))
    assert [one["run_id"] for one in tagged] == [run.id]
    assert tagged[0]["note"] == "why"
    thaw("mark", other.id, "--archive")
    assert other.id[:8] not in thaw("runs").stdout
    assert other.id[:8] in thaw("runs", "--all").stdout
    assert "needs a name" in refusal(thaw("mark", run.id, "--name", " "))


def test_deleting_from_the_command_line(store: Store, tmp_path: Path) -> None:
    run = ended(store)
    assert document(thaw("delete", run.id, "--json"))[0]["deleted"]
    assert run.id not in thaw("runs").stdout
    assert document(thaw("restore", run.id, "--json"))[0]["deleted"] is False
    [waiting] = store.add_runs([("Waiting", tiny_spec(tmp_path))])
    store.claim_next(1, "elsewhere")
    assert f"is running; stop it first: thaw stop {waiting.id}" in refusal(
        thaw("delete", run.id, waiting.id)
    )
    assert names(store) == {"Frozen", "Waiting"}


def test_only_what_waits_can_go_first(store: Store) -> None:
    run = ended(store)
    assert "is finished; only a run that waits has a place" in refusal(thaw("next", run.id))


def test_a_run_that_goes_on_is_never_hidden(store: Store) -> None:
    [run] = store.add_runs([("Frozen", tiny_spec("photos"))])
    store.mark(run.id, archived=True)
    assert [one.id for one in store.all_runs(("queued",))] == [run.id]


def test_a_deleted_run_that_is_resumed_is_back_and_waits_behind_the_others(store: Store) -> None:
    [stopped] = store.add_runs([("Stopped", tiny_spec("photos"))])
    store.request_stop(stopped.id)
    [waiting] = store.add_runs([("Waiting", tiny_spec("photos"))])
    store.delete(stopped.id)
    assert store.reopen(stopped.id)
    again = store.run(stopped.id)
    assert (again.deleted_at, again.archived) == (None, False)
    claimed = [store.claim_next(9, "here") for _ in range(2)]
    assert [one[0] for one in claimed if one] == [waiting.id, stopped.id]
