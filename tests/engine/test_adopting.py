"""Which model is in use: adopted by a rule or against it, undone, and kept whatever goes."""

import time
from pathlib import Path

import pytest
from sqlalchemy import update as change

from engine.errors import SpecError
from engine.home import run_folder
from engine.runs.database import writing
from engine.runs.exporting import export_run
from engine.runs.importing import import_file
from engine.runs.store import Run, Store
from engine.runs.tables import runs
from engine.runs.trash import KEPT_SECONDS, empty_trash
from engine.update.adopting import adopt, standing_of, undo_adoption
from engine.update.gate import Rule
from tests.engine.commands import document, refusal, thaw
from tests.made_updates import add_model, shares

OLD, NEW = shares(360, 400), shares(10, 50)


@pytest.fixture
def store(database: str) -> Store:
    return Store()


def good_update(store: Store, start: str, name: str = "good") -> Run:
    """An update that forgets one of 400 images and learns 30 of 50."""
    return add_model(
        store,
        {"base": shares(359, 400), "new": shares(40, 50)},
        start,
        before={"base": OLD, "new": NEW},
        name=name,
    )


def bad_update(store: Store, start: str) -> Run:
    return add_model(
        store,
        {"base": shares(200, 400), "new": shares(40, 50)},
        start,
        before={"base": OLD, "new": NEW},
        name="bad",
    )


def in_use(store: Store, run: Run) -> str:
    return standing_of(store, run.id).in_use


def test_an_update_is_adopted_and_that_is_undone(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    run = good_update(store, base.id)
    assert in_use(store, run) == base.id
    done = adopt(store, run, Rule())
    assert (done.kind, done.run_id, done.other, done.lineage) == (
        "adopted",
        run.id,
        base.id,
        base.id,
    )
    assert done.details["forced"] is False
    assert done.details["rule"] == Rule().to_dict()
    assert done.details["old"]["num_broken"] == 1
    assert in_use(store, base) == run.id
    with pytest.raises(SpecError, match="in use already"):
        adopt(store, run, Rule(), force=True)
    undone = undo_adoption(store, run.id)
    assert (undone.kind, undone.in_use) == ("undone", base.id)
    assert in_use(store, run) == base.id
    # The record keeps both, and it can be adopted again.
    adopt(store, run, Rule())
    assert [one.kind for one in Store().adoptions()] == ["adopted", "undone", "adopted"]
    assert [one.number for one in store.adoptions()] == [1, 2, 3]
    assert store.adoptions()[0] == done


def test_what_breaks_the_rule_is_adopted_only_where_a_person_says_so(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    run = bad_update(store, base.id)
    with pytest.raises(SpecError, match=r"fell by 40 points.*--force"):
        adopt(store, run, Rule())
    assert store.adoptions() == []
    done = adopt(store, run, Rule(), force=True)
    assert done.details["forced"] is True
    assert "fell by 40 points" in done.details["refusals"][0]
    # One that keeps to the rule is not marked as forced, though it was allowed to be.
    undo_adoption(store, run.id)
    assert adopt(store, good_update(store, base.id), Rule(), force=True).details["forced"] is False


def test_an_update_of_another_model_than_that_in_use_waits_for_its_turn(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    one, other = good_update(store, base.id, "one"), good_update(store, base.id, "other")
    adopt(store, one, Rule())
    with pytest.raises(SpecError, match=r"judged against after base .*in use is one"):
        adopt(store, other, Rule())
    adopt(store, other, Rule(), force=True)
    assert standing_of(store, base.id).stack == (base.id, one.id, other.id)
    assert undo_adoption(store, other.id).in_use == one.id
    assert undo_adoption(store, one.id).in_use == base.id
    with pytest.raises(SpecError, match="no adopted update in use"):
        undo_adoption(store, one.id)


def test_only_the_last_adoption_can_be_undone(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    first = good_update(store, base.id)
    second = add_model(
        store,
        {"base": shares(359, 400), "new": shares(40, 50), "newer": "1" * 30},
        first.id,
        before={"base": shares(359, 400), "new": shares(40, 50), "newer": "0" * 30},
    )
    with pytest.raises(SpecError, match="adopt good first"):
        adopt(store, second, Rule())
    adopt(store, first, Rule())
    adopt(store, second, Rule())
    with pytest.raises(SpecError, match=f"in use is {second.id}"):
        undo_adoption(store, first.id)
    assert in_use(store, base) == second.id


def test_lineages_do_not_mix(store: Store) -> None:
    here, there = add_model(store, {"base": OLD}), add_model(store, {"base": OLD})
    run = good_update(store, here.id)
    adopt(store, run, Rule())
    assert standing_of(store, there.id).record == ()
    assert in_use(store, there) == there.id


def test_two_people_at_once_do_not_both_decide(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    run = good_update(store, base.id)
    seen = standing_of(store, run.id)
    adopt(store, run, Rule())
    with pytest.raises(SpecError, match="Somebody else"):
        store.add_adoption(seen.name, "adopted", run.id, base.id, {}, seen.record)
    assert len(store.adoptions()) == 1


def throw_away_long_ago(store: Store, run: Run) -> None:
    store.delete(run.id)
    with writing(store.engine) as connection:
        at = time.time() - 2 * KEPT_SECONDS
        connection.execute(change(runs).where(runs.c.id == run.id).values(deleted_at=at))


def test_a_model_in_use_is_never_removed_for_good(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    run, spare = good_update(store, base.id), good_update(store, base.id)
    adopt(store, run, Rule())
    for one in (base, run, spare):
        throw_away_long_ago(store, one)
    assert empty_trash(store) == [spare.id]
    assert "was deleted" in standing_of(store, run.id).family.notes[0]
    # What it could be undone to is there still, and once that is done the update may go.
    assert undo_adoption(store, run.id).in_use == base.id
    assert set(empty_trash(store)) == {base.id, run.id}
    assert not run_folder(run.id).exists()
    # What was decided is remembered all the same, with the name.
    told = [(one.kind, one.run_id, one.details["name"]) for one in store.adoptions()]
    assert told == [("adopted", run.id, "good"), ("undone", run.id, "good")]


def test_a_lineage_keeps_its_name_when_its_beginning_is_gone(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    run = good_update(store, base.id)
    adopt(store, run, Rule())
    store.delete(base.id)
    store.forget(base.id)
    found = standing_of(store, run.id)
    assert (found.name, found.in_use) == (base.id, run.id)
    assert found.family.root.state == "gone"


@pytest.mark.parametrize(
    ("change_it", "sentence"),
    [
        ("base", "updates no model"),
        ("deleted", "thaw restore"),
        ("active", "has not ended"),
        ("emptied", "cannot be judged"),
        ("no model", "cannot be judged"),
    ],
)
def test_what_cannot_be_judged_is_not_adopted(store: Store, change_it: str, sentence: str) -> None:
    base = add_model(store, {"base": OLD})
    run = base if change_it == "base" else good_update(store, base.id)
    if change_it == "active":
        answers = {"base": OLD, "new": NEW}
        run = add_model(store, answers, base.id, before=answers, status="running")
    if change_it == "deleted":
        store.delete(run.id)
    elif change_it == "emptied":
        (run_folder(run.id) / "before.npz").unlink()
    elif change_it == "no model":
        (run_folder(run.id) / "best.safetensors").unlink()
    with pytest.raises(SpecError, match=sentence):
        adopt(store, store.run(run.id), Rule(), force=True)
    assert store.adoptions() == []


def test_an_update_from_another_machine_is_judged_and_adopted_here(
    store: Store, tmp_path: Path
) -> None:
    base = add_model(store, {"base": OLD})
    run = good_update(store, base.id)
    adopt(store, run, Rule())
    # Weights would be looked at, and these are none.
    (run_folder(run.id) / "best.safetensors").unlink()
    file = export_run(store, run, tmp_path)
    home = tmp_path / "elsewhere"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_HOME", str(home))
        there = Store(f"sqlite:///{tmp_path / 'there.db'}")
        came = import_file(there, file).run
        (run_folder(came.id) / "best.safetensors").write_bytes(b"weights")
        # What was decided there is not in the file, and what it updates did not come along.
        found = standing_of(there, came.id)
        assert found.record == ()
        assert (found.family.root.key, found.family.root.state) == (base.id, "gone")
        assert adopt(there, came, Rule()).other == base.id
        assert undo_adoption(there, came.id).in_use == base.id
        there.close()


def test_updates_that_got_another_id_here_know_what_they_update(
    store: Store, tmp_path: Path
) -> None:
    base = add_model(store, {"base": OLD})
    run = good_update(store, base.id)
    for one in (base, run):
        (run_folder(one.id) / "best.safetensors").unlink()
    files = [export_run(store, one, tmp_path) for one in (base, run)]
    # Other runs have these ids here.
    store.mark(base.id, name="another")
    for one in (base, run):
        (run_folder(one.id) / "predictions.npz").write_bytes(b"other")
    came = [import_file(store, file) for file in files]
    assert [one.outcome for one in came] == ["renamed", "renamed"]
    family = standing_of(store, came[1].run.id).family
    assert [one.key for one in family.chain(came[1].run.id)] == [one.run.id for one in came]
    assert run.id not in family.members


def test_commands_adopt_undo_and_list(store: Store) -> None:
    base = add_model(store, {"base": OLD})
    run, bad = good_update(store, base.id), bad_update(store, base.id)
    assert "fell by 40 points" in refusal(thaw("adopt", bad.id))
    done = document(thaw("adopt", run.id[:8], "--most-forgotten", "0.03", "--json"))
    assert (done["in_use"], done["details"]["rule"]["most_forgotten"]) == (run.id, 0.03)
    [told] = document(thaw("adopted", "--json"))
    assert (told["in_use"], told["could_go_back_to"]) == (run.id, [base.id])
    assert "kept until that is undone" in thaw("delete", run.id).stdout
    listed = thaw("adopted").stdout
    assert f"In use: good ({run.id}), which was deleted" in listed
    assert "old -0.2 points" in listed
    assert "is again" in thaw("adopt", "--undo", run.id).stdout
    assert [one.kind for one in store.adoptions()] == ["adopted", "undone"]
