"""What is seen of updates: ways over seeds, what broke, blocks, blends, and the same elsewhere."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import DataError, RunFileError
from engine.home import run_folder
from engine.insight.update_images import blocks_of, broken_images, mended_images
from engine.insight.update_methods import method_results
from engine.insight.update_ways import by_model, estimated, judged_alike, short_names
from engine.insight.updates import Update, update_of
from engine.runs import worker
from engine.runs.exporting import export_run
from engine.runs.importing import import_file
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from engine.training.curves import CURVE_FILE, InterpolationCurve, read_curve, save_curve
from engine.training.predictions import BEFORE_FILE, Predictions
from tests.engine.hostile.run_files import arrays, fitting, members_of, packed
from tests.engine.moved import at_home
from tests.engine.specs import tiny_spec
from tests.engine.updated import new_images

FULL = {"strategy.name": "full", "optimiser.lr": 1e-3}


def trained(store: Store, name: str, spec: RunSpec) -> Run:
    [run] = store.add_runs([(name, spec)])
    store.set_status(run.id, "running")
    worker.main(run.id)
    ended = store.run(run.id)
    assert ended.status == "finished", ended.reason
    return ended


@pytest.fixture(scope="module")
def home(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, two seeds of one update of it, and a blend."""
    folder = tmp_path_factory.mktemp("updates")
    new = new_images(folder / "new")
    handler = signal.getsignal(signal.SIGTERM)
    with at_home(folder / "home") as store:
        base = trained(store, "base", tiny_spec(tiny_folder, {"training.epochs": 4}))
        for method, seed in (("naive", 0), ("naive", 1), ("wise_ft", 0)):
            settings = FULL | {"update.start": base.id, "update.method": method, "seed": seed}
            trained(store, method, tiny_spec(new, settings))
    signal.signal(signal.SIGTERM, handler)
    return folder / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with at_home(home) as opened:
        yield opened


@pytest.fixture
def updates(store: Store) -> list[Update]:
    """The oldest first."""
    found = [update_of(run) for run in reversed(store.all_runs())]
    return [one for one in found if one is not None]


def test_a_run_that_is_no_update_has_no_results(store: Store, updates: list[Update]) -> None:
    assert len(updates) == 3
    assert update_of(store.all_runs()[-1]) is None


def test_seeds_of_one_method_are_one_way(updates: list[Update]) -> None:
    naive, blended = method_results(updates)
    assert [one.run.spec.seed for one in naive.updates] == [0, 1]
    assert short_names([naive, blended]) == ["naive", "wise_ft"]
    assert naive.broken is not None
    assert naive.broken.mean == np.mean([len(one.broken_N) for one in updates[:2]])
    estimate = estimated(naive, is_new=False)
    assert estimate is not None
    assert naive.old is not None
    assert estimate.value == pytest.approx(naive.old.mean)
    assert estimate.low <= estimate.value <= estimate.high
    told = naive.to_dict()
    assert told["before_new"]["mean"] == updates[0].before.new.accuracy
    assert told["seen_again"] == {"mean": 0, "deviation": 0}


def test_ways_of_one_method_have_names_of_their_own(store: Store, updates: list[Update]) -> None:
    [first, second, _] = updates
    faster = RunSpec.parse(second.run.spec.model_dump(mode="json") | {"optimiser": {"lr": 0.5}})
    moved = replace(second, run=replaced(second.run, faster))
    ways = method_results([first, moved])
    assert short_names(ways) == [f"naive {first.run.id[:4]}", f"naive {second.run.id[:4]}"]


def replaced(run: Run, spec: RunSpec) -> Run:
    return replace(run, spec_json=spec.model_dump_json())


def test_all_were_judged_on_the_same_images(updates: list[Update]) -> None:
    assert judged_alike(updates)
    first = updates[0]
    turned = replace(first, manifest=replace(first.manifest, val=first.manifest.val[::-1]))
    assert not judged_alike([first, turned])


def test_updates_of_one_model_belong_together(store: Store) -> None:
    runs = store.all_runs()
    base, updating = runs[-1], runs[:-1]
    assert by_model(updating, {base.id: base}) == [updating]
    spec = updating[0].spec
    elsewhere = spec.update.model_copy(update={"start": "/other.safetensors"})
    other = replaced(updating[0], spec.model_copy(update={"update": elsewhere}))
    assert by_model([*updating, other], {base.id: base}) == [updating, [other]]


def test_blocks_count_every_image_once(updates: list[Update]) -> None:
    for one in updates:
        blocks = blocks_of(one)
        of_old = blocks.old_right + blocks.old_as_other_old + blocks.old_as_new
        of_new = blocks.new_right + blocks.new_as_old + blocks.new_as_other_new
        assert (of_old, of_new) == (blocks.num_of_old, blocks.num_of_new)
        assert of_old + of_new == len(one.manifest.val)
        assert blocks.old_right + blocks.new_right == one.after.all.num_right
        is_old_N = one.predicted.labels_N < one.num_old_classes
        named_new_N = one.predicted.predicted_N >= one.num_old_classes
        assert blocks.old_as_new == int((is_old_N & named_new_N).sum())
        parts = [blocks_of(one, which).counts_KK for which in ("old", "new")]
        assert (parts[0] + parts[1] == blocks.counts_KK).all()


def test_broken_and_mended_images_say_what_each_model_said(updates: list[Update]) -> None:
    for one in updates:
        broken, mended = broken_images(one), mended_images(one)
        assert (len(broken), len(mended)) == (len(one.broken_N), len(one.mended_N))
        old = {item.path for item in one.manifest.val[: one.before.old.num]}
        assert {image.path for image in (*broken, *mended)} <= old
        for images, is_right in ((broken, (True, False)), (mended, (False, True))):
            for image in images:
                assert tuple(answer.is_right for answer in image.answers) == is_right
        surest = [image.answers[1].probability for image in broken]
        assert surest == sorted(surest, reverse=True)
        lost = one.before.old.num_right - one.after.old.num_right
        assert len(broken) - len(mended) == lost


def test_something_broke(updates: list[Update]) -> None:
    """Else the tests above would look at nothing."""
    assert any(len(one.broken_N) for one in updates)


# ---- blends


def test_a_blend_is_measured_on_old_and_on_new_images(updates: list[Update]) -> None:
    blended = updates[-1]
    curve = read_curve(run_folder(blended.run.id))
    assert curve is not None
    alphas = [alpha for alpha, _ in curve.points]
    assert [alpha for alpha, _ in curve.old] == [alpha for alpha, _ in curve.new] == alphas
    old, new = blended.after.old, blended.after.new
    assert curve.old_and_new(curve.alpha) == (old.accuracy, new.accuracy)
    for (_, both), (_, of_old), (_, of_new) in zip(curve.points, curve.old, curve.new, strict=True):
        assert both == pytest.approx((of_old * old.num + of_new * new.num) / (old.num + new.num))
    kept = blended.run.summary["blend"]
    assert (kept["val/old_accuracy"], kept["val/new_accuracy"]) == (old.accuracy, new.accuracy)


def test_older_curves_are_read_as_before(tmp_path: Path) -> None:
    save_curve(tmp_path, [(0.0, 0.5), (1.0, 0.75)], 0.5, {"old": [(1.0, 0.25)], "new": []})
    assert set(json.loads((tmp_path / CURVE_FILE).read_text())) == {"curve", "alpha", "old"}
    curve = read_curve(tmp_path)
    assert curve == InterpolationCurve(((0.0, 0.5), (1.0, 0.75)), 0.5, ((1.0, 0.25),))
    assert curve.old_and_new(1.0) == (0.25, None)
    (tmp_path / CURVE_FILE).write_text('{"curve": [[0, 0.5]], "alpha": 0}')
    assert read_curve(tmp_path) == InterpolationCurve(((0.0, 0.5),), 0.0)
    (tmp_path / CURVE_FILE).write_text('{"curve": [[0, 0.5]], "alpha": 0, "old": [[0]]}')
    assert read_curve(tmp_path) is None


# ---- elsewhere


@pytest.fixture
def exported(store: Store, updates: list[Update], tmp_path: Path) -> Path:
    """The file of the blend."""
    return export_run(store, updates[-1].run, tmp_path)


def test_an_update_shows_the_same_elsewhere(
    updates: list[Update], exported: Path, tmp_path: Path
) -> None:
    here = updates[-1]
    curve = read_curve(run_folder(here.run.id))
    with at_home(tmp_path / "there") as elsewhere:
        there = update_of(import_file(elsewhere, exported).run)
        assert there is not None
        assert there.to_dict() | {"seconds": 0} == here.to_dict() | {"seconds": 0}
        assert there.manifest == here.manifest
        assert blocks_of(there).to_dict() == blocks_of(here).to_dict()
        assert broken_images(there) == broken_images(here)
        assert curve == read_curve(run_folder(there.run.id)) is not None


def unfit(members: dict[str, bytes], how: str) -> dict[str, bytes]:
    """Returns the members of an update in one of which something is wrong."""
    manifest = json.loads(members["manifest.json"])
    labels = np.array([item["label"] for item in manifest["val"]])
    shares = np.full((len(labels), len(manifest["classes"])), 0.25, dtype=np.float32)
    sound = {"labels": labels, "probabilities": shares, "epoch": np.int64(0)}
    before: dict[str, Any] = {
        "labels of others": sound | {"labels": (labels + 1) % 4},
        "fewer classes": sound | {"probabilities": shares[:, :-1].copy()},
        "no number": sound | {"probabilities": shares * np.float32("nan")},
        "another epoch": sound | {"epoch": np.int64(1)},
        "more than it holds": sound | {"evil": labels},
    }
    if how in before:
        return members | {BEFORE_FILE: arrays(**before[how])}
    [first, *others] = manifest["batches"]
    batches: dict[str, Any] = {
        "batches of more images": [first | {"num_val": first["num_val"] + 1}, *others],
        "batches of fewer than none": [first | {"num_val": -1}, *others],
        "batches of no name": [{"num_val": len(labels)}],
        "batches are no list": {"june": 3},
    }
    if how in batches:
        changed = manifest | {"batches": batches[how]}
        return members | {"manifest.json": json.dumps(changed).encode()}
    item = manifest["earlier"][0] | {"label": 99}
    changed = manifest | {"earlier": [item]}
    if how == "an earlier image of no class":
        return members | {"manifest.json": json.dumps(changed).encode()}
    curve = json.loads(members[CURVE_FILE]) | {"old": [[0.0, "high"]]}
    assert how == "a blend of no number"
    return members | {CURVE_FILE: json.dumps(curve).encode()}


WRONG = (
    *("labels of others", "fewer classes", "no number", "another epoch", "more than it holds"),
    *("batches of more images", "batches of fewer than none", "batches of no name"),
    *("batches are no list", "an earlier image of no class", "a blend of no number"),
)


@pytest.mark.parametrize("how", WRONG)
def test_an_update_that_is_none_is_refused(how: str, exported: Path, tmp_path: Path) -> None:
    members = unfit(members_of(exported), how)
    file = packed(fitting(members), tmp_path / "evil.thaw")
    with at_home(tmp_path / "there") as elsewhere:
        with pytest.raises(RunFileError) as caught:
            import_file(elsewhere, file)
        assert "\n" not in str(caught.value)
        assert elsewhere.all_runs() == []


def test_the_one_that_all_these_are_changed_from_is_sound(exported: Path, tmp_path: Path) -> None:
    file = packed(fitting(members_of(exported)), tmp_path / "sound.thaw")
    with at_home(tmp_path / "there") as elsewhere:
        assert import_file(elsewhere, file).run.status == "finished"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("new_classes", "many"),
        ("new_classes", -1),
        ("old_accuracy_before", "high"),
        ("updates", 7),
        ("old_images_seen_again", [1]),
    ],
)
def test_a_summary_that_no_update_has_is_refused(
    name: str, value: Any, exported: Path, tmp_path: Path
) -> None:
    members = members_of(exported)
    document = json.loads(members["run.json"])
    document["run"]["summary"][name] = value
    file = packed(members | {"run.json": json.dumps(document).encode()}, tmp_path / "evil.thaw")
    with at_home(tmp_path / "there") as elsewhere, pytest.raises(RunFileError):
        import_file(elsewhere, file)


def test_an_epoch_whose_old_accuracy_is_no_number_is_refused(
    exported: Path, tmp_path: Path
) -> None:
    members = members_of(exported)
    lines = [json.loads(line) for line in members["events.jsonl"].splitlines()]
    epoch = next(line for line in lines if line["kind"] == "epoch")
    epoch["values"]["val/old_accuracy"] = "high"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file = packed(fitting(members | {"events.jsonl": text.encode()}), tmp_path / "evil.thaw")
    with (
        at_home(tmp_path / "there") as elsewhere,
        pytest.raises(RunFileError, match="val/old_accuracy"),
    ):
        import_file(elsewhere, file)


def test_more_new_classes_than_classes_is_said(store: Store, updates: list[Update]) -> None:
    run = updates[0].run
    told = replace(run, summary=run.summary | {"new_classes": 99})
    with pytest.raises(DataError, match="does not go together"):
        update_of(told, run_folder(run.id))


def test_what_was_said_before_names_no_new_class(updates: list[Update]) -> None:
    for one in updates:
        before = Predictions.load(run_folder(one.run.id), BEFORE_FILE)
        assert before is not None
        assert before.epoch == 0
        assert (before.predicted_N < one.num_old_classes).all()
