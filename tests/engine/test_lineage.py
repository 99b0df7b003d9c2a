"""Lineages: who updates whom, and the matrix of accuracies, checked against numbers by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.errors import DataError, RunNotFoundError
from engine.home import run_folder
from engine.insight.forgetting import DEFINITIONS, continual
from engine.runs.store import Run, Store
from engine.training.predictions import Predictions
from engine.update.lineage import Family, family_of
from engine.update.matrix import Matrix, matrix_of
from tests.engine.commands import document, refusal, thaw
from tests.made_updates import add_model, predictions


@pytest.fixture
def store() -> Store:
    return Store()


def family(store: Store, run_id: str) -> Family:
    return family_of(store.all_runs(hidden=True), run_id)


def matrix(store: Store, run_id: str) -> Matrix:
    found = matrix_of(family(store, run_id).chain(run_id))
    assert found is not None
    return found


@pytest.fixture
def three(store: Store) -> tuple[Run, Run, Run]:
    """A model of four validation images, an update with two more, and one with five more."""
    base = add_model(store, {"base": "1110"})
    june = add_model(
        store, {"base": "1000", "june": "11"}, base.id, before={"base": "1110", "june": "10"}
    )
    july = add_model(
        store,
        {"base": "1100", "june": "10", "july": "11110"},
        june.id,
        before={"base": "1000", "june": "11", "july": "10000"},
    )
    return base, june, july


def test_the_matrix_is_read_from_what_runs_kept(store: Store, three: tuple[Run, ...]) -> None:
    found = matrix(store, three[-1].id)
    assert found.rows == ((0.75, 0.5, None), (0.25, 1.0, 0.2), (0.5, 0.5, 0.8))
    assert [(batch.name, batch.num_val) for batch in found.batches] == [
        ("base", 4),
        ("june", 2),
        ("july", 5),
    ]
    assert [one.key for one in found.models] == [run.id for run in three]
    assert found.notes == ()
    metrics = found.metrics
    assert metrics is not None
    assert metrics.average_accuracy == pytest.approx((0.5 + 0.5 + 0.8) / 3)
    assert metrics.backward_transfer == pytest.approx(((0.5 - 0.75) + (0.5 - 1.0)) / 2)
    assert metrics.forgetting == pytest.approx(((0.75 - 0.5) + (1.0 - 0.5)) / 2)


def test_a_model_alone_has_one_number(store: Store, three: tuple[Run, ...]) -> None:
    found = matrix(store, three[0].id)
    assert found.rows == ((0.75,),)
    assert found.metrics is not None
    assert found.metrics.forgetting is None


def test_the_family_is_the_same_whoever_is_asked(store: Store, three: tuple[Run, ...]) -> None:
    base, june, july = three
    other = add_model(store, {"base": "1111", "june": "00"}, base.id, before={"base": "1110"})
    stranger = add_model(store, {"else": "10"})
    for run in (*three, other):
        found = family(store, run.id)
        assert set(found.members) == {base.id, june.id, july.id, other.id}
        assert found.root.key == base.id
    assert [one.key for one in found.children[base.id]] == [june.id, other.id]
    assert [one.key for one in found.chain(july.id)] == [base.id, june.id, july.id]
    assert found.newest(base.id).key == other.id
    assert found.newest(june.id).key == july.id
    assert found.newest(july.id).key == july.id
    assert list(family(store, stranger.id).members) == [stranger.id]
    with pytest.raises(RunNotFoundError):
        family(store, "0" * 16)


def test_a_checkpoint_in_a_runs_folder_is_that_run(store: Store) -> None:
    base = add_model(store, {"base": "1110"})
    for name in ("best.safetensors", "alpha-0.5.safetensors"):
        path = run_folder(base.id) / name
        one = add_model(store, {"base": "1110", "june": "1"}, str(path))
        assert family(store, one.id).members[one.id].parent == base.id
        # As on the machine that it came from.
        elsewhere = f"/home/somebody/thaw/runs/{base.id}/{name}"
        other = add_model(store, {"base": "1110", "june": "1"}, elsewhere)
        assert family(store, other.id).members[other.id].parent == base.id


def test_what_comes_from_a_file_says_so(store: Store) -> None:
    file = "/models/of/somebody.safetensors"
    one = add_model(
        store, {"their": "10", "june": "11"}, file, before={"their": "11", "june": "00"}
    )
    found = family(store, one.id)
    assert (found.root.key, found.root.state, found.root.name) == (
        file,
        "file",
        "somebody.safetensors",
    )
    assert "no run that is known here" in found.notes[0]
    # What the file's model tells right was measured when it was updated.
    assert matrix(store, one.id).rows == ((1.0, 0.0), (0.5, 1.0))


def test_a_run_that_was_deleted_is_told_of_and_still_read(
    store: Store, three: tuple[Run, ...]
) -> None:
    store.delete(three[1].id)
    found = family(store, three[-1].id)
    assert found.members[three[1].id].state == "deleted"
    assert f"thaw restore {three[1].id}" in found.notes[0]
    assert matrix(store, three[-1].id).rows[1] == (0.25, 1.0, 0.2)


def remove(store: Store, run: Run) -> None:
    store.delete(run.id)
    shutil.rmtree(run_folder(run.id))
    store.forget(run.id)


def test_what_a_model_that_is_gone_told_right_is_known_from_its_update(
    store: Store, three: tuple[Run, ...]
) -> None:
    remove(store, three[1])
    found = family(store, three[-1].id)
    # With the run went what it updated.
    assert [(one.key, one.state) for one in found.members.values()] == [
        (three[1].id, "gone"),
        (three[-1].id, "here"),
    ]
    assert "is not here" in found.notes[0]
    seen = matrix(store, three[-1].id)
    assert seen.rows == ((None, None, None), (0.25, 1.0, 0.2), (0.5, 0.5, 0.8))
    assert "cannot be told" in seen.notes[0]
    assert seen.metrics is not None
    assert seen.metrics.average_accuracy == pytest.approx(0.6)
    assert seen.metrics.forgetting is None


def test_runs_that_claim_to_update_each_other_end(store: Store) -> None:
    one = add_model(store, {"base": "10", "june": "1"}, "a" * 16)
    other = add_model(store, {"base": "10", "june": "1"}, one.id)
    for run in (one, other):
        run_of = store.run(run.id)
        assert len(family(store, run_of.id).members) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "engine.update.lineage.parents_of", lambda runs: {one.id: other.id, other.id: one.id}
        )
        found = family(store, one.id)
        assert set(found.members) == {one.id, other.id}
        assert len(found.chain(one.id)) <= 2


def test_images_that_only_some_models_were_judged_on_do_not_count(store: Store) -> None:
    base = add_model(store, {"base": "1100"}, images={"base": ["a", "b", "c", "d"]})
    june = add_model(
        store,
        {"base": "010", "june": "11"},
        base.id,
        before={"base": "110", "june": "00"},
        images={"base": ["a", "c", "e"], "june": ["f", "g"]},
    )
    found = matrix(store, june.id)
    # Both know a and c: the one told a right, the other c.
    assert found.rows == ((0.5, 0.0), (0.5, 1.0))
    assert found.batches[0].num_val == 2
    assert "2 of 5 that all were judged on" in found.notes[0]


def test_copies_of_an_image_count_each(store: Store) -> None:
    same = {"base": ["a", "a", "b"]}
    base = add_model(store, {"base": "101"}, images=same)
    june = add_model(store, {"base": "001", "june": "1"}, base.id, images=same)
    assert [row[0] for row in matrix(store, june.id).rows] == [2 / 3, 1 / 3]


def test_a_batch_without_validation_images_is_left_out_of_means(store: Store) -> None:
    base = add_model(store, {"base": "1110"})
    june = add_model(store, {"base": "1100", "june": ""}, base.id)
    july = add_model(store, {"base": "1000", "june": "", "july": "10"}, june.id)
    found = matrix(store, july.id)
    assert found.rows == ((0.75, None, None), (0.5, None, None), (0.25, None, 0.5))
    assert "june has no validation images" in found.notes[0]
    metrics = found.metrics
    assert metrics is not None
    assert metrics.average_accuracy == pytest.approx((0.25 + 0.5) / 2)
    assert metrics.forgetting_of == pytest.approx((0.5,))


def test_an_update_that_has_judged_nothing_yet_is_said(
    store: Store, three: tuple[Run, ...]
) -> None:
    young = add_model(store, {"base": "1", "june": "1", "july": "1", "august": "1"}, three[-1].id)
    shutil.rmtree(run_folder(young.id))
    found = matrix(store, young.id)
    assert len(found.rows) == 3
    assert "has judged nothing yet" in found.notes[0]
    alone = add_model(store, {"base": "1"})
    shutil.rmtree(run_folder(alone.id))
    assert matrix_of(family(store, alone.id).chain(alone.id)) is None


def test_answers_that_do_not_go_with_the_images_are_refused(
    store: Store, three: tuple[Run, ...]
) -> None:
    predictions("1").save(run_folder(three[1].id))
    with pytest.raises(DataError, match="does not go together"):
        matrix(store, three[-1].id)


def test_metrics_leave_out_what_nothing_judges() -> None:
    told = np.array([[0.9, np.nan, np.nan], [0.8, np.nan, np.nan], [0.6, np.nan, 0.4]])
    found = continual(told, np.array([True, False, True]))
    assert found.average_accuracy == pytest.approx(0.5)
    assert found.backward_transfer == pytest.approx(-0.3)
    with pytest.raises(ValueError, match="missing"):
        continual(told)
    with pytest.raises(ValueError, match="missing"):
        continual(told, np.zeros(3, dtype=bool))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)
def test_metrics_are_put_in_words(definition) -> None:  # type: ignore[no-untyped-def]
    said = {definition.meaning(value) for value in (-0.1, 0.0, 0.1)}
    assert len(said) == 3 or definition.name == "average_accuracy"
    assert all("10.0" in one for one in said if "0.0" in one and "10" in one)
    assert definition.source
    assert definition.sentence.endswith(".")


def test_the_command_shows_the_tree_and_the_matrix(store: Store, three: tuple[Run, ...]) -> None:
    base, june, july = three
    printed = thaw("lineage", base.id[:8]).stdout
    assert f"└─ after june ({june.id})" in printed
    assert f"   └─ after july ({july.id})" in printed
    for part in ("75.0 %", "(50.0 %)", "25.0 %", "Backward transfer: -37.5 points", "Forgetting"):
        assert part in printed, part
    told = document(thaw("lineage", july.id, "--json"))
    assert told["root"] == told["in_use"] == base.id
    assert told["matrix"]["accuracy"] == [[0.75, 0.5, None], [0.25, 1.0, 0.2], [0.5, 0.5, 0.8]]
    assert told["matrix"]["metrics"]["forgetting"] == pytest.approx(0.375)
    assert [one["updates"] for one in told["members"]] == [None, base.id, june.id]
    # An update ends its own matrix.
    assert len(document(thaw("lineage", june.id, "--json"))["matrix"]["accuracy"]) == 2
    assert "There is no run" in refusal(thaw("lineage", "nothing"))


def test_before_is_not_taken_where_the_run_itself_is_there(
    store: Store, three: tuple[Run, ...], tmp_path: Path
) -> None:
    kept = Predictions.load(run_folder(three[-1].id), "before.npz")
    assert kept is not None
    # Another numerics on the machine that updated it, say: the run's own answers count.
    predictions("01011100000"[:11]).save(run_folder(three[-1].id), "before.npz")
    assert matrix(store, three[-1].id).rows[1][:2] == (0.25, 1.0)
