"""Whether new images are like the old ones, on a page: asked, at work, failed, and done."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine.runs.background
from dashboard.drift_charts import ALL_CLASSES, auc_figure, norms_figure
from engine.data.manifest import MANIFEST_FILE, Manifest, build_manifest
from engine.files import write_text
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.batch_drift import BatchDrift, ClassDrift, FarImage, NewClass
from engine.insight.batch_work import BatchCheck, batch_check, batch_work, keep_drift
from engine.insight.intervals import Estimate
from engine.insight.norm_shift import NormLayer, NormShift
from engine.insight.two_samples import Alikeness
from engine.runs.background import WorkState
from engine.runs.store import Run, Store
from engine.spec import DataSpec
from tests.conftest import CLIPART
from tests.dashboard.made import add_run, finish
from tests.dashboard.pages import controls_of, run, text_of


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been started as a process of its own."""
    names: list[str] = []
    monkeypatch.setattr(
        engine.runs.background, "start_detached", lambda line, *_: names.append(line[0])
    )
    return names


@pytest.fixture
def old(store: Store, tiny_folder: Path) -> Run:
    """A finished run on three classes of real pictures, which has kept a model."""
    made = finish(store, add_run(store))
    manifest: Manifest = build_manifest(DataSpec(folder=str(tiny_folder)))
    write_text(run_folder(made.id) / MANIFEST_FILE, json.dumps(manifest.to_dict()))
    (run_folder(made.id) / CHECKPOINT_FILE).write_bytes(b"weights")
    return made


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """More birds, and boats, which are new."""
    folder = tmp_path / "batch"
    for name, source in (("birds", CLIPART), ("boats", CLIPART.parent / "new")):
        (folder / name).mkdir(parents=True)
        for file in sorted((source / "train" / name).iterdir())[-6:]:
            shutil.copy(file, folder / name)
    return folder


def script(run_id: str, folder: str) -> None:
    from pathlib import Path

    from dashboard.drift_section import drift_section

    drift_section(run_id, Path(folder))


def opened(old: Run, batch: Path) -> AppTest:
    arguments = {"run_id": old.id, "folder": str(batch)}
    return run(AppTest.from_function(script, kwargs=arguments, default_timeout=30))


def written(page: AppTest) -> str:
    return text_of(page).replace("\\", "")


def found_of(check: BatchCheck, differs: bool) -> BatchDrift:
    """What a check might have come to, about the pictures that are there."""
    auc = Estimate(0.97, 0.94, 0.99) if differs else Estimate(0.52, 0.41, 0.63)
    one = Alikeness(0.2 if differs else 0.0, 0.001 if differs else 0.4, auc, (40, 30))
    finding = "differs" if differs else "alike"
    paths = [item.path for item in check.new.items]
    far = tuple(FarImage(path, "birds", 2.5, 1.0, check.old.items[0].path) for path in paths)
    layers = tuple(NormLayer(f"bn{place}", 0.1, 0.3, 1.0, 0.5) for place in (1, 2))
    ends = Estimate(0.1, 0.08, 0.12), Estimate(0.3, 0.25, 0.35), Estimate(0.2, 0.15, 0.25)
    return BatchDrift(
        run_id=check.run.id,
        folder=check.folder,
        backbone="EfficientNet-Lite0",
        started_from="weights.pth, as published",
        num_old=24,
        num_new=12,
        overall=one,
        num_shared=1,
        overall_finding=finding,
        whole=one,
        classes=(
            ClassDrift("birds", "birds", 40, 30, one, one.p, finding, 0.1, 0.3),
            ClassDrift("fruit", "fruit", 8, 3, None, None, "too few"),
        ),
        absent=("vehicles",),
        new_classes=(NewClass("boats", 6, (("vehicles", 1.0),), None, "too few", 0.3),),
        norms=NormShift(layers, *ends),
        why_no_norms="",
        far=far,
        usual={"birds": (check.old.items[0].path,)},
        notes=("5 images of the folder are left out.",),
        seconds=3.0,
    )


def test_it_is_worked_out_when_asked(old: Run, batch: Path, asked: list[str]) -> None:
    page = opened(old, batch)
    assert asked == []
    [button] = page.button
    assert button.label == "Check the new images"
    assert "36 images" in button.help
    button.click()
    run(page)
    assert asked == ["engine.insight.batch_worker"]
    assert [one.label for one in page.button] == ["Stop"]


def test_how_far_it_is_is_shown_and_it_can_be_stopped(old: Run, batch: Path) -> None:
    work = batch_work(batch_check(old, str(batch)).key)
    work.keep(WorkState(task="looking at old images", done=7, total=24))
    page = opened(old, batch)
    assert "Looking at old images: 7 of 24" in written(page)
    page.button[0].click()
    run(page)
    assert work.stop_file.exists()


def test_a_failure_is_a_sentence_and_can_be_tried_again(old: Run, batch: Path) -> None:
    reason = "One of the old images can no longer be read."
    batch_work(batch_check(old, str(batch)).key).keep(WorkState("failed", "", reason=reason))
    page = opened(old, batch)
    assert reason in written(page)
    assert [one.label for one in page.button] == ["Check the new images"]


def test_a_batch_that_differs_is_a_warning_with_all_that_was_found(old: Run, batch: Path) -> None:
    check = batch_check(old, str(batch))
    keep_drift(check, found_of(check, differs=True))
    page = opened(old, batch)
    assert page.warning[0].value.startswith("**The new images are nothing like the old ones**")
    assert "**birds** (AUC 0.97) differs" in page.warning[0].value
    assert "the new ones lie farther, by 0.20" in page.warning[0].value
    table = page.dataframe[0].value
    assert list(table["finding"]) == ["differs", "too few images", "new; 100.0 % nearest vehicles"]
    text = written(page)
    assert "No new images of: vehicles." in text
    assert "5 images of the folder are left out." in text
    assert text.count("2.5 × as far as usual") == 6
    assert "cannot be read here" not in text
    assert all(control.help for control in controls_of(page))
    [box] = page.selectbox
    box.set_value("birds")
    run(page)
    assert "Usual old images" in written(page)


def test_a_batch_that_is_alike_is_no_warning(old: Run, batch: Path) -> None:
    check = batch_check(old, str(batch))
    keep_drift(check, replace(found_of(check, differs=False), norms=None, why_no_norms="No norm."))
    page = opened(old, batch)
    assert not page.warning
    assert page.success[0].value.startswith("**The new images are not told from the old ones**")
    assert "No norm." in written(page)


def test_pictures_that_are_gone_are_counted(old: Run, batch: Path) -> None:
    check = batch_check(old, str(batch))
    found = found_of(check, differs=True)
    gone = replace(found.far[0], path="/gone.jpg")
    keep_drift(check, replace(found, far=(gone,)))
    assert "1 of these images cannot be read here" in written(opened(old, batch))


def test_names_that_are_close_are_asked_for(old: Run, batch: Path) -> None:
    (batch / "birds").rename(batch / "bird")
    page = opened(old, batch)
    assert "Say first which of the model's classes it is" in written(page)
    assert not page.button


def test_what_cannot_be_compared_is_a_sentence(
    old: Run, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_ROOTS", str(tmp_path / "elsewhere"))
    assert "lies outside the folders" in written(opened(old, batch))
    monkeypatch.setenv("THAW_ROOTS", "/")
    (run_folder(old.id) / CHECKPOINT_FILE).unlink()
    assert "has kept no model" in written(opened(old, batch))


def test_the_charts_show_each_class_and_each_layer(old: Run, batch: Path) -> None:
    found = found_of(batch_check(old, str(batch)), differs=True)
    figure = auc_figure(found)
    assert list(figure.layout.yaxis.ticktext) == [ALL_CLASSES, "birds"]
    assert list(figure.data[0].x) == [0.97, 0.97]
    assert list(figure.data[0].error_x.array) == pytest.approx([0.02, 0.02])
    shifts = [one for one in norms_figure(found).data if one.yaxis == "y"]
    assert [list(one.y) for one in shifts] == [[0.1, 0.1], [0.3, 0.3]]
