"""A share of the training images: nested, of every class, and judged on the same images."""

import itertools
import json
import shutil
from pathlib import Path

import pytest

from engine.data.facts import data_facts
from engine.data.manifest import Item, Manifest, build_manifest
from engine.data.splits import nested_share
from engine.errors import SpecError
from engine.runs.foreign_manifest import read_images
from engine.spec import DataSpec, RunSpec
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import run_epochs
from tests.conftest import CLIPART, Recorder
from tests.engine.specs import tiny_spec

FRACTIONS = (0.1, 0.25, 0.5, 1.0)


def files_of(*counts: int) -> list[list[Path]]:
    return [[Path(f"{label}/{index}.jpg") for index in range(n)] for label, n in enumerate(counts)]


def manifest_of(folder: Path, fraction: float, **settings: object) -> Manifest:
    return build_manifest(
        DataSpec.parse({"folder": str(folder), "train_fraction": fraction, **settings})
    )


def contents(items: tuple[Item, ...]) -> set[tuple[int, str]]:
    return {(item.label, item.digest) for item in items}


@pytest.mark.parametrize("seed", range(5))
def test_a_smaller_share_is_part_of_a_larger_one(seed: int) -> None:
    files = files_of(1, 7, 40, 200)
    shares = [nested_share(files, fraction, seed) for fraction in FRACTIONS]
    for smaller, larger in itertools.pairwise(shares):
        for one, other in zip(smaller, larger, strict=True):
            assert set(one) <= set(other)
    assert shares[-1] == files


def test_every_class_gives_its_share_and_at_least_one() -> None:
    sizes = [len(group) for group in nested_share(files_of(1, 7, 40, 200, 0), 0.1, 0)]
    assert sizes == [1, 1, 4, 20, 0]


def test_another_seed_draws_others() -> None:
    drawn = [nested_share(files_of(40), 0.25, seed)[0] for seed in range(5)]
    assert len({tuple(group) for group in drawn}) == 5


def test_the_whole_is_what_it_was_before_there_were_shares(tiny_folder: Path) -> None:
    """Runs of earlier releases name no share: their split and fingerprint must not change."""
    spec = DataSpec.parse(json.dumps({"folder": str(CLIPART), "val_fraction": 0.2}))
    assert spec.train_fraction == 1.0
    assert build_manifest(spec).fingerprint == "1cfc82ef0d179592"
    own = build_manifest(DataSpec(folder=str(tiny_folder)))
    assert own.fingerprint == "4090e87859f4f116"
    assert set(own.to_dict()) == {"classes", "train", "val", "left_out", "fingerprint", "notes"}


def test_shares_are_nested_and_judged_on_the_same_images(tiny_folder: Path) -> None:
    whole = manifest_of(tiny_folder, 1.0)
    found = [manifest_of(tiny_folder, fraction) for fraction in FRACTIONS]
    assert [len(one.train) for one in found] == [3, 6, 9, 18]
    for one in found:
        assert one.val == whole.val
        assert contents(one.train) | contents(one.spare) == contents(whole.train)
        assert not contents(one.train) & contents(one.spare)
        assert {item.label for item in one.train} == {0, 1, 2}
        assert one.num_whole_train == len(whole.train)
    for smaller, larger in itertools.pairwise(found):
        assert contents(smaller.train) < contents(larger.train)
    assert len({one.fingerprint for one in found}) == len(FRACTIONS)


def test_a_copy_under_other_names_gives_the_same_share(own_folder: Path, tmp_path: Path) -> None:
    """So that a learning curve that is begun on one machine goes on on another."""
    for split in ("train", "val"):
        shutil.copytree(own_folder, tmp_path / "one" / split)
        shutil.copytree(own_folder, tmp_path / "other" / split)
    for folder in (tmp_path / "other" / "train").iterdir():
        files = sorted(folder.iterdir())
        for number, file in enumerate(files):
            file.rename(folder / f"{len(files) - number:03d}-renamed{file.suffix}")
    one, other = (manifest_of(tmp_path / name, 0.5) for name in ("one", "other"))
    assert contents(one.train) == contents(other.train)
    assert one.fingerprint == other.fingerprint


def test_folds_give_shares_too(tiny_folder: Path) -> None:
    whole, half = (manifest_of(tiny_folder, share, folds=2, fold=2) for share in (1.0, 0.5))
    assert half.val == whole.val
    assert contents(half.train) < contents(whole.train)


def test_what_recipes_adapt_to_is_the_share(tiny_folder: Path) -> None:
    for fraction in FRACTIONS:
        spec = DataSpec(folder=str(tiny_folder), train_fraction=fraction)
        assert data_facts(spec).num_train == len(build_manifest(spec).train)


def test_the_manifest_says_what_is_left_aside(tiny_folder: Path, tmp_path: Path) -> None:
    half = manifest_of(tiny_folder, 0.5)
    assert half.notes[-1].startswith("9 of 18 images are learnt from: 50 % of each class")
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(half.to_dict()))
    assert Manifest.from_file(file) == half
    assert read_images(file).val_labels == [item.label for item in half.val]
    values = half.to_dict() | {"spare": [{"path": "a", "label": 9}]}
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="no class"):
        read_images(file)


@pytest.mark.parametrize("share", [0.0, 1.5, -0.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(SpecError, match=r"data\.train_fraction is .* above 0 to 1"):
        RunSpec.parse({"data": {"folder": "photos", "train_fraction": share}})


def session_of(folder: Path, own: Path, fraction: float) -> Session:
    own.mkdir()
    return set_up(tiny_spec(folder, {"data.train_fraction": fraction}), own, Recorder(), 0.0)


def test_a_share_finds_the_features_of_the_whole(tiny_folder: Path, tmp_path: Path) -> None:
    sessions = [
        session_of(tiny_folder, tmp_path / str(fraction), fraction) for fraction in (1.0, 0.25, 0.5)
    ]
    told = []
    for session in sessions:
        run_epochs(session)
        assert isinstance(session.reporter, Recorder)
        told += [
            one.values["features_found"]
            for one in session.reporter.of_kind("progress")
            if one.values["task"] == "features"
        ]
    assert told == [False, True, True]
    assert [len(session.manifest.train) for session in sessions] == [18, 6, 9]


def test_who_computes_the_features_decides_no_digit(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that comes first computes those of all images, and comes to the same numbers."""
    losses = []
    for name, fractions in (("first", (0.25,)), ("after", (1.0, 0.25))):
        monkeypatch.setenv("THAW_HOME", str(tmp_path / name))
        for fraction in fractions:
            session = session_of(tiny_folder, tmp_path / f"{name}-{fraction}", fraction)
            run_epochs(session)
        assert isinstance(session.reporter, Recorder)
        losses.append([event.values["val/loss"] for event in session.reporter.of_kind("epoch")])
    assert losses[0] == losses[1]
