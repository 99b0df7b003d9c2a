"""Is a new batch like the old one: told with certainty where it is not, seldom where it is.

All on real pictures: clip art, its later batch, and digits.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from engine.caching import ArrayCache
from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.data.samples import write_sample
from engine.errors import DataError, WeightsError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight import batch_worker
from engine.insight.batch_classes import Side, compare, farthest, usual_images
from engine.insight.batch_drift import BatchDrift, finding_of
from engine.insight.batch_look import check_batch
from engine.insight.batch_words import drift_verdict
from engine.insight.batch_work import (
    answers_of,
    batch_check,
    batch_work,
    known_drift,
    start_check,
)
from engine.insight.intervals import Estimate
from engine.insight.planes import directions
from engine.insight.two_samples import Alikeness, alikeness
from engine.models.backbone import build_backbone
from engine.runs.store import Run, Store
from engine.training.features import KIND
from engine.training.reporter import StopTrainingError
from tests.conftest import CLIPART, Recorder
from tests.engine.commands import document, refusal, thaw
from tests.engine.trained_runs import trained_runs
from tests.engine.waiting import wait_for

CLASSES = ("birds", "fruit", "mammals")
NEW = CLIPART.parent / "new"
HALVINGS = 20


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old`: three classes of 24 drawings; `same`: 16 others of each; `digits`: 10 classes."""
    root = tmp_path_factory.mktemp("batches")
    for name in CLASSES:
        files = sorted((CLIPART / "train" / name).iterdir())
        # In turn, since files with one name are drawings of one hand.
        order = np.random.default_rng(0).permutation(len(files))
        for folder, chosen in (("old", order[:22]), ("same", order[22:])):
            (root / folder / name).mkdir(parents=True)
            for place in chosen:
                shutil.copy(files[place], root / folder / name)
    write_sample("digits", root)
    return root


@pytest.fixture(scope="module")
def trained(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A THAW_HOME with a frozen run and a full one on the old images."""
    home = tmp_path_factory.mktemp("trained")
    settings = {"frozen": {}, "full": {"strategy.name": "full", "optimiser.lr": 3e-3}}
    with trained_runs(home, folders / "old", settings):
        pass
    return home


@pytest.fixture
def runs(trained: Path, thaw_home: Path) -> Iterator[dict[str, Run]]:
    """The runs in a copy of that home, which a test may change."""
    shutil.copytree(trained, thaw_home)
    store = Store()
    yield {run.name: run for run in store.all_runs()}
    store.close()
    torch.use_deterministic_algorithms(False)


def digits_for(root: Path, folders: Path, *names: str, num: int = 16) -> Path:
    """A batch in which classes are as ever, but for those named, which hold digits."""
    shutil.copytree(folders / "same", root)
    for label, name in enumerate(names):
        shutil.rmtree(root / name)
        (root / name).mkdir()
        for file in sorted((folders / "digits" / str(label)).iterdir())[:num]:
            shutil.copy(file, root / name)
    return root


def checked(run: Run, folder: Path) -> BatchDrift:
    return check_batch(batch_check(run, str(folder)), Recorder())


# ---- calibration


@dataclass(frozen=True)
class Pictures:
    """Features of the clip art's classes, each picture once."""

    features: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def seen() -> Pictures:
    """What the pre-trained backbone makes of two whole classes, at 64 px."""
    from engine.data.loader import read_square
    from engine.data.manifest import Item
    from engine.data.scale import known_scale
    from engine.data.transforms import EvalTransform
    from engine.spec import ImageSpec

    backbone = build_backbone("efficientnet_lite0", 64)
    images = ImageSpec.parse({"size": 64, "fit": "squash"})
    transform = EvalTransform(images, backbone.record, known_scale(images, backbone.record))
    features = {}
    with torch.inference_mode(), backbone.evaluating():
        for name in ("fruit", "mammals"):
            paths = sorted(path for split in CLIPART.iterdir() for path in (split / name).iterdir())
            squares = [read_square(Item(str(path), 0), transform) for path in paths]
            batch = torch.stack([transform.finish(square, ()) for square in squares])
            features[name] = backbone(batch).numpy()
    return Pictures(features)


@pytest.mark.parametrize("name", ["fruit", "mammals"])
def test_two_halves_of_one_class_are_seldom_told_apart(seen: Pictures, name: str) -> None:
    features = seen.features[name]
    half = len(features) // 2
    found = []
    for seed in range(HALVINGS):
        order = np.random.default_rng(seed).permutation(len(features))
        found.append(alikeness(features[order[:half]], features[order[half:]]))
    most = int(stats.binom.ppf(0.999, HALVINGS, 0.05))
    assert sum(finding_of(one) == "differs" for one in found) <= most
    assert sum(one.p <= 0.05 for one in found) <= most
    assert sum(finding_of(one) == "alike" for one in found) >= 0.8 * HALVINGS
    assert np.mean([one.auc.value for one in found]) == pytest.approx(0.5, abs=0.06)


def test_halves_of_all_classes_give_few_false_alarms_together(seen: Pictures) -> None:
    """Whichever half is the new batch: with Holm no class is named in nearly all halvings."""
    alarms = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        parts: list[list[tuple[str, np.ndarray]]] = [[], []]
        for name, features in seen.features.items():
            order = random.permutation(len(features))
            parts[0] += [(name, row) for row in features[order[::2]]]
            parts[1] += [(name, row) for row in features[order[1::2]]]
        old, new = (side_of(part) for part in parts)
        known = {name: name for name in seen.features}
        told = compare(old, new, known, (), lambda _: None)
        alarms += any(one.finding == "differs" for one in told.classes)
        alarms += finding_of(told.overall) == "differs"
    assert alarms <= int(stats.binom.ppf(0.999, 20, 0.05))


def side_of(rows: list[tuple[str, np.ndarray]]) -> Side:
    labels = tuple(name for name, _ in rows)
    features = directions(np.stack([row for _, row in rows]))
    return Side(tuple(f"/{place}" for place in range(len(rows))), labels, features)


def test_digits_are_told_from_clip_art_with_certainty(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    found = checked(runs["frozen"], digits_for(tmp_path / "new", folders, *CLASSES))
    assert found.overall_finding == "differs"
    assert found.overall is not None
    assert found.overall.auc.low > 0.95
    assert found.overall.p == pytest.approx(0.001)
    assert [one.finding for one in found.classes] == ["differs"] * 3
    first, second, *_ = drift_verdict(found)
    assert first.startswith("The new images are nothing like the old ones")
    assert "'birds' (AUC 1.00)" in second
    assert found.norms is not None
    assert found.norms.more.low > 0.0
    assert "the new ones lie farther" in drift_verdict(found)[-1]


def test_digits_as_classes_of_their_own_are_told_apart_too(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    for label in range(10):
        (tmp_path / "new" / str(label)).mkdir(parents=True)
        for file in sorted((folders / "digits" / str(label)).iterdir())[:12]:
            shutil.copy(file, tmp_path / "new" / str(label))
    found = checked(runs["frozen"], tmp_path / "new")
    assert found.classes == ()
    assert found.overall is None
    assert found.whole is not None
    assert found.whole.auc.low > 0.95
    assert len(found.new_classes) == 10
    assert found.absent == CLASSES
    assert "the model knows none of their classes" in drift_verdict(found)[0]


def test_more_of_the_same_is_not_told_apart(runs: dict[str, Run], folders: Path) -> None:
    found = checked(runs["frozen"], folders / "same")
    assert found.overall_finding == "alike"
    assert all(one.finding != "differs" for one in found.classes)
    assert drift_verdict(found)[0].startswith("The new images are not told from the old ones")
    assert found.num_old == 66


def test_a_class_that_alone_has_drifted_is_named(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    found = checked(runs["frozen"], digits_for(tmp_path / "new", folders, "fruit"))
    assert {one.name for one in found.classes if one.finding == "differs"} == {"fruit"}
    assert "'fruit' (AUC 1.00) differs" in drift_verdict(found)[1]
    assert "'birds'" not in drift_verdict(found)[1]
    assert "Farther than their old images lie those of 'fruit'" in drift_verdict(found)[-1]
    times = {
        name: np.median([one.times for one in found.far if one.label == name]) for name in CLASSES
    }
    assert times["fruit"] > max(times["birds"], times["mammals"])


def test_a_fine_tuned_backbone_would_not_know_more_of_the_same(
    runs: dict[str, Run], folders: Path
) -> None:
    """Why the backbone from before training looks: what the run changed does not come in."""
    frozen, full = (checked(runs[name], folders / "same") for name in ("frozen", "full"))
    assert replace(full, run_id="", seconds=0.0) == replace(frozen, run_id="", seconds=0.0)


# ---- what is compared


def test_another_mix_of_classes_is_no_drift(seen: Pictures) -> None:
    fruit, mammals = seen.features["fruit"], seen.features["mammals"]
    old = side_of(
        [("fruit", row) for row in fruit[::2]] + [("mammals", row) for row in mammals[::2][:8]]
    )
    new = side_of(
        [("mammals", row) for row in mammals[1::2]] + [("fruit", row) for row in fruit[1::2][:8]]
    )
    told = compare(old, new, {"fruit": "fruit", "mammals": "mammals"}, (), lambda _: None)
    assert told.overall is not None
    assert told.overall.num == (16, 16)
    assert finding_of(told.overall) != "differs"
    assert told.whole is not None
    assert finding_of(told.whole) == "differs"


def test_a_new_class_is_said_to_be_nearest_to_what_it_is_like(seen: Pictures) -> None:
    fruit, mammals = seen.features["fruit"], seen.features["mammals"]
    old = side_of([("fruit", row) for row in fruit[::2]] + [("mammals", row) for row in mammals])
    new = side_of([("obst", row) for row in fruit[1::2]])
    [found] = compare(old, new, {}, ("obst",), lambda _: None).new_classes
    assert found.nearest[0][0] == "fruit"
    assert found.nearest[0][1] > 0.6
    assert found.finding == "alike"


def test_how_far_by_hand() -> None:
    """Old images at 0, 60 and 60 degrees; one new at 0, one at 180."""
    sixty = np.array([0.5, np.sqrt(0.75)])
    old = Side(("a", "b", "c"), ("x",) * 3, np.array([[1.0, 0.0], sixty, sixty]))
    new = Side(("near", "far"), ("x",) * 2, np.array([[1.0, 0.0], [-1.0, 0.0]]))
    far, near = farthest(old, new, ["x"])
    # Among themselves: 0.5 (to both others), 0.25 and 0.25; the median is 0.25.
    assert (far.path, far.times, far.beyond) == ("far", pytest.approx(6.0), 1.0)
    assert (near.path, near.times, near.nearest) == ("near", pytest.approx(1.0), "a")
    assert usual_images(old, ["x"]) == {"x": ("b", "c", "a")}


@pytest.mark.parametrize(
    ("p", "low", "finding"),
    [(0.01, 0.6, "differs"), (0.01, 0.5, "unclear"), (0.2, 0.6, "unclear"), (0.2, 0.4, "alike")],
)
def test_both_tests_have_to_agree(p: float, low: float, finding: str) -> None:
    one = Alikeness(0.1, p, Estimate(0.7, low, 0.9), (20, 20))
    assert finding_of(one) == finding
    assert finding_of(None) == "too few"


def test_small_classes_are_counted_and_said(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    found = checked(runs["frozen"], digits_for(tmp_path / "new", folders, "birds", num=4))
    birds = next(one for one in found.classes if one.name == "birds")
    assert (birds.num_new, birds.finding, birds.alikeness, birds.p) == (4, "too few", None, None)
    assert "Too small to compare (fewer than 10 old or new images): 'birds'." in " ".join(
        drift_verdict(found)
    )


def test_images_that_the_run_has_seen_are_left_out_and_counted(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    batch = shutil.copytree(folders / "same", tmp_path / "new")
    for file in sorted((folders / "old" / "birds").iterdir())[:5]:
        shutil.copy(file, batch / "birds" / f"again {file.name}")
    fruit = sorted((batch / "fruit").iterdir())[0]
    shutil.copy(fruit, fruit.with_name("copy.jpg"))
    check = batch_check(runs["frozen"], str(batch))
    assert len(check.new.items) == sum(len(list(one.iterdir())) for one in batch.iterdir()) - 6
    assert "5 images of the folder are among the run's own, and are left out." in check.notes
    assert "1 image of the folder is a copy of others; each content counts once." in check.notes
    with pytest.raises(DataError, match="has seen every image"):
        batch_check(runs["frozen"], str(folders / "old"))


def test_the_images_of_an_update_before_this_one_count_as_old(
    runs: dict[str, Run], folders: Path
) -> None:
    run = runs["frozen"]
    file = run_folder(run.id) / MANIFEST_FILE
    manifest = Manifest.from_file(file)
    later = replace(manifest, train=manifest.train[:5], earlier=manifest.train[5:])
    file.write_text(json.dumps(later.to_dict()))
    assert len(batch_check(run, str(folders / "same")).old.items) == 66


def test_names_that_are_close_are_asked_for(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    batch = shutil.copytree(folders / "same", tmp_path / "new")
    (batch / "birds").rename(batch / "bird")
    with pytest.raises(DataError, match="--same bird=birds"):
        batch_check(runs["frozen"], str(batch))
    found = check_batch(
        batch_check(runs["frozen"], str(batch), answers_of(["bird=birds"], [])), Recorder()
    )
    assert ("birds", "bird") in [(one.name, one.folder) for one in found.classes]
    fresh = batch_check(runs["frozen"], str(batch), answers_of([], ["bird"]))
    assert fresh.matching.new == ("bird",)
    with pytest.raises(DataError, match="--same is 'bird'"):
        answers_of(["bird"], [])


# ---- what is kept


def test_a_second_check_is_instant_and_the_same(runs: dict[str, Run], folders: Path) -> None:
    check = batch_check(runs["frozen"], str(folders / "same"))
    assert known_drift(check) is None
    found = check_batch(check, Recorder())
    recorder = Recorder()
    assert check_batch(check, recorder) == found
    assert recorder.events == []
    assert known_drift(check) == found


def test_the_old_images_are_looked_at_once_for_several_batches(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    checked(runs["frozen"], folders / "same")
    labels = [entry.label for entry in ArrayCache(KIND).entries()]
    assert sum("old images" in label for label in labels) == 2
    recorder = Recorder()
    other = digits_for(tmp_path / "new", folders, "fruit")
    check_batch(batch_check(runs["full"], str(other)), recorder)
    tasks = {event.values["task"] for event in recorder.of_kind("progress")}
    assert tasks == {"looking at new images", "comparing classes"}


def test_a_folder_that_changed_is_checked_anew(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    batch = shutil.copytree(folders / "same", tmp_path / "new")
    first = batch_check(runs["frozen"], str(batch))
    next((batch / "fruit").iterdir()).unlink()
    assert batch_check(runs["frozen"], str(batch)).key != first.key


def test_it_can_be_stopped(runs: dict[str, Run], folders: Path) -> None:
    check = batch_check(runs["frozen"], str(folders / "same"))
    with pytest.raises(StopTrainingError):
        check_batch(check, Recorder(stop_at=("progress", 1)))
    assert known_drift(check) is None


def test_what_cannot_be_checked_is_a_sentence(
    runs: dict[str, Run], folders: Path, tmp_path: Path
) -> None:
    run = runs["frozen"]
    check = batch_check(run, str(folders / "same"))
    gone = replace(check.old.items[0], path=str(tmp_path / "gone.jpg"))
    broken = replace(check, old=replace(check.old, items=(gone, *check.old.items[1:])))
    with pytest.raises(DataError, match=r"One of the old images can no longer be read: .*gone.jpg"):
        check_batch(broken, Recorder())
    (run_folder(run.id) / CHECKPOINT_FILE).unlink()
    with pytest.raises(WeightsError, match="has kept no model"):
        batch_check(run, str(folders / "same"))


def test_a_backbone_without_batchnorm_and_a_random_one_say_so(
    folders: Path, thaw_home: Path
) -> None:
    settings = {"random": {"model.weights": "random"}}
    with trained_runs(thaw_home, folders / "old", settings) as store:
        [run] = store.all_runs()
        found = checked(run, folders / "same")
    assert found.norms is None
    assert "random weights: there was no pre-training" in found.why_no_norms
    assert any("tells little" in note for note in found.notes)
    assert BatchDrift.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    torch.use_deterministic_algorithms(False)


# ---- in a process of its own, and as a command


def test_a_process_of_its_own_checks_and_keeps(runs: dict[str, Run], folders: Path) -> None:
    check = batch_check(runs["frozen"], str(folders / "same"))
    start_check(check)
    work = batch_work(check.key)
    wait_for(
        lambda: (state := work.state()) is not None and not state.is_working,
        120,
        "a check that has ended",
    )
    state = work.state()
    assert state is not None
    assert state.status == "finished", state.reason
    assert known_drift(check) is not None
    assert state.result == {"key": check.key}
    assert batch_worker.main(check.key) == 0


@pytest.mark.slow
def test_the_command_prints_a_table_and_a_document(runs: dict[str, Run], folders: Path) -> None:
    asked = ["drift", runs["frozen"].id[:8], str(folders / "same")]
    found = document(thaw(*asked, "--json"))
    assert found["overall_finding"] == "alike"
    assert found["verdict"][0].startswith("The new images are not told")
    assert {one["name"] for one in found["classes"]} == set(CLASSES)
    assert set(found["norms"]) == {"layers", "old", "new", "more"}
    printed = thaw(*asked).stdout
    assert "not told apart" in printed
    assert "times as far as usual from" in printed
    assert "There is no class 'cats'" in refusal(thaw(*asked, "--new", "cats"))
