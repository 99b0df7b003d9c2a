"""A run goes to another machine in one file, and is the same there."""

import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.errors import RunFileError
from engine.home import run_folder
from engine.insight.blends import kept_blend
from engine.insight.compare import report
from engine.runs import worker
from engine.runs.exporting import IMPORTED, export_run, file_name
from engine.runs.importing import import_file, is_from_elsewhere
from engine.runs.run_file import RunDocument, member_kind
from engine.runs.store import Run, Store
from engine.training.checkpoint import load_checkpoint
from engine.training.curves import read_curve
from engine.training.elsewhere import FROM_ELSEWHERE
from engine.training.state import state_files
from tests.engine.commands import document, refusal, thaw
from tests.engine.moved import (
    HOST,
    SETTINGS,
    SLOWER,
    at_home,
    copied,
    exported,
    run_called,
    train_all,
)
from tests.engine.specs import tiny_spec


@pytest.fixture(scope="module")
def photos(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(tiny_folder, tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def there(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The THAW_HOME of the other machine."""
    home = tmp_path_factory.mktemp("there") / "home"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THAW_HOME", str(home))
        train_all(photos)
    return home


@pytest.fixture
def store(thaw_home: Path) -> Iterator[Store]:
    """The store here, which is empty."""
    opened = Store()
    yield opened
    opened.close()


def told(store: Store, run: Run) -> dict[str, Any]:
    """All that is told of a run, but for where its checkpoint lies."""
    values = report(store, run).to_dict()
    values["checkpoint"] = Path(values["checkpoint"] or "none").name
    return values


def events(store: Store, run: Run) -> list[tuple[Any, ...]]:
    return [
        (e.seq, e.time, e.kind, e.epoch, e.step, e.values)
        for e in store.events(run.id)
        # What a status says may name a folder.
        if "reason" not in e.values
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_is_the_same_there(name: str, there: Path, tmp_path: Path, store: Store) -> None:
    file = exported(there, name, tmp_path)
    imported = import_file(store, file)
    with at_home(there) as other:
        ours, theirs = imported.run, run_called(other, name)
        known = told(other, theirs), events(other, theirs), other.acts(theirs.id)
        predictions = report(other, theirs).predictions()
        names = {one.name for one in run_folder(theirs.id).iterdir()}
    if name == "failed":
        known[0]["reason"] = ours.reason
    assert imported.outcome == "added"
    assert (told(store, ours), events(store, ours), store.acts(ours.id)) == known
    for mark in ("id", "name", "note", "tags", "starred", "group_id", "created_at", "last_seq"):
        assert getattr(ours, mark) == getattr(theirs, mark), mark
    here = report(store, ours).predictions()
    assert predictions is not None
    assert here is not None
    assert np.array_equal(here.probabilities_NK, predictions.probabilities_NK)
    left = {one for one in names if (kind := member_kind(one)) is None or kind.name == "state"}
    assert {one.name for one in run_folder(ours.id).iterdir()} == names - left
    assert is_from_elsewhere(ours)
    assert not is_from_elsewhere(theirs)


def test_what_was_steered_and_said_goes_along(there: Path, tmp_path: Path, store: Store) -> None:
    run = import_file(store, exported(there, "frozen", tmp_path)).run
    assert (run.starred, run.tags, run.note) == (True, ("paper", "ü"), "why\nit won")
    assert store.acts(run.id) == [(1, SLOWER)]
    [act] = report(store, run).acts
    assert act.values["factor"] == 0.5


def logits(folder: Path, photo: Path) -> torch.Tensor:
    model, header = load_checkpoint(folder / "best.safetensors")
    pixels_HWC = np.asarray(Image.open(photo).convert("RGB").resize((64, 64)), dtype=np.float32)
    mean, std = torch.tensor(header.mean), torch.tensor(header.std)
    image_HWC = (torch.from_numpy(pixels_HWC) / 255 - mean) / std
    with torch.no_grad():
        answer: torch.Tensor = model(image_HWC.permute(2, 0, 1).unsqueeze(0))
    return answer


@pytest.mark.parametrize("name", ["frozen", "whole"])
def test_the_checkpoint_says_the_same_bit_for_bit(
    name: str, there: Path, photos: Path, tmp_path: Path, store: Store
) -> None:
    run = import_file(store, exported(there, name, tmp_path)).run
    assert run.summary["checkpoint"] == str(run_folder(run.id) / "best.safetensors")
    photo = next(photos.rglob("*.jpg"))
    ours = logits(run_folder(run.id), photo)
    assert ours.shape == (1, 3)
    assert torch.equal(ours, logits(there / "runs" / run.id, photo))


def test_curves_and_kept_blends_go_along(there: Path, tmp_path: Path, store: Store) -> None:
    run = import_file(store, exported(there, "tuned", tmp_path)).run
    with at_home(there) as other:
        theirs = run_called(other, "tuned")
        curve, blend = read_curve(run_folder(theirs.id)), kept_blend(theirs.id, 0.5)
    assert read_curve(run_folder(run.id)) == curve is not None
    kept = kept_blend(run.id, 0.5)
    assert kept is not None
    assert blend is not None
    assert (kept.run_id, kept.val_accuracy) == (run.id, blend.val_accuracy)
    assert kept.checkpoint == str(run_folder(run.id) / "alpha-0.5.safetensors")


def test_the_file_follows_from_the_run_alone(there: Path, tmp_path: Path, store: Store) -> None:
    first, second = tmp_path / "first.thaw", tmp_path / "second.thaw"
    with at_home(there) as other:
        run = run_called(other, "tuned")
        export_run(other, run, first)
        export_run(other, run, second)
    assert first.read_bytes() == second.read_bytes()
    ours = import_file(store, first).run
    export_run(store, ours, second)
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other_one:
        # What came in goes out again as it was.
        assert one.read("run.json") == other_one.read("run.json")


def test_nothing_of_the_machine_leaks(there: Path, tmp_path: Path, photos: Path) -> None:
    person = there.parent
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOME", str(person))
        environment.setenv("HF_TOKEN", "hf_secret")
        file = exported(there, "failed", tmp_path)
    with zipfile.ZipFile(file) as packed:
        texts = {name: packed.read(name) for name in packed.namelist()}
    assert sorted(texts) == [
        *("best.safetensors", "events.jsonl", "manifest.json", "predictions.npz"),
        *("run.json", "spec.json", "weights.json"),
    ]
    for secret in (str(person), HOST, "hf_secret", "Traceback", "test_transfer.py"):
        assert [name for name, text in texts.items() if secret.encode() in text] == [], secret
    reason = json.loads(texts["run.json"])["run"]["reason"]
    assert reason == (
        "Training failed with RuntimeError: no luck; the traceback is in traceback.txt on the "
        "machine where it ran."
    )


# ---- twice, and beside others


def test_the_same_run_twice_is_said_and_nothing_done(
    there: Path, tmp_path: Path, store: Store
) -> None:
    file = exported(there, "whole", tmp_path, with_states=True)
    run = import_file(store, file).run
    store.mark(run.id, name="mine", tags=["x"])
    again = import_file(store, file)
    assert (again.outcome, again.run.id, again.run.name) == ("known", run.id, "mine")
    assert "is here already; nothing was changed" in again.sentence
    assert len(store.all_runs()) == 1
    with at_home(there) as other:
        assert import_file(other, file).outcome == "known"


def test_another_run_of_the_id_makes_it_a_new_one(
    there: Path, tmp_path: Path, store: Store
) -> None:
    file = exported(there, "tuned", tmp_path)
    [own] = store.add_runs([("own", tiny_spec("photos"))])
    with at_home(there) as other:
        wanted = run_called(other, "tuned").id
    with sqlite3.connect(tmp_path / "thaw-home" / "thaw.db") as connection:
        connection.execute("update events set run_id = ?", (wanted,))
        connection.execute("update runs set id = ?", (wanted,))
    assert own.id != wanted
    imported = import_file(store, file)
    assert imported.outcome == "renamed"
    assert imported.run.id not in (wanted, own.id)
    assert f"another run has {wanted} here" in imported.sentence
    assert store.run(wanted).name == "own"
    assert imported.run.summary["checkpoint"] == str(
        run_folder(imported.run.id) / "best.safetensors"
    )
    kept = kept_blend(imported.run.id, 0.5)
    assert kept is not None
    assert kept.run_id == imported.run.id
    assert import_file(store, file).outcome == "known"
    # So it is when the one that had the id comes second.
    assert len(store.all_runs()) == 2


def test_runs_side_by_side_have_colours_of_their_own(
    there: Path, tmp_path: Path, store: Store
) -> None:
    runs = [
        import_file(store, exported(there, name, tmp_path)).run
        for name in ("whole", "stopped", "failed")
    ]
    assert len({run.colour for run in runs}) == 3
    [own] = store.add_runs([("own", tiny_spec("photos", {"strategy.name": "full"}))])
    store.mark(own.id, note="makes the next colour")
    shutil.rmtree(run_folder(runs[0].id))
    assert store.run(runs[0].id).colour == runs[0].colour


def test_a_folder_without_a_row_is_left_alone(there: Path, tmp_path: Path, store: Store) -> None:
    file = exported(there, "frozen", tmp_path)
    with at_home(there) as other:
        folder = tmp_path / "thaw-home" / "runs" / run_called(other, "frozen").id
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("of another store")
    assert import_file(store, file).outcome == "renamed"
    assert (folder / "mine.txt").read_text() == "of another store"


# ---- going on


def resumed(store: Store, run: Run) -> Run:
    assert store.reopen(run.id)
    store.set_status(run.id, "running")
    worker.main(run.id)
    return store.run(run.id)


@pytest.mark.parametrize("name", ["stopped", "failed"])
def test_with_its_states_it_goes_on_to_the_same_numbers(
    name: str, there: Path, tmp_path: Path, store: Store
) -> None:
    run = import_file(store, exported(there, name, tmp_path, with_states=True)).run
    assert [file.name for file in state_files(run_folder(run.id))] == [
        "state-000002.safetensors",
        "state-000001.safetensors",
    ]
    ended = resumed(store, run)
    assert (ended.status, ended.reason) == ("finished", "")
    assert not (run_folder(run.id) / FROM_ELSEWHERE).exists()
    if name == "stopped":
        with at_home(there) as other:
            whole = told(other, run_called(other, "whole"))
        ours = told(store, ended)
        for key in ("val_accuracy", "val_loss", "train_loss"):
            assert [e[key] for e in ours["epochs"]] == [e[key] for e in whole["epochs"]]


def test_it_does_not_go_on_with_other_images(
    there: Path, photos: Path, tmp_path: Path, store: Store
) -> None:
    run = import_file(store, exported(there, "stopped", tmp_path, with_states=True)).run
    away = photos.rename(photos.with_name("away"))
    try:
        gone = resumed(store, run)
        assert gone.status == "failed"
        assert str(photos) in gone.reason
        shutil.copytree(away, photos)
        one, other = sorted((photos / "birds").iterdir())[:2]
        shutil.copy(other, one)
        changed = resumed(store, run)
        assert changed.status == "failed"
        assert "are not those that this run learned from" in changed.reason
        assert len(store.epochs(run.id)) == 2
    finally:
        shutil.rmtree(photos, ignore_errors=True)
        away.rename(photos)
    assert resumed(store, run).status == "finished"


# ---- what is refused


def test_a_run_that_goes_on_is_not_exported(tmp_path: Path, store: Store) -> None:
    [run] = store.add_runs([("own", tiny_spec("photos"))])
    with pytest.raises(RunFileError, match=r"is queued; only a run that has ended can be exported"):
        export_run(store, run, tmp_path)
    store.set_status(run.id, "running")
    with pytest.raises(RunFileError, match=rf"is running; .* thaw stop {run.id}\."):
        export_run(store, store.run(run.id), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["thaw-home"]


def test_a_run_that_never_began_can_be_exported(tmp_path: Path, store: Store) -> None:
    [run] = store.add_runs([("<own>/..", tiny_spec("photos"))])
    store.request_stop(run.id)
    file = export_run(store, store.run(run.id), tmp_path)
    assert file.name == f"own-{run.id}.thaw" == file_name(run)
    with at_home(tmp_path / "elsewhere") as other:
        came = import_file(other, file).run
        assert (came.status, came.reason) == ("stopped", "stopped before it started")
        assert "checkpoint" not in came.summary


def test_an_export_that_cannot_be_written_leaves_what_was_there(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported(there, "frozen", tmp_path)
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFileError, match=r"No space left on device.*room on the disk"):
        exported(there, "frozen", tmp_path)
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_a_deleted_run_comes_in_as_one_that_is_there(there: Path, tmp_path: Path) -> None:
    home = copied(there, tmp_path / "copy")
    with at_home(home) as other:
        run = run_called(other, "frozen")
        other.mark(run.id, archived=True)
        other.delete(run.id)
        file = export_run(other, other.run(run.id), tmp_path)
    with at_home(tmp_path / "elsewhere") as here:
        came = import_file(here, file).run
        assert (came.deleted_at, came.archived) == (None, False)
        assert [one.id for one in here.all_runs()] == [run.id]


def test_paths_of_windows_stay_as_they_are() -> None:
    spec = tiny_spec("C:\\Users\\me\\photos")
    assert spec.data.folder == "C:\\Users\\me\\photos"
    assert tiny_spec("photos").data.folder == str(Path("photos").absolute())


# ---- the command line


@pytest.mark.slow
def test_from_the_command_line(there: Path, tmp_path: Path, thaw_home: Path) -> None:
    with at_home(there) as other:
        ids = [run_called(other, name).id for name in ("frozen", "whole")]
    files = []
    for run_id in ids:
        home = {"THAW_HOME": str(there)}
        done = document(thaw("export", run_id[:6], str(tmp_path), "--json", **home))
        files.append(done["file"])
        assert done["bytes"] == Path(done["file"]).stat().st_size
    came = document(thaw("import", *files, "--json"))
    assert [(one["run_id"], one["outcome"]) for one in came] == [(i, "added") for i in ids]
    for command in (["runs", "--json"], ["compare", *ids, "--json"]):
        ours, theirs = thaw(*command), thaw(*command, THAW_HOME=str(there))
        kept, known = (_without_places(document(one), ids) for one in (ours, theirs))
        assert kept == known
    assert "is here already; nothing was changed" in thaw("import", files[0]).stdout
    assert "is there already; give another name, or --force" in refusal(
        thaw("export", ids[0], files[0])
    )
    assert thaw("export", ids[0], files[0], "--force").returncode == 0
    both = thaw("import", str(tmp_path / "no.thaw"), files[0])
    assert both.returncode == 1
    assert "no.thaw cannot be read" in both.stderr
    assert "is here already" in both.stdout


def _without_places(values: Any, ids: list[str]) -> Any:
    """Leaves out where checkpoints lie, and runs that are not asked for."""
    if isinstance(values, dict):
        kept = {key: one for key, one in values.items() if key != "checkpoint"}
        return {key: _without_places(one, ids) for key, one in kept.items()}
    if isinstance(values, list):
        asked = (None, *ids)
        kept_ones = [v for v in values if not isinstance(v, dict) or v.get("run_id") in asked]
        return [_without_places(one, ids) for one in kept_ones]
    return values


def test_what_run_json_says_is_read_back(there: Path, tmp_path: Path) -> None:
    file = exported(there, "frozen", tmp_path)
    with zipfile.ZipFile(file) as packed:
        text = packed.read("run.json").decode()
        document = RunDocument.model_validate_json(text)
        assert document.to_json() == text
        assert document.num_events == len(packed.read("events.jsonl").splitlines())
    assert IMPORTED not in document.run.summary.plain()
