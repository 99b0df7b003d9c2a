"""The search for doubts in a process of its own, what is kept, and `thaw inspect --doubts`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.data.findings import Picture, remedies_for
from engine.data.manifest import build_manifest
from engine.data.remedies import Action, record_remedies
from engine.runs import background, doubts_worker
from engine.runs.background import WorkState
from engine.runs.doubts import (
    MODULE,
    DoubtsState,
    doubts_key,
    doubts_state,
    doubts_work,
    keep_doubts,
    known_doubts,
    start_doubts,
    stop_doubts,
)
from engine.spec import DataSpec
from engine.training.doubts_record import Doubts, Outlier, WrongLabel
from tests.engine.commands import document, refusal, thaw
from tests.engine.waiting import wait_for

BACKBONE = "efficientnet_lite0"


@pytest.fixture
def data(own_folder: Path) -> DataSpec:
    return DataSpec(folder=str(own_folder))


@pytest.fixture
def some(own_folder: Path) -> Doubts:
    """Doubts as they might have been found."""
    wrong = Picture(str(own_folder / "birds" / "a.jpg"), "birds", "train", "d1", "fruit")
    odd = Picture(str(own_folder / "fruit" / "b.jpg"), "fruit", "val", "d2")
    return Doubts(
        BACKBONE, 24, 24, (), 0.75, (WrongLabel(wrong, 0.01, 0.9),), (Outlier(odd, 3.0),), 1.5
    )


@pytest.fixture
def _restored_torch() -> Any:
    yield
    torch.use_deterministic_algorithms(False)


def state_of(key: str) -> DoubtsState:
    state = doubts_state(key)
    assert state is not None
    return state


# ---- what counts as the same


def test_how_pictures_are_split_makes_no_other_doubts(data: DataSpec) -> None:
    other = data.model_copy(update={"split_seed": 5, "val_fraction": 0.4})
    assert doubts_key(other) == doubts_key(data)
    assert doubts_key(data, f"bundled/{BACKBONE}") == doubts_key(data)


def test_what_doubts_depend_on_gives_another_key(data: DataSpec, tmp_path: Path) -> None:
    folder = Path(data.folder)
    before = doubts_key(data)
    assert doubts_key(data, "resnet18") != before
    # Their paths are kept.
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert doubts_key(DataSpec(folder=str(copy))) != before
    picture = next((folder / "birds").iterdir())
    picture.rename(folder / "fruit" / "moved.jpg")
    moved = doubts_key(data)
    (folder / "fruit" / "moved.jpg").unlink()
    assert len({before, moved, doubts_key(data)}) == 3


def test_a_correction_gives_another_key_and_a_word_of_approval_does_not(data: DataSpec) -> None:
    folder = Path(data.folder)
    item = build_manifest(data).train[0]
    picture = Picture(item.path, digest=item.digest)
    keys = [doubts_key(data)]
    decisions: tuple[tuple[Action, str], ...] = (
        ("keep", "outlier"),
        ("relabel", "fruit"),
        ("exclude", ""),
    )
    for action, detail in decisions:
        name = record_remedies(folder, remedies_for([picture], folder, action, detail))
        keys.append(doubts_key(data.model_copy(update={"remedies": name})))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


# ---- start, follow, stop


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been started, instead of starting it."""
    commands: list[list[str]] = []
    monkeypatch.setattr(background, "start_detached", lambda line, log: commands.append(line))
    return commands


def test_there_is_no_state_before_the_first_start(data: DataSpec) -> None:
    assert doubts_state(doubts_key(data)) is None


def test_what_was_found_is_kept(data: DataSpec, some: Doubts) -> None:
    key = doubts_key(data)
    keep_doubts(key, some)
    assert state_of(key) == DoubtsState("finished", doubts=some)
    assert known_doubts(key) == some


def test_a_start_leaves_the_order_for_one_process(
    data: DataSpec, started: list[list[str]], some: Doubts
) -> None:
    key = doubts_key(data)
    keep_doubts(key, some)
    stop_doubts(key)
    start_doubts(key, data)
    start_doubts(key, data)
    assert started == [[MODULE, key]]
    order = json.loads(doubts_work(key).order_file.read_text())
    assert order == {"data": data.model_dump(), "backbone": BACKBONE}
    assert state_of(key).is_working
    assert known_doubts(key) is None
    assert not doubts_work(key).stop_file.exists()


@pytest.mark.parametrize("result", [None, {}, {"wrong_labels": 3}, {"wrong_labels": [{}]}])
def test_a_damaged_result_is_as_good_as_none(data: DataSpec, result: Any) -> None:
    key = doubts_key(data)
    doubts_work(key).keep(WorkState("finished", result=result))
    assert doubts_state(key) is None


# ---- the process


def order(data: DataSpec, backbone: str = BACKBONE) -> str:
    """The key of a search whose process is about to begin."""
    key = "0123456789abcdef"
    text = json.dumps({"data": data.model_dump(), "backbone": backbone})
    doubts_work(key).order_file.write_text(text)
    return key


def test_a_search_in_a_process_of_its_own(data: DataSpec) -> None:
    key = doubts_key(data)
    start_doubts(key, data)
    assert state_of(key).is_working
    ended = wait_for(lambda: None if state_of(key).is_working else state_of(key), 200, "doubts")
    assert ended.status == "finished", ended.reason
    assert ended.doubts is not None
    assert (ended.doubts.num_pictures, ended.doubts.num_judged) == (24, 24)
    # What is kept is what the command shows, without looking again.
    command = thaw("inspect", data.folder, "--doubts", "--json")
    assert document(command)["doubts"] == json.loads(json.dumps(ended.doubts.to_dict()))


@pytest.mark.usefixtures("_restored_torch")
def test_the_process_ends_when_asked_to(data: DataSpec) -> None:
    key = order(data)
    stop_doubts(key)
    assert doubts_worker.main(key) == 0
    assert (state_of(key).status, state_of(key).doubts) == ("stopped", None)


def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    key = order(DataSpec(folder=str(tmp_path / "nowhere")))
    doubts_worker.main(key)
    state = state_of(key)
    assert state.status == "failed"
    assert "There is no folder" in state.reason
    assert "nowhere" in state.reason


@pytest.mark.usefixtures("_restored_torch")
def test_missing_weights_are_a_sentence(
    data: DataSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("there is no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    key = order(data, "resnet18")
    doubts_worker.main(key)
    assert state_of(key).status == "failed"
    assert "resnet18" in state_of(key).reason
    assert "Error" not in state_of(key).reason


def test_any_other_fault_names_its_kind_and_the_log(
    data: DataSpec, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fall_over(*_: Any) -> None:
        raise KeyError("boom")

    monkeypatch.setattr("engine.training.doubts.find_doubts", fall_over)
    key = order(data)
    doubts_worker.main(key)
    assert state_of(key).reason == (
        f"Looking for doubts failed with KeyError; the traceback is in {doubts_work(key).log_file}."
    )
    assert "boom" in capfd.readouterr().err


# ---- thaw inspect --doubts


def test_the_command_prints_doubts_that_are_known(data: DataSpec, some: Doubts) -> None:
    keep_doubts(doubts_key(data), replace(some, small_classes=("vehicles",)))
    printed = thaw("inspect", data.folder, "--doubts").stdout
    assert "? 1 picture looks like another class than its own" in printed
    assert f"{data.folder}/birds/a.jpg  is it 'fruit'?" in printed
    assert "· 1 picture is like no other here" in printed
    assert f"{data.folder}/fruit/b.jpg" in printed
    assert "24 labels were judged by what efficientnet_lite0 sees" in printed
    assert "it would have guessed 75.0 %." in printed
    assert "Too few pictures to judge a label by are in the class 'vehicles'." in printed
    assert "looks like another class" not in thaw("inspect", data.folder).stdout
    assert "doubts" not in document(thaw("inspect", data.folder, "--json"))


def test_what_a_person_said_is_right_is_not_shown(data: DataSpec) -> None:
    folder = Path(data.folder)
    one, other = build_manifest(data).train[:2]
    doubtful = [Picture(item.path, "birds", "train", item.digest) for item in (one, other)]
    keep_doubts(
        doubts_key(data),
        Doubts(BACKBONE, 24, 24, (), 0.5, (), tuple(Outlier(each, 3.0) for each in doubtful), 1.0),
    )
    record_remedies(folder, remedies_for(doubtful[:1], folder, "keep", "outlier"))
    shown = document(thaw("inspect", data.folder, "--doubts", "--json"))["doubts"]["outliers"]
    assert [entry["picture"]["path"] for entry in shown] == [other.path]


@pytest.mark.slow
def test_the_command_looks_once(data: DataSpec) -> None:
    found = document(thaw("inspect", data.folder, "--doubts", "--json"))["doubts"]
    known = known_doubts(doubts_key(data))
    assert known is not None
    assert json.loads(json.dumps(known.to_dict())) == found
    assert document(thaw("inspect", data.folder, "--doubts", "--json"))["doubts"] == found


def test_what_cannot_be_asked_for_is_a_sentence(data: DataSpec) -> None:
    alone = thaw("inspect", data.folder, "--backbone", "resnet18")
    assert "give --doubts, too" in refusal(alone)
    unknown = thaw("inspect", data.folder, "--doubts", "--backbone", "no_such_network")
    assert "no_such_network" in refusal(unknown)
