"""Real runs on corrupted images and on another folder: alike for all, kept, honest on what is not.

The runs are tiny, and really trained.
"""

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import engine.insight.shifted
from engine.data.corruptions import CORRUPTIONS, SEVERITIES
from engine.data.decode import decode_image
from engine.data.manifest import Item
from engine.errors import DataError, WeightsError
from engine.home import run_folder
from engine.insight import shift_worker
from engine.insight.compare import report
from engine.insight.shift import Shift, shift_of
from engine.insight.shift_answers import Answers, answers_file, kept_answers
from engine.insight.shift_judged import judged_runs
from engine.insight.shift_tests import (
    CLEAN,
    CORRUPTED,
    Version,
    corruption_test,
    folder_test,
    maker_of_tests,
    manifest_of,
    noise_seed,
    other_images,
    shown_as,
)
from engine.insight.shift_work import shift_key, shift_state, shift_work, start_shift, stop_shift
from engine.insight.shifted import judge_runs
from engine.runs.store import Run, Store
from engine.training.reporter import StopTrainingError
from tests.conftest import CLIPART, TINY_CLASSES, Recorder
from tests.engine.commands import document, refusal, thaw
from tests.engine.trained_runs import trained_runs
from tests.engine.waiting import wait_for

SETTINGS: dict[str, dict[str, Any]] = {
    "frozen": {},
    "full": {"strategy.name": "full", "optimiser.lr": 1e-3},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A THAW_HOME with a frozen and a full run on real pictures, which lie beside it."""
    base = tmp_path_factory.mktemp("shift")
    photos = base / "photos"
    for name in TINY_CLASSES:
        (photos / name).mkdir(parents=True)
        for file in sorted((CLIPART / "train" / name).iterdir())[:12]:
            shutil.copy(file, photos / name)
    with trained_runs(base / "home", photos, SETTINGS) as store:
        # All of it once, for the tests that only read.
        judge_runs(store.all_runs(), corruption_test, 0, Recorder())
    return base


@pytest.fixture
def store(trained: Path, thaw_home: Path) -> Iterator[Store]:
    """The store of a copy of the trained runs, which a test may change."""
    shutil.copytree(trained / "home", thaw_home)
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def runs(store: Store) -> dict[str, Run]:
    return {run.name: run for run in store.all_runs()}


@pytest.fixture
def unjudged(runs: dict[str, Run], thaw_home: Path) -> dict[str, Run]:
    """The same runs before they were judged."""
    shutil.rmtree(thaw_home / "cache" / "shift")
    return runs


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Checkpoints that were loaded to judge with."""
    files: list[Path] = []
    real = engine.insight.shifted.load_checkpoint

    def load(file: Path) -> Any:
        files.append(file)
        return real(file)

    monkeypatch.setattr(engine.insight.shifted, "load_checkpoint", load)
    return files


def answers_of(run: Run) -> Answers:
    found = kept_answers(run, corruption_test(run))
    assert found is not None
    return found


def shift(store: Store, runs: Sequence[Run], folder: str = "") -> Shift:
    found = shift_of([report(store, run) for run in runs], folder)
    assert found is not None
    return found


def written_again(file: str | Path, shade: int = 90) -> None:
    Image.new("RGB", (60, 60), (shade, shade, shade)).save(file)


# ---- what is done to an image


def squares() -> list[Image.Image]:
    files = sorted((CLIPART / "val" / "birds").iterdir())[:4]
    return [decode_image(file).resize((64, 64)) for file in files]


def apart(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind != "fog"])
def test_a_square_keeps_its_size_and_goes_further_from_itself(kind: str) -> None:
    distances = [0.0]
    for severity in SEVERITIES:
        worse = [shown_as(square, "abc", Version(kind, severity)) for square in squares()]
        assert all((one.size, one.mode) == ((64, 64), "RGB") for one in worse)
        distances.append(float(np.mean(list(map(apart, worse, squares())))))
    assert all(one < other for one, other in itertools.pairwise(distances))


def test_fog_hides_what_tells_squares_apart() -> None:
    """Its own light does not count: two pictures in the same fog are more and more alike."""
    one, other, *_ = squares()
    left = [apart(one, other)]
    for severity in SEVERITIES:
        version = Version("fog", severity)
        left.append(apart(shown_as(one, "abc", version), shown_as(other, "abc", version)))
    assert left[1] < left[0] / 2
    # Two severities have the same density, and differ in how rough the fog is.
    assert all(later <= former + 0.5 for former, later in itertools.pairwise(left))
    assert left[-1] < 0.8 * left[1]


def test_an_image_is_made_worse_in_the_same_way_whoever_judges_it() -> None:
    [square, *_] = squares()
    for version in CORRUPTED:
        assert shown_as(square, "abc", version) == shown_as(square.copy(), "abc", version)
    noise = Version("noise", 3)
    assert shown_as(square, "abc", noise) != shown_as(square, "abd", noise)
    seeds = {noise_seed(name, version) for name in ("abc", "abd") for version in CORRUPTED}
    assert len(seeds) == 2 * len(CORRUPTED) == 50
    assert shown_as(square, "abc", CLEAN) == square


def test_runs_of_one_size_see_the_very_same_images(
    unjudged: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[tuple[str, bytes]]] = {}
    for name, run in unjudged.items():
        shown = seen.setdefault(name, [])
        real = engine.insight.shifted._show

        def show(item: Item, *rest: Any, real: Any = real, shown: Any = shown) -> Any:
            given = real(item, *rest)
            shown.append((item.digest, given.images_VCHW.numpy().tobytes()))
            return given

        monkeypatch.setattr(engine.insight.shifted, "_show", show)
        judge_runs([run], corruption_test, 2, Recorder())
        monkeypatch.setattr(engine.insight.shifted, "_show", real)
    assert sorted(seen["frozen"]) == sorted(seen["full"])
    assert len(seen["full"]) == 2


# ---- judged, and kept


def test_images_as_they_are_get_the_answers_that_the_run_recorded(
    store: Store, runs: dict[str, Run]
) -> None:
    for run in runs.values():
        test, answers = corruption_test(run), answers_of(run)
        assert answers.names == test.names
        assert answers.predicted_VN.shape == (26, len(test.items))
        found = report(store, run).predictions()
        assert found is not None
        rows = [[item.digest for item in manifest_of(run).val].index(n) for n in answers.names]
        recorded = found.probabilities_NK[rows]
        assert answers.predicted_VN[0].tolist() == recorded.argmax(axis=1).tolist()
        assert answers.probability_VN[0] == pytest.approx(recorded.max(axis=1), abs=1e-4)
        [one] = shift(store, [run]).runs
        assert one.clean.value == pytest.approx(run.summary["best_val_accuracy"])


def test_weights_that_are_not_those_of_the_record_are_told(
    store: Store, runs: dict[str, Run]
) -> None:
    assert shift(store, list(runs.values())).notes == ()
    frozen, full = runs["frozen"], runs["full"]
    file = "best.safetensors"
    shutil.copy(run_folder(full.id) / file, run_folder(frozen.id) / file)
    judge_runs([frozen], corruption_test, 0, Recorder())
    [note] = shift(store, [frozen]).notes
    assert f"frozen ({frozen.id}) answers otherwise to" in note
    assert "its weights or the libraries have changed since" in note


def test_numbers_are_those_of_the_answers(store: Store, runs: dict[str, Run]) -> None:
    found = shift(store, list(runs.values()))
    for one in found.runs:
        test, answers = corruption_test(one.report.run), answers_of(one.report.run)
        accuracy_V = (answers.predicted_VN == [item.label for item in test.items]).mean(axis=1)
        assert one.clean.value == pytest.approx(accuracy_V[0])
        assert one.shifted.value == pytest.approx(accuracy_V[1:].mean())
        assert one.drop == pytest.approx(one.clean.value - one.shifted.value)
        assert one.shifted.low <= one.shifted.value <= one.shifted.high
        for place, (kind, points) in enumerate(one.by_kind().items()):
            assert kind == list(CORRUPTIONS)[place]
            assert [severity for severity, _ in points] == [0, *SEVERITIES]
            expected = [accuracy_V[0], *accuracy_V[1 + 5 * place : 6 + 5 * place]]
            assert [point.value for _, point in points] == pytest.approx(expected)


def test_nothing_is_judged_twice_and_a_run_that_is_added_is_judged_alone(
    unjudged: dict[str, Run], loaded: list[Path]
) -> None:
    frozen, full = unjudged["frozen"], unjudged["full"]
    judge_runs([frozen], corruption_test, 3, Recorder())
    assert loaded == [run_folder(frozen.id) / "best.safetensors"]
    judge_runs([frozen, full], corruption_test, 3, Recorder())
    assert loaded[1:] == [run_folder(full.id) / "best.safetensors"]
    judge_runs([full, frozen], corruption_test, 2, Recorder())
    assert len(loaded) == 2


def test_a_sample_is_the_beginning_of_the_whole(
    runs: dict[str, Run], loaded: list[Path], thaw_home: Path, store: Store
) -> None:
    run = runs["full"]
    whole = answers_of(run)
    shutil.rmtree(thaw_home / "cache" / "shift")
    judge_runs([run], corruption_test, 3, Recorder())
    sample = answers_of(run)
    assert sample.names == whole.names[:3]
    assert (sample.predicted_VN == whole.predicted_VN[:, :3]).all()
    [note] = shift(store, [run]).notes
    assert note == f"3 of {len(whole.names)} images are judged so far, a sample drawn at random."
    judge_runs([run], corruption_test, 0, Recorder())
    again = answers_of(run)
    assert again.names == whole.names
    assert (again.predicted_VN == whole.predicted_VN).all()
    assert len(loaded) == 2


def test_what_was_judged_before_a_stop_is_kept(unjudged: dict[str, Run]) -> None:
    run = unjudged["frozen"]
    with pytest.raises(StopTrainingError):
        judge_runs([run], corruption_test, 0, Recorder(stop_at=("progress", 1)))
    part = answers_of(run)
    assert 0 < part.num_done < len(corruption_test(run).items)
    judge_runs([run], corruption_test, 0, Recorder())
    assert answers_of(run).names[: part.num_done] == part.names
    assert (answers_of(run).predicted_VN[:, : part.num_done] == part.predicted_VN).all()


def test_what_takes_long_is_asked_after_the_first_images(unjudged: dict[str, Run]) -> None:
    left = judge_runs(list(unjudged.values()), corruption_test, 0, Recorder(), ask_seconds=0.0)
    assert left > 0
    assert {answers_of(run).num_done for run in unjudged.values()} == {2}
    assert judge_runs(list(unjudged.values()), corruption_test, 0, Recorder(), 600.0) == 0
    assert all(answers_of(run).num_done > 2 for run in unjudged.values())


def test_progress_is_told(unjudged: dict[str, Run]) -> None:
    recorder = Recorder()
    judge_runs([unjudged["full"]], corruption_test, 4, recorder)
    told = [dict(event.values) for event in recorder.of_kind("progress")]
    assert told[-1] == {"task": "judging full", "done": 4, "total": 4}
    assert [one["done"] for one in told] == [2, 4]


def test_damaged_answers_are_found_anew(runs: dict[str, Run], store: Store) -> None:
    run = runs["full"]
    whole, file = answers_of(run), answers_file(run, corruption_test(run))
    file.write_bytes(file.read_bytes()[:100])
    assert shift_of([report(store, run)]) is None
    judge_runs([run], corruption_test, 0, Recorder())
    assert (answers_of(run).predicted_VN == whole.predicted_VN).all()


# ---- what is missing


@pytest.fixture
def moved(unjudged: dict[str, Run], tmp_path: Path) -> dict[str, Run]:
    """Runs whose images lie where a test may change them."""
    for run in unjudged.values():
        file = run_folder(run.id) / "manifest.json"
        values = json.loads(file.read_text())
        for item in values["val"]:
            target = tmp_path / "moved" / Path(item["path"]).parent.name / Path(item["path"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(item["path"], target)
            item["path"] = str(target)
        file.write_text(json.dumps(values))
    return unjudged


def test_images_that_are_gone_or_changed_are_counted(store: Store, moved: dict[str, Run]) -> None:
    run = moved["frozen"]
    gone, changed, *others = [item.path for item in corruption_test(run).items]
    Path(gone).unlink()
    written_again(changed)
    judge_runs(list(moved.values()), corruption_test, 0, Recorder())
    found = shift(store, list(moved.values()))
    assert found.num_clean == found.num_shifted == len(others)
    [note] = found.notes
    assert note == (
        "2 images are left out that cannot be read or changed since the run, such as "
        f"{gone} (not there)."
    )
    assert [reason for _, reason in answers_of(run).gone] == ["not there", "it has changed"]


def test_without_any_image_there_is_nothing_to_judge(moved: dict[str, Run], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "moved")
    with pytest.raises(DataError, match=r"None of the \d+ images that frozen .* put them back"):
        judge_runs([moved["frozen"]], corruption_test, 0, Recorder())


def test_a_run_without_weights_is_told_and_the_others_are_judged(
    store: Store, unjudged: dict[str, Run]
) -> None:
    frozen, full = unjudged["frozen"], unjudged["full"]
    (run_folder(frozen.id) / "best.safetensors").unlink()
    with pytest.raises(WeightsError, match=rf"The run frozen \({frozen.id}\) has no weights"):
        judge_runs([frozen, full], corruption_test, 2, Recorder())
    found = shift(store, [frozen, full])
    assert [one.report.run.id for one in found.runs] == [full.id]
    assert any("has no weights to judge" in note for note in found.notes)
    [one, other] = judged_runs([report(store, run) for run in (frozen, full)], corruption_test)
    assert (one.num_left, other.is_judged) == (0, True)


# ---- another folder


def other_folder(tmp_path: Path, **classes: Sequence[Path]) -> str:
    folder = tmp_path / "elsewhere"
    for name, files in classes.items():
        (folder / name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder / name)
    return str(folder)


def unseen(name: str, count: int = 5) -> list[Path]:
    return sorted((CLIPART / "val" / name).iterdir())[:count]


def test_a_folder_is_matched_by_class_names(
    store: Store, runs: dict[str, Run], tmp_path: Path
) -> None:
    folder = other_folder(
        tmp_path, fruit=unseen("fruit"), vehicles=unseen("vehicles", 4), boats=unseen("birds", 3)
    )
    chosen = list(runs.values())
    judge_runs(chosen, maker_of_tests(folder), 0, Recorder())
    found = shift(store, chosen, folder)
    assert (found.folder, found.num_shifted) == (folder, 9)
    assert found.notes == (
        "3 images of the class 'boats' are left out: the run does not know such a class.",
        "There are no images of the class 'birds' in the folder.",
    )
    # Held against validation images of the same classes, as the run recorded them.
    for one in found.runs:
        predictions = one.report.predictions()
        assert predictions is not None
        of_both = predictions.labels_N != 0
        right = (predictions.predicted_N == predictions.labels_N)[of_both]
        assert one.clean.value == pytest.approx(right.mean())
        assert one.versions == (CLEAN,)
    [pair] = found.pairs
    assert pair.num_shifted == 9
    assert pair.kinds == ()


def test_a_run_without_a_record_of_such_images_is_left_out_and_told(
    store: Store, runs: dict[str, Run], tmp_path: Path
) -> None:
    folder = other_folder(tmp_path, fruit=unseen("fruit"), vehicles=unseen("vehicles"))
    chosen = list(runs.values())
    judge_runs(chosen, maker_of_tests(folder), 0, Recorder())
    (run_folder(runs["full"].id) / "predictions.npz").unlink()
    found = shift(store, chosen, folder)
    assert [one.report.run.name for one in found.runs] == ["frozen"]
    assert found.notes[-1].startswith(f"full ({runs['full'].id}) is left out: it has no record")


def test_labels_are_those_of_the_run(runs: dict[str, Run], tmp_path: Path) -> None:
    folder = other_folder(tmp_path, fruit=unseen("fruit"), vehicles=unseen("vehicles"))
    test = folder_test(runs["full"], other_images(folder))
    for item, label in zip(test.items, test.labels, strict=True):
        assert Path(item.path).parent.name == label == TINY_CLASSES[item.label]


def test_images_that_were_learnt_from_are_no_test(
    store: Store, runs: dict[str, Run], tmp_path: Path
) -> None:
    run = runs["frozen"]
    manifest = json.loads((run_folder(run.id) / "manifest.json").read_text())
    learnt = [Path(one["path"]) for one in manifest["train"] if one["label"] == 1]
    validated = [Path(one["path"]) for one in manifest["val"] if one["label"] == 1]
    copy = tmp_path / "copy.jpg"
    shutil.copy(unseen("vehicles")[0], copy)
    folder = other_folder(
        tmp_path, fruit=[*learnt, validated[0]], vehicles=[*unseen("vehicles"), copy]
    )
    test = folder_test(run, other_images(folder))
    assert len(test.items) == 6
    assert test.notes == (
        "There are no images of the class 'birds' in the folder.",
        f"{len(learnt)} images are left out: the run learnt from the same files, so they would be "
        "no test.",
        "1 image is among the run's validation images, too: its best epoch was chosen by them, "
        "and they are not shifted.",
        "1 image is a copy of another; each content counts once.",
    )
    with pytest.raises(DataError, match=r"All \d+ images of .* learnt from, so they are no test"):
        folder_test(run, other_images(run.spec.data.folder + "/../only"))


@pytest.fixture(autouse=True, scope="module")
def _only_learnt(trained: Path) -> None:
    """A folder in which there is nothing but what the runs learnt from."""
    [manifest, *_] = (trained / "home" / "runs").glob("*/manifest.json")
    for item in json.loads(manifest.read_text())["train"]:
        target = trained / "only" / TINY_CLASSES[item["label"]]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(item["path"], target)


def test_a_folder_with_other_classes_is_refused(runs: dict[str, Run], tmp_path: Path) -> None:
    folder = other_folder(tmp_path, Fruit=unseen("fruit"), boats=unseen("birds"))
    with pytest.raises(DataError, match=r"None of the classes 'Fruit', 'boats' of .* is a class"):
        folder_test(runs["full"], other_images(folder))


def test_files_that_are_no_pictures_are_counted(runs: dict[str, Run], tmp_path: Path) -> None:
    folder = other_folder(tmp_path, fruit=unseen("fruit"), birds=unseen("birds"))
    (Path(folder) / "fruit" / "broken.jpg").write_bytes(b"no picture")
    notes = folder_test(runs["full"], other_images(folder)).notes
    assert notes[-1] == ("1 file of the folder cannot be used; the Data page says which and why.")


# ---- a process of its own


def test_judging_in_a_process_of_its_own(unjudged: dict[str, Run], store: Store) -> None:
    chosen = list(unjudged.values())
    start_shift(chosen, images=2)
    state = shift_state(chosen[::-1])
    assert state is not None
    assert state.is_working
    ended = wait_for(
        lambda: s if (s := shift_state(chosen)) is not None and not s.is_working else None,
        200,
        "judging",
    )
    assert (ended.status, ended.reason, ended.result) == ("finished", "", {"seconds_left": 0.0})
    assert shift(store, chosen).num_shifted == 2


def test_the_process_ends_when_asked_to_and_fails_in_a_sentence(
    unjudged: dict[str, Run], tmp_path: Path
) -> None:
    chosen = [unjudged["full"]]

    def order(folder: str) -> str:
        key = shift_key(chosen, folder)
        values = {"runs": [chosen[0].id], "folder": folder, "images": 0, "asks": True}
        shift_work(key).order_file.write_text(json.dumps(values))
        return key

    key = order("")
    stop_shift(chosen)
    shift_worker.main(key)
    state = shift_state(chosen)
    assert state is not None
    assert state.status == "stopped"
    nowhere = str(tmp_path / "nowhere")
    shift_worker.main(order(nowhere))
    state = shift_state(chosen, nowhere)
    assert state is not None
    assert state.status == "failed"
    assert state.reason.startswith("There is no folder")


def test_what_stands_for_the_work_does_not_depend_on_the_order(runs: dict[str, Run]) -> None:
    frozen, full = runs["frozen"], runs["full"]
    assert shift_key([frozen, full]) == shift_key([full, frozen])
    assert len({shift_key([frozen]), shift_key([frozen, full]), shift_key([frozen], "a")}) == 3


# ---- thaw shift


@pytest.mark.slow
def test_the_command_prints_what_was_found(runs: dict[str, Run]) -> None:
    ids = [run.id for run in runs.values()]
    printed = document(thaw("shift", *ids, "--json"))
    assert [one["run_id"] for one in printed["runs"]] == ids
    assert printed["severities"] == list(SEVERITIES)
    [pair] = printed["pairs"]
    assert {pair["first"], pair["second"]} == {"Frozen", "Full"}
    assert set(pair["clean"]) >= {"value", "low", "high", "p_value", "adjusted_p_value", "is_real"}
    [verdict] = printed["verdicts"]
    assert "images as they are" in verdict
    text = thaw("shift", *ids).stdout
    assert "mean of 25" in text
    assert "frozen" in text


def test_the_command_judges_on_a_folder(runs: dict[str, Run], tmp_path: Path) -> None:
    folder = other_folder(tmp_path, fruit=unseen("fruit"), birds=unseen("birds"))
    ids = [run.id for run in runs.values()]
    printed = document(thaw("shift", *ids, "--data", folder, "--images", "4", "--json"))
    assert (printed["folder"], printed["shifted_images"]) == (folder, 4)
    assert printed["notes"][-1].startswith("4 of 10 images are judged so far")
    assert "There is no folder" in refusal(thaw("shift", ids[0], "--data", str(tmp_path / "no")))
