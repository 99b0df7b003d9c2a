"""Runs whose process is killed are taken up again, and tell the same in the end."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from engine.events import MetricEvent
from engine.home import CHECKPOINT_FILE, run_folder
from engine.runs.process import machine_name
from engine.runs.queue import mark_interrupted
from engine.runs.replay import replay_spec, unapplied_acts
from engine.runs.store import Run, Store
from engine.spec import Act, RunSpec
from engine.training.state import state_files
from tests.engine.commands import document, refusal, thaw
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import same
from tests.engine.waiting import wait_for
from tests.sweeps import sweep

# A worker that keeps a state after each epoch, however short.
WORKER = """
import sys
from engine.training import state
state.LEAST_SECONDS, state.MOST_SHARE = 0.0, 1e9
from engine.runs.worker import main
sys.exit(main(sys.argv[1]))
"""
# One that keeps a state after each step, too.
WITHIN = "from engine.training import state\nstate.LEAST_SECONDS_WITHIN = 0.0\n"
EPOCHS = 10
# A machine that others use, too, takes its time.
END_SECONDS = 600

pytestmark = pytest.mark.usefixtures("either_database")


@contextlib.contextmanager
def worker(store: Store, prelude: str = "") -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Trains the run that waits, in a process of its own, as the supervisor would."""
    claimed = store.claim_next(1, machine_name())
    assert claimed is not None
    process = subprocess.Popen([sys.executable, "-P", "-c", prelude + WORKER, claimed[0]])
    try:
        yield claimed[0], process
    finally:
        process.kill()
        process.wait()


def trained(store: Store, spec: RunSpec) -> Run:
    [run] = store.add_runs([("whole", spec)])
    with worker(store) as (_, process):
        assert process.wait(END_SECONDS) == 0
    return store.run(run.id)


def metrics(events: list[MetricEvent]) -> dict[int, dict[str, object]]:
    return {
        event.epoch: {k: v for k, v in event.values.items() if k.startswith(("train/", "val/"))}
        for event in events
    }


def kill_after(store: Store, run_id: str, process: "subprocess.Popen[bytes]", epoch: int) -> None:
    """Kills the process in the middle of an epoch."""
    wait_for(
        lambda: any(e.epoch > epoch for e in store.events_of_kind(run_id, "step")),
        180,
        f"epoch {epoch + 1} of {run_id}",
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert mark_interrupted(store) == [run_id]


@pytest.mark.parametrize(
    "name", sweep(["full", "frozen", "gradual", "lp_ft"], lambda name: name == "full")
)
def test_a_killed_run_ends_as_if_it_had_not_been(name: str, tiny_folder: Path) -> None:
    store = Store()
    settings = {
        "strategy.name": name,
        "training.epochs": EPOCHS,
        "images.augmentation": "standard",
        "model.dropout": 0.2,
    }
    spec = tiny_spec(tiny_folder, settings)
    whole = trained(store, spec)
    [run] = store.add_runs([("killed", spec)])
    for epoch in (2, 6):
        with worker(store) as (run_id, process):
            kill_after(store, run_id, process, epoch)
        assert state_files(run_folder(run.id))
        assert store.reopen(run.id)
        assert store.run(run.id).status == "queued"
    with worker(store) as (_, process):
        assert process.wait(END_SECONDS) == 0
    again = store.run(run.id)
    assert (again.status, again.reason) == ("finished", whole.reason)
    assert metrics(store.epochs(run.id)) == metrics(store.epochs(whole.id))
    for key in ("best_val_accuracy", "best_epoch", "fingerprint", "trainable_parameters"):
        assert again.summary[key] == whole.summary[key]
    weights = [load_file(run_folder(one.id) / CHECKPOINT_FILE) for one in (again, whole)]
    assert same(*weights)
    # No step is told of twice, and none is missing.
    steps = [[e.step for e in store.events_of_kind(one.id, "step")] for one in (again, whole)]
    assert steps[0] == steps[1]
    told = [event.seq for event in store.events(run.id)]
    assert told == sorted(set(told))
    assert not state_files(run_folder(run.id))


def test_a_run_that_is_killed_within_an_epoch_goes_on_within_it(tiny_folder: Path) -> None:
    store = Store()
    settings = {
        "training.epochs": 4,
        "training.batch_size": 2,
        "images.augmentation": "standard",
        "model.dropout": 0.2,
    }
    spec = tiny_spec(tiny_folder, settings)
    whole = trained(store, spec)
    [run] = store.add_runs([("killed", spec)])
    for round_, step in enumerate((5, 16)):
        with worker(store, WITHIN) as (run_id, process):
            # One that begins with more steps told than that is not to die before it has resumed.
            wait_for(lambda num=round_: len(resumed(store, run_id)) == num, 180, "it to resume")
            wait_for(lambda at=step: steps_of(store, run_id)[-1:] >= [at], 180, f"step {step}")
            process.send_signal(signal.SIGKILL)
            process.wait()
        mark_interrupted(store)
        assert state_files(run_folder(run.id))
        assert store.reopen(run.id)
    with worker(store, WITHIN) as (_, process):
        assert process.wait(END_SECONDS) == 0
    told = resumed(store, run.id)
    assert len(told) == 2
    # What was told of last need not be in the store when the process dies.
    assert told[0].step >= 4
    assert told[1].step >= 15
    assert metrics(store.epochs(run.id)) == metrics(store.epochs(whole.id))
    assert steps_of(store, run.id) == steps_of(store, whole.id) == list(range(1, 37))
    weights = [load_file(run_folder(one.id) / CHECKPOINT_FILE) for one in (run, whole)]
    assert same(*weights)


def resumed(store: Store, run_id: str) -> list[MetricEvent]:
    events = store.events_of_kind(run_id, "progress")
    return [event for event in events if event.values["task"] == "resumed"]


def steps_of(store: Store, run_id: str) -> list[int]:
    return [event.step for event in store.events_of_kind(run_id, "step")]


@pytest.mark.slow
def test_what_was_steered_is_steered_again_at_the_same_steps(tiny_folder: Path) -> None:
    store = Store()
    spec = tiny_spec(
        tiny_folder,
        {"strategy.name": "full", "training.epochs": 40, "images.augmentation": "standard"},
    )
    [run] = store.add_runs([("steered", spec)])
    with worker(store) as (_, process):
        wait_for(lambda: len(store.epochs(run.id)) >= 2, 60, "two epochs")
        store.request_act(run.id, Act(kind="freeze", target="stem"))
        store.request_act(run.id, Act(kind="lr", target="head", factor=0.5))
        wait_for(lambda: len(store.events_of_kind(run.id, "act")) == 2, 30, "acts")
        # Before the next state is written the acts are in the store alone.
        process.send_signal(signal.SIGKILL)
        process.wait()
    mark_interrupted(store)
    before = [(e.step, e.values["sentence"]) for e in store.events_of_kind(run.id, "act")]
    assert store.reopen(run.id)
    with worker(store) as (_, process):
        assert process.wait(END_SECONDS) == 0
    after = [(e.step, e.values["sentence"]) for e in store.events_of_kind(run.id, "act")]
    assert after == before
    replayed = trained(store, replay_spec(spec, store.events_of_kind(run.id, "act")))
    assert metrics(store.epochs(run.id)) == metrics(store.epochs(replayed.id))


def test_acts_that_have_not_taken_effect_are_asked_again() -> None:
    freeze = Act(kind="freeze", target="stem")
    slow = Act(kind="lr", target="head", factor=0.5)
    spec = tiny_spec("photos", {"strategy.name": "full"}).model_copy(
        update={"steering": (slow.model_copy(update={"step": 4}),)}
    )
    done = [slow.model_copy(update={"step": 4}), freeze.model_copy(update={"step": 7})]
    assert unapplied_acts(spec, [freeze, slow, freeze], done) == (slow, freeze)
    assert unapplied_acts(spec, [freeze], done) == ()
    assert unapplied_acts(spec, [slow], []) == (slow,)


def test_a_run_that_kept_nothing_begins_anew(tiny_folder: Path) -> None:
    store = Store()
    spec = tiny_spec(tiny_folder, {"training.epochs": 2})
    whole = trained(store, spec)
    [run] = store.add_runs([("again", spec)])
    claimed = store.claim_next(1, machine_name())
    assert claimed is not None
    values = {"train/loss": 1.0, "train/accuracy": 0.0}
    store.append(run.id, [(1.0, "step", 1, 1, values), (2.0, "phase", 1, 0, {"head": 1.0})])
    store.set_status(run.id, "interrupted", "killed")
    store.reopen(run.id)
    with worker(store) as (_, process):
        assert process.wait(END_SECONDS) == 0
    assert metrics(store.epochs(run.id)) == metrics(store.epochs(whole.id))
    steps = [[e.step for e in store.events_of_kind(one.id, "step")] for one in (run, whole)]
    assert steps[0] == steps[1]
    assert len(store.events_of_kind(run.id, "phase")) == len(
        store.events_of_kind(whole.id, "phase")
    )


def test_only_what_ended_before_its_time_can_be_resumed(tiny_folder: Path) -> None:
    store = Store()
    run = trained(store, tiny_spec(tiny_folder, {"training.epochs": 1}))
    assert not store.reopen(run.id)
    assert "is finished; only a run that was paused, stopped, interrupted or failed" in refusal(
        thaw("resume", run.id)
    )


def test_a_stopped_run_goes_on_from_the_command_line(tiny_folder: Path) -> None:
    store = Store()
    spec = tiny_spec(tiny_folder, {"training.epochs": 3})
    [run] = store.add_runs([("stopped", spec)])
    store.request_stop(run.id)
    ended = document(thaw("resume", run.id, "--json"))
    assert ended["status"] == "finished"
    assert [one["epoch"] for one in ended["epochs"]] == [1, 2, 3]
    assert not store.run(run.id).stop_requested


@pytest.mark.slow
def test_a_run_is_tried_again_and_another_starts_from_its_settings(
    tiny_folder: Path, tmp_path: Path
) -> None:
    store = Store()
    first = trained(store, tiny_spec(tiny_folder, {"training.epochs": 1, "seed": 7}))
    again = document(thaw("retry", first.id, "--json"))
    assert again["run_id"] != first.id
    assert store.run(again["run_id"]).spec == first.spec
    assert metrics(store.epochs(again["run_id"])) == metrics(store.epochs(first.id))
    changed = document(
        thaw("train", "--from", first.id, "--epochs", "2", "--set", "model.dropout=0.1", "--json")
    )
    differing = {
        name: value
        for name, value in store.run(changed["run_id"]).spec.flat().items()
        if value != first.spec.flat()[name]
    }
    assert differing == {"training.epochs": 2, "model.dropout": 0.1}
    file = tmp_path / "spec.json"
    file.write_text(first.spec_json)
    told = refusal(thaw("train", "--from", first.id, "--spec", str(file)))
    assert "give --from or --spec" in told
    assert "There is no run 'nosuch'" in refusal(thaw("train", "--from", "nosuch"))
