"""Experiments: which runs they are, that all have one split, and what learning curves want."""

from pathlib import Path

import pytest

from engine.data.manifest import build_manifest
from engine.errors import SpecError
from engine.runs.experiment import FRACTIONS, experiment_specs, other_shares
from engine.runs.store import Store
from engine.spec import RunSpec
from tests.engine.specs import tiny_spec


@pytest.fixture
def store() -> Store:
    return Store()


def two_ways(folder: Path | str = "photos") -> list[tuple[str, RunSpec]]:
    return [
        (name.capitalize(), tiny_spec(folder, {"strategy.name": name}))
        for name in ("frozen", "full")
    ]


def test_every_way_has_every_seed_and_share() -> None:
    named = experiment_specs(two_ways(), 3, (1.0, 0.5))
    cells = [(spec.strategy.name, spec.seed, spec.data.train_fraction) for _, spec in named]
    assert len(set(cells)) == len(cells) == 12
    assert cells[:4] == [("frozen", 0, 0.5), ("full", 0, 0.5), ("frozen", 0, 1.0), ("full", 0, 1.0)]
    assert [name for name, _ in named[:3]] == [
        "Frozen · photos · seed 0 · 50 % of the images",
        "Full · photos · seed 0 · 50 % of the images",
        "Frozen · photos · seed 0",
    ]


def test_seeds_share_one_split(tiny_folder: Path) -> None:
    named = experiment_specs(two_ways(tiny_folder), 3)
    assert len({build_manifest(spec.data).fingerprint for _, spec in named}) == 1


def test_with_folds_each_is_run_on_every_fold() -> None:
    ways = [("Frozen", tiny_spec("photos", {"data.folds": 3}))]
    folds = [(spec.seed, spec.data.fold) for _, spec in experiment_specs(ways, 2)]
    assert folds == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_one_run_is_named_as_it_always_was() -> None:
    assert experiment_specs(two_ways()[:1])[0][0] == "Frozen · photos"


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ([], "at least one way"),
        (two_ways() + two_ways()[:1], "Frozen is named twice"),
        ([*two_ways("one"), *two_ways("other")[:1]], "other data"),
    ],
)
def test_what_is_no_experiment_is_refused(ways: list[tuple[str, RunSpec]], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        experiment_specs(ways)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match=r"train_fraction is 1\.5"):
        experiment_specs(two_ways(), 1, (1.5,))


def test_what_a_learning_curve_lacks_is_known(store: Store) -> None:
    runs = store.add_runs(experiment_specs(two_ways(), 2))
    shares = other_shares(runs, store.all_runs())
    assert list(shares.there) == runs
    assert len(shares.missing) == len(runs) * (len(FRACTIONS) - 1)
    assert shares.missing[0][0] == "Frozen · photos · seed 0 · 10 % of the images"
    added = store.add_runs(shares.missing)
    again = other_shares(runs, store.all_runs())
    assert not again.missing
    assert {run.id for run in again.there} == {run.id for run in (*runs, *added)}


def test_a_share_that_failed_is_missing_again(store: Store) -> None:
    [run] = store.add_runs(experiment_specs(two_ways()[:1]))
    added = store.add_runs(other_shares([run], store.all_runs()).missing)
    store.set_status(added[0].id, "failed", "no room")
    again = other_shares([run], store.all_runs())
    assert [spec.data.train_fraction for _, spec in again.missing] == [0.1]


def test_runs_with_other_settings_are_not_taken_for_shares(store: Store) -> None:
    [run] = store.add_runs(experiment_specs(two_ways()[:1]))
    other = tiny_spec("photos", {"data.train_fraction": 0.5, "model.dropout": 0.5})
    store.add_runs([("other", other)])
    assert len(other_shares([run], store.all_runs()).missing) == 3


def test_what_was_steered_by_hand_is_left_out_and_named(store: Store) -> None:
    runs = store.add_runs(experiment_specs(two_ways()))
    shares = other_shares(runs, store.all_runs(), by_hand=[runs[0].id])
    assert shares.steered == (runs[0],)
    assert {spec.strategy.name for _, spec in shares.missing} == {"full"}
