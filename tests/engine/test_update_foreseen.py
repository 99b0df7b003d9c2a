"""What an update will read is known before it starts, and is what it then reads."""

from pathlib import Path

import pytest

from engine.data.manifest import Manifest, build_manifest
from engine.errors import DataError, SpecError
from engine.runs.experiment import other_shares
from engine.runs.search_space import SearchSpec
from engine.runs.store import Store
from engine.spec import DataSpec
from engine.update.foreseen import (
    Way,
    foreseen,
    named_updates,
    num_seen_again,
    require_learnable,
)
from engine.update.known import checkpoint_of, known_images, without_gone
from engine.update.methods import METHODS
from engine.update.names import match_classes
from engine.update.request import Base, update_spec
from tests.engine.specs import tiny_spec

BATCH = Path(__file__).parent.parent.parent / "sample_data" / "clipart" / "new"


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def base(tiny_folder: Path) -> Base:
    manifest = build_manifest(DataSpec(folder=str(tiny_folder)))
    return Base("0123456789abcdef", "Full · tiny", tiny_spec(str(tiny_folder)), manifest.classes)


def images(base: Base) -> Manifest:
    old, new = build_manifest(base.spec.data), build_manifest(DataSpec(folder=str(BATCH)))
    matching = match_classes(base.classes, new.classes)
    return foreseen(base, old, DataSpec(folder=str(BATCH)), new, matching)


def test_batches_are_judged_in_the_order_in_which_they_came(base: Base) -> None:
    manifest = images(base)
    assert [batch.name for batch in manifest.batches] == [Path(base.spec.data.folder).name, "new"]
    assert manifest.classes[:3] == base.classes


@pytest.mark.parametrize(
    ("method", "share"), [("naive", 0), ("lwf", 0), ("ewc", 0), ("joint", 1), ("ncm", 1)]
)
def test_earlier_images_are_counted(base: Base, method: str, share: int) -> None:
    manifest = images(base)
    spec = update_spec(base, DataSpec(folder=str(BATCH)), method, {})
    assert num_seen_again(spec, manifest) == share * len(manifest.earlier)


def test_replay_counts_class_by_class(base: Base) -> None:
    manifest = images(base)
    given = {"update.replay_share": 0.01}
    spec = update_spec(base, DataSpec(folder=str(BATCH)), "replay", {}, given)
    assert num_seen_again(spec, manifest) == len(base.classes)


def test_old_images_that_are_gone_are_told(base: Base, own_folder: Path) -> None:
    data = DataSpec(folder=str(own_folder))
    old, new = build_manifest(data), build_manifest(DataSpec(folder=str(BATCH)))
    matching = match_classes(base.classes, new.classes)
    manifest = foreseen(base, old, DataSpec(folder=str(BATCH)), new, matching)
    Path(manifest.earlier[0].path).unlink()
    assert len(without_gone(manifest).earlier) == len(manifest.earlier) - 1
    Path(old.val[0].path).unlink()
    with pytest.raises(DataError, match="1 of the images that the model is judged on"):
        foreseen(base, old, DataSpec(folder=str(BATCH)), new, matching)


def test_new_classes_only_needs_some(base: Base) -> None:
    spec = update_spec(base, DataSpec(folder=str(BATCH)), "frozen_head", {})
    known = match_classes(base.classes, base.classes)
    with pytest.raises(SpecError, match="the new images have none"):
        require_learnable(spec, known)
    require_learnable(spec, match_classes(base.classes, ["boats"]))


def test_each_method_and_seed_is_a_run_with_its_name(base: Base) -> None:
    ways = [Way(name, {}) for name in METHODS]
    named = named_updates(base, DataSpec(folder=str(BATCH)), ways, {}, seeds=2)
    assert len(named) == 2 * len(METHODS)
    assert named[0][0] == "New images only · new · seed 0"
    assert {spec.seed for _, spec in named} == {0, 1}
    assert len({spec.model_dump_json() for _, spec in named}) == len(named)


def test_the_strategy_is_named_where_it_is_another(base: Base) -> None:
    data, way = DataSpec(folder=str(BATCH)), Way("naive", {"strategy.name": "norm_only"})
    [(name, _)] = named_updates(base, data, [way], {})
    assert name.startswith("New images only, ")


def test_shares_of_an_update_are_updates(base: Base, store: Store) -> None:
    data = DataSpec(folder=str(BATCH))
    runs = store.add_runs(named_updates(base, data, [Way("replay", {})], {}))
    missing = other_shares(runs, store.all_runs()).missing
    assert [name for name, _ in missing] == [
        f"New images and some old ones · new · {percent} % of the images"
        for percent in ("10", "25", "50")
    ]
    assert {spec.update for _, spec in missing} == {runs[0].spec.update}


def test_what_is_updated_cannot_be_searched(base: Base) -> None:
    spec = update_spec(base, DataSpec(folder=str(BATCH)), "replay", {})
    space = {"update.replay_share": {"low": 0.1, "high": 0.9}}
    with pytest.raises(SpecError, match="says what is updated and how"):
        SearchSpec.parse({"base": spec, "space": space})
    kept = SearchSpec.parse({"base": spec, "space": {"model.dropout": [0.0, 0.2]}})
    assert kept.trial_spec({"model.dropout": 0.2}).update == spec.update


def test_a_checkpoint_without_its_list_is_looked_up_by_its_spec(base: Base, tmp_path: Path) -> None:
    assert checkpoint_of(str(tmp_path / "a.safetensors")) == tmp_path / "a.safetensors"
    assert checkpoint_of(base.start).parent.name == base.start
    found = known_images(tmp_path / "a.safetensors", base.classes, base.spec)
    assert found.classes == base.classes
    with pytest.raises(DataError, match="have other classes than the model"):
        known_images(tmp_path / "a.safetensors", ("cats",), base.spec)
    spec = update_spec(base, DataSpec(folder=str(BATCH)), "naive", {})
    with pytest.raises(DataError, match="does not lie beside it"):
        known_images(tmp_path / "a.safetensors", base.classes, spec)
