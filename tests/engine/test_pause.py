"""A run that is paused has lost nothing, and goes on with the next step to the same numbers."""

import errno
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from engine.errors import SpecError
from engine.events import ACTIVE, RESUMABLE, WORKING, Kind, Status, Value
from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs.process import machine_name
from engine.runs.queue import resume
from engine.runs.replay import recorded_acts
from engine.runs.store import Run, Store
from engine.runs.writer import EventWriter
from engine.spec import Act
from engine.training import blending, state, trainer
from engine.training.reporter import StopTrainingError
from engine.training.session import Outcome, Session
from engine.training.state import state_files
from tests.conftest import Recorder
from tests.engine.commands import document, refusal, thaw
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import ended, same, told, weights
from tests.engine.test_resume_within import EVERYTHING, STEPS, spec_of, told_of_steps
from tests.engine.waiting import wait_for

__all__ = ["ended"]

FULL = {"strategy.name": "full", "model.dropout": 0.2}


class Pausing(Recorder):
    """A person who asks for a pause at some moment."""

    def __init__(self, when: Callable[["Pausing"], bool] = lambda _: False):
        super().__init__()
        self.refusals: list[str] = []
        self._when = when
        self._asked = False

    def should_stop(self) -> bool:
        self._asked = self._asked or (not self.refusals and self._when(self))
        return self._asked

    def should_pause(self) -> bool:
        return self._asked

    def refuse_pause(self, sentence: str) -> None:
        self.refusals.append(sentence)
        self._asked = False


def after_step(step: int) -> Callable[[Pausing], bool]:
    return lambda one: any(event.step == step for event in one.of_kind("step"))


def train(spec: Any, folder: Path, person: Pausing, *before: Recorder) -> Outcome:
    folder.mkdir(exist_ok=True)
    recorded = recorded_acts(event for part in before for event in part.of_kind("act"))
    return trainer.train(spec, folder, person, recorded, person)


def require_same_end(
    folder: Path, unbroken: Recorder, parts: list[Pausing], ended: list[Session]
) -> None:
    assert told(*parts) == told(unbroken)
    assert told_of_steps(parts) == told_of_steps([unbroken])
    theirs, ours = ended[0], ended[-1]
    assert same(weights(ours.model), weights(theirs.model))
    best = [load_file(folder / name / CHECKPOINT_FILE) for name in ("paused", "whole")]
    assert same(*best)


@pytest.mark.parametrize(
    "settings",
    [{"strategy.name": "frozen", "model.dropout": 0.3}, {"strategy.name": "gradual"}, EVERYTHING],
    ids=["frozen", "gradual", "everything"],
)
def test_it_goes_on_with_the_next_step(
    settings: Mapping[str, Any], tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    """No state is due meanwhile: what is found was written for the pause."""
    spec = spec_of(tiny_folder, settings)
    unbroken, first, second, last = Pausing(), *map(Pausing, map(after_step, (8, 18))), Pausing()
    train(spec, tmp_path / "whole", unbroken)
    folder = tmp_path / "paused"
    paused = train(spec, folder, first)
    assert (paused.status, paused.note) == ("paused", "paused in epoch 2, after 2 of its 6 steps")
    assert paused.best_epoch == 1
    assert [file.name for file in state_files(folder)] == ["state-000001-000002.safetensors"]
    assert (folder / CHECKPOINT_FILE).is_file()
    again = train(spec, folder, second, first)
    # The last step of an epoch has been taken, and it has not been judged.
    assert again.note == "paused in epoch 3, after 6 of its 6 steps"
    assert train(spec, folder, last, first, second).status == "finished"
    assert [part.of_kind("step")[0].step for part in (second, last)] == [9, 19]
    require_same_end(tmp_path, unbroken, [first, second, last], ended)


def test_it_may_be_paused_while_it_is_judged(
    tiny_folder: Path, tmp_path: Path, ended: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(tiny_folder, FULL)
    unbroken, last = Pausing(), Pausing()
    train(spec, tmp_path / "whole", unbroken)
    judging = False
    first = Pausing(lambda _: judging)
    real = trainer.evaluate

    def judge(epoch: int, *arguments: Any) -> Any:
        nonlocal judging
        judging = epoch == 2
        return real(epoch, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "evaluate", judge)
        assert train(spec, tmp_path / "paused", first).note.endswith("after 6 of its 6 steps")
    assert list(told(first)) == [1]
    train(spec, tmp_path / "paused", last, first)
    require_same_end(tmp_path, unbroken, [first, last], ended)


def test_it_may_be_paused_while_the_next_phase_is_prepared(
    tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    """What was steered at the start of that epoch is not done twice."""
    act = {"step": 2 * STEPS + 1, "kind": "lr", "target": "head", "factor": 0.5}
    settings = {"strategy.name": "gradual", "strategy.unfreeze_every": 2, "steering": [act]}
    spec = spec_of(tiny_folder, settings)
    unbroken, last = Pausing(), Pausing()
    first = Pausing(lambda one: len(one.of_kind("act")) == 1)
    assert train(spec, tmp_path / "paused", first).note == "paused after epoch 2"
    assert [event.values["task"] for event in first.events if "total" in event.values][-1] == (
        "computing features"
    )
    train(spec, tmp_path / "paused", last, first)
    train(spec, tmp_path / "whole", unbroken)
    ended.reverse()
    require_same_end(tmp_path, unbroken, [first, last], ended)


def test_it_may_be_paused_while_a_blend_is_judged(
    tiny_folder: Path, tmp_path: Path, ended: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(tiny_folder, {"strategy.name": "wise_ft"})
    unbroken, first, last = Pausing(), Pausing(), Pausing()
    whole = train(spec, tmp_path / "whole", unbroken)
    judged = 0
    real = blending._judge

    def judge(*arguments: Any) -> Any:
        nonlocal judged
        judged += 1
        if judged == num_blends:
            first._asked = True
            raise StopTrainingError
        return real(*arguments)

    num_blends = 2 + len({*blending.ALPHAS, whole.blend["alpha"]})  # type: ignore[index]
    with monkeypatch.context() as patch:
        patch.setattr(blending, "_judge", judge)
        assert train(spec, tmp_path / "paused", first).note == "paused after epoch 4"
    resumed = train(spec, tmp_path / "paused", last, first)
    assert judged == num_blends
    assert resumed.blend == whole.blend
    require_same_end(tmp_path, unbroken, [first, last], ended)


def test_it_may_be_paused_before_there_is_anything_to_keep(
    tiny_folder: Path, tmp_path: Path
) -> None:
    spec = spec_of(tiny_folder, {})
    paused = train(spec, tmp_path / "paused", Pausing(lambda _: True))
    assert (paused.status, paused.note) == ("paused", "paused while it was prepared")
    assert train(spec, tmp_path / "paused", Pausing()).status == "finished"


@pytest.mark.parametrize("moment", ["step", "judging"])
def test_without_room_on_the_disk_it_says_so_and_goes_on(
    moment: str,
    tiny_folder: Path,
    tmp_path: Path,
    ended: list[Session],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spec = spec_of(tiny_folder, EVERYTHING)
    unbroken = Pausing()
    train(spec, tmp_path / "whole", unbroken)
    monkeypatch.setattr(state, "save_file", full)
    person = Pausing(after_step(8 if moment == "step" else 2 * STEPS))
    outcome = train(spec, tmp_path / "paused", person)
    assert outcome.status == "finished"
    [sentence] = person.refusals
    assert sentence == (
        "The run goes on and was not paused: what it has come to cannot be written (No space left "
        "on device); free some room, and pause it again."
    )
    steps = [event.step for event in person.of_kind("step")]
    assert steps == list(range(1, 4 * STEPS + 1))
    require_same_end(tmp_path, unbroken, [person], ended)


def test_every_status_is_known_for_what_it_is() -> None:
    assert "pausing" in ACTIVE
    assert "pausing" in WORKING
    assert "paused" in RESUMABLE
    assert "paused" not in ACTIVE


@pytest.fixture
def store() -> Store:
    return Store()


def added(store: Store, status: Status = "queued") -> Run:
    [run] = store.add_runs([("tiny", tiny_spec("photos"))])
    if status != "queued":
        store.set_status(run.id, status)
    return store.run(run.id)


def status_of(store: Store, run: Run) -> str:
    return store.run(run.id).status


def test_a_run_that_waits_is_paused_at_once_and_holds_nobody_up(store: Store) -> None:
    paused, next_one = added(store), added(store)
    assert store.request_pause(paused.id)
    assert (status_of(store, paused), store.run(paused.id).reason) == (
        "paused",
        "paused before it started",
    )
    assert store.claim_next(1, machine_name()) == (next_one.id, 0)
    assert store.claim_next(2, machine_name()) is None
    assert store.reopen(paused.id)
    assert store.claim_next(2, machine_name()) == (paused.id, 1)


def test_a_run_that_goes_on_pauses_when_it_can(store: Store) -> None:
    run = added(store, "running")
    events = [(0.0, "step", 1, 1, {})]
    assert store.append(run.id, events) == ""  # type: ignore[arg-type]
    assert store.request_pause(run.id)
    assert status_of(store, run) == "pausing"
    assert store.append(run.id, []) == "pause"
    # Asked twice, it is still what it was.
    assert store.request_pause(run.id)
    store.request_stop(run.id)
    assert status_of(store, run) == "stopping"
    assert store.append(run.id, []) == "stop"
    assert not store.request_pause(run.id)


@pytest.mark.parametrize("status", ["stopping", "stopped", "finished", "failed", "interrupted"])
def test_what_does_not_go_on_cannot_be_paused(store: Store, status: Status) -> None:
    run = added(store, status)
    assert not store.request_pause(run.id)
    assert status_of(store, run) == status


def test_a_paused_run_can_be_stopped_and_thrown_away(store: Store) -> None:
    one, other = added(store, "paused"), added(store, "paused")
    store.request_stop(one.id)
    assert (status_of(store, one), store.run(one.id).reason) == (
        "stopped",
        "stopped while it was paused",
    )
    assert store.delete(other.id)


def test_a_pause_reaches_the_training_loop_and_can_be_refused(store: Store) -> None:
    run = added(store, "running")
    writer = EventWriter(store, run.id)
    assert not writer.should_pause()
    store.request_pause(run.id)
    wait_for(writer.should_pause, 60, "the request to pause")
    assert writer.should_stop()
    writer.refuse_pause("There is no room.")
    assert not writer.should_stop()
    assert (status_of(store, run), store.run(run.id).reason) == ("running", "There is no room.")
    store.request_pause(run.id)
    wait_for(writer.should_pause, 60, "the second request to pause")
    store.request_stop(run.id)
    wait_for(lambda: not writer.should_pause(), 60, "the request to stop")
    writer.close()


def finish(store: Store) -> "subprocess.Popen[bytes]":
    claimed = store.claim_next(1, machine_name())
    assert claimed is not None
    return subprocess.Popen([sys.executable, "-P", "-m", "engine.runs.worker", claimed[0]])


def metrics(store: Store, run: Run, kind: Kind) -> list[tuple[int, dict[str, Value]]]:
    return [
        (e.step, {k: v for k, v in e.values.items() if k.startswith(("train/", "val/", "lr/"))})
        for e in store.events_of_kind(run.id, kind)
    ]


@pytest.mark.slow
def test_a_process_that_is_paused_ends_and_another_goes_on(store: Store, tiny_folder: Path) -> None:
    settings = FULL | {"training.epochs": 30, "images.augmentation": "standard"}
    spec = tiny_spec(tiny_folder, settings)
    [run] = store.add_runs([("paused", spec)])
    with finish(store) as process:
        wait_for(lambda: len(store.epochs(run.id)) >= 2, 90, "two epochs")
        store.request_pause(run.id)
        assert process.wait(300) == 0
    paused = store.run(run.id)
    assert paused.status == "paused"
    assert paused.reason.startswith("paused ")
    last = max(event.step for event in store.events_of_kind(run.id, "step"))
    assert last < 90
    assert state_files(run_folder(run.id))
    assert store.reopen(run.id)
    with finish(store) as process:
        assert process.wait(600) == 0
    [whole] = store.add_runs([("whole", spec)])
    with finish(store) as process:
        assert process.wait(600) == 0
    assert [store.run(one.id).status for one in (run, whole)] == ["finished", "finished"]
    for kind in ("step", "epoch"):
        assert metrics(store, run, kind) == metrics(store, whole, kind)
    best = [load_file(run_folder(one.id) / CHECKPOINT_FILE) for one in (run, whole)]
    assert same(*best)


def test_runs_are_paused_from_the_command_line(store: Store, tiny_folder: Path) -> None:
    [run] = store.add_runs([("tiny", tiny_spec(tiny_folder))])
    said = thaw("pause", run.id)
    assert "is paused; it does not start until it is resumed" in said.stdout
    assert status_of(store, run) == "paused"
    assert document(thaw("resume", run.id, "--json"))["status"] == "finished"
    assert "is finished; only a run that waits or goes on can be paused" in refusal(
        thaw("pause", run.id)
    )
    [other] = store.add_runs([("pretended", tiny_spec("photos"))])
    store.claim_next(1, "elsewhere.example")
    assert document(thaw("pause", other.id, "--json")) == {"run_id": other.id, "status": "pausing"}
    assert "was asked to pause" in thaw("pause", other.id).stdout
    store.set_status(other.id, "paused")
    assert "was asked to stop" in thaw("stop", other.id).stdout
    assert status_of(store, other) == "stopped"


def test_what_is_pausing_cannot_be_steered(store: Store) -> None:
    run = added(store, "running")
    store.request_pause(run.id)
    with pytest.raises(SpecError, match="is pausing; only a run that is going on"):
        store.request_act(run.id, Act(kind="freeze", target="stem"))


def test_resume_puts_it_in_the_queue(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.queue.start_supervisor", lambda: None)
    run = added(store, "paused")
    assert resume(store, run.id)
    assert (status_of(store, run), store.run(run.id).reason) == ("queued", "")
