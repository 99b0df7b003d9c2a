"""Replay: a steered run is done again exactly, from its spec and what was done to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import SpecError
from engine.events import MetricEvent, Status, Value
from engine.models.catalogue import backbone_record
from engine.runs.queue import enqueue
from engine.runs.replay import recorded_acts, replay, replay_spec
from engine.runs.store import Run, Store
from engine.spec import Act, RunSpec
from tests.engine.helm import (
    FREE_BLOCK7,
    FREEZE_BLOCK3,
    FULL,
    HALVE_HEAD,
    STEPS_PER_EPOCH,
    Helm,
    Steer,
    Steered,
    steered,
)
from tests.engine.specs import tiny_spec
from tests.engine.test_queue import store, wait_for_epochs, wait_until

__all__ = ["steered", "store"]


@pytest.fixture(autouse=True)
def _restored_torch() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


# ---- the same numbers, the same weights

FREE_STEM = Act(kind="unfreeze", target="stem")
SLOW_BACKBONE = Act(kind="lr", target="backbone", factor=0.1)
SLOW_BLOCK7 = Act(kind="lr", target="block7", factor=0.5)
REPLAYED: dict[str, tuple[dict[str, Any], list[tuple[int, Act]]]] = {
    "full": (FULL, [(1, FREEZE_BLOCK3), (4, SLOW_BLOCK7), (5, SLOW_BACKBONE)]),
    "full with momentum": (
        FULL | {"optimiser.name": "sgd", "training.epochs": 3},
        [(1, FREEZE_BLOCK3), (5, Act(kind="unfreeze", target="block3"))],
    ),
    "frozen": (
        {"training.epochs": 4, "model.dropout": 0.2},
        [(1, HALVE_HEAD), (2, FREE_BLOCK7), (7, Act(kind="freeze", target="block7"))],
    ),
    "gradual": (
        {"strategy.name": "gradual", "training.epochs": 4},
        [(2, FREE_STEM), (7, Act(kind="freeze", target="top")), (9, SLOW_BACKBONE)],
    ),
    "lp_ft": (
        {"strategy.name": "lp_ft", "training.epochs": 4},
        [(2, FREEZE_BLOCK3), (7, SLOW_BACKBONE), (10, Act(kind="unfreeze", target="block3"))],
    ),
    "augmentation": (
        {"images.augmentation": "standard", "model.dropout": 0.2},
        [(1, FREE_BLOCK7), (4, HALVE_HEAD)],
    ),
    "EMA": (
        {"training.ema_decay": 0.9, "training.epochs": 4},
        [(1, FREE_BLOCK7), (7, Act(kind="freeze", target="block7"))],
    ),
    "plateau": (
        FULL | {"optimiser.schedule": "plateau", "optimiser.patience": 0, "training.epochs": 3},
        [(4, FREEZE_BLOCK3), (5, HALVE_HEAD)],
    ),
}


def assert_same(done: Steered, again: Steered) -> None:
    assert again.acts == done.acts
    assert again.metrics() == done.metrics()
    assert done.weights.keys() == again.weights.keys()
    for name, tensor in done.weights.items():
        assert torch.equal(tensor, again.weights[name]), name
    assert [event.values for event in again.phases] == [event.values for event in done.phases]


@pytest.mark.parametrize("name", REPLAYED)
def test_a_replay_gives_the_same_numbers_and_weights(steered: Steer, name: str) -> None:
    settings, acts = REPLAYED[name]
    done = steered(settings, Helm(acts))
    assert len(done.acts) == len(acts)
    again = steered(replay_spec(done.session.spec, done.helm.events))
    assert_same(done, again)
    twice = replay_spec(again.session.spec, again.helm.events)
    assert twice == again.session.spec


def test_the_acts_are_what_makes_the_difference(steered: Steer) -> None:
    settings, acts = REPLAYED["full"]
    done, unsteered = steered(settings, Helm(acts)), steered(settings)
    assert done.metrics() != unsteered.metrics()


@pytest.mark.parametrize("call", range(1, STEPS_PER_EPOCH + 3))
@pytest.mark.parametrize("strategy", ["frozen", "partial"])
def test_whenever_acts_come_a_replay_does_the_same(
    steered: Steer, strategy: str, call: int
) -> None:
    """Also between an epoch's beginning, which decides on features or pictures, and its steps."""
    settings = {"strategy.name": strategy, "strategy.last_stages": 1, "training.epochs": 3}
    freeze = Act(kind="freeze", target="top")
    acts = [Act(kind="unfreeze", target="top")] if strategy == "frozen" else [freeze, HALVE_HEAD]
    done = steered(settings, Helm(at_calls=[(call, act) for act in acts]))
    assert len(done.acts) == len(acts)
    assert_same(done, steered(replay_spec(done.session.spec, done.helm.events)))


# ---- which acts a replay is given


def act_event(act: Act, step: int) -> MetricEvent:
    values: dict[str, Value] = {"act": act.kind, "target": act.target, "factor": act.factor}
    return MetricEvent("tiny", step, 0.0, "act", 1, step, values | {"sentence": act.sentence})


def at(act: Act, step: int) -> Act:
    return act.model_copy(update={"step": step})


def scripted(*acts: Act) -> RunSpec:
    return tiny_spec("photos", {"steering": [act.model_dump() for act in acts]})


def test_a_replay_adds_what_was_done_to_what_the_spec_says_and_doubles_nothing() -> None:
    """The spec's act at step 9 came true; what it says of step 50 was not reached."""
    spec = scripted(at(HALVE_HEAD, 9), at(FREE_BLOCK7, 50))
    events = [act_event(HALVE_HEAD, 4), act_event(HALVE_HEAD, 9), act_event(FREEZE_BLOCK3, 12)]
    again = replay_spec(spec, events)
    assert again.steering == (
        at(HALVE_HEAD, 4),
        at(HALVE_HEAD, 9),
        at(FREEZE_BLOCK3, 12),
        at(FREE_BLOCK7, 50),
    )
    done_again = [act_event(act, act.step) for act in again.steering[:3]]
    assert replay_spec(again, done_again) == again
    assert again.model_copy(update={"steering": spec.steering}) == spec


def test_an_act_that_had_to_wait_for_the_next_epoch_is_replayed_when_it_came_true() -> None:
    spec = scripted(at(FREE_BLOCK7, 2))
    assert replay_spec(spec, [act_event(FREE_BLOCK7, 4)]).steering == (at(FREE_BLOCK7, 4),)
    assert replay_spec(spec, []) == spec


def test_a_run_that_nobody_steered_is_replayed_as_it_is() -> None:
    spec = tiny_spec("photos")
    assert replay_spec(spec, []) == spec


# ---- the store


def pretended(store: Store, status: Status) -> Run:
    """A run without a process behind it."""
    [run] = store.add_runs([("pretended", tiny_spec("photos", FULL))])
    if status != "queued":
        store.set_status(run.id, status)
    return store.run(run.id)


def test_acts_are_kept_in_order_for_the_run_that_goes_on(store: Store) -> None:
    run, other = pretended(store, "running"), pretended(store, "running")
    for act in (FREEZE_BLOCK3, HALVE_HEAD):
        store.request_act(run.id, act)
    store.request_act(other.id, FREE_BLOCK7)
    assert store.acts(run.id) == [(1, FREEZE_BLOCK3), (2, HALVE_HEAD)]
    assert store.acts(run.id, after=1) == [(2, HALVE_HEAD)]
    assert store.acts(other.id) == [(1, FREE_BLOCK7)]


@pytest.mark.parametrize(
    "status", ["queued", "stopping", "stopped", "finished", "failed", "interrupted"]
)
def test_only_a_run_that_goes_on_can_be_steered(store: Store, status: Status) -> None:
    run = pretended(store, status)
    with pytest.raises(SpecError, match=f"is {status}; only a run that is going on"):
        store.request_act(run.id, FREEZE_BLOCK3)
    assert store.acts(run.id) == []


def test_an_unknown_stage_is_refused_with_those_that_there_are(store: Store) -> None:
    run = pretended(store, "running")
    with pytest.raises(SpecError) as caught:
        store.request_act(run.id, Act(kind="freeze", target="block99"))
    assert "'block99'" in str(caught.value)
    for name in run.spec.model.backbone, *backbone_record(run.spec.model.backbone).stage_names:
        assert name in str(caught.value)
    assert store.acts(run.id) == []


@pytest.mark.parametrize("target", ["head", "backbone"])
def test_what_is_no_stage_cannot_be_frozen(target: str) -> None:
    with pytest.raises(SpecError, match="takes the name of a stage"):
        Act.parse({"kind": "freeze", "target": target})


@pytest.mark.parametrize("status", ["queued", "running", "stopping"])
def test_only_a_run_that_has_ended_can_be_replayed(store: Store, status: Status) -> None:
    with pytest.raises(SpecError, match=f"is {status}; only a run that has ended"):
        replay(store, pretended(store, status))
    assert len(store.all_runs()) == 1


# ---- a real run


def acts_told(store: Store, run: Run) -> list[MetricEvent]:
    return store.events_of_kind(run.id, "act")


def metrics_in(store: Store, run: Run) -> list[tuple[Value, ...]]:
    names = ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "lr/head", "lr/backbone")
    return [tuple(event.values.get(name) for name in names) for event in store.epochs(run.id)]


def test_a_run_is_steered_while_it_goes_on_and_replayed_by_another_process(
    store: Store, tiny_folder: Path
) -> None:
    settings = FULL | {"training.epochs": 8, "optimiser.schedule": "constant"}
    [run] = enqueue(store, [("tiny", tiny_spec(tiny_folder, settings))])
    wait_for_epochs(store, run, 1)
    for act in (FREEZE_BLOCK3, HALVE_HEAD):
        store.request_act(run.id, act)
    run = wait_until(store, run, "finished", seconds=120)
    told = acts_told(store, run)
    assert [event.values["target"] for event in told] == ["block3", "head"]
    for event in store.events_of_kind(run.id, "step"):
        expected = 5e-4 if event.step >= told[-1].step else 1e-3
        assert event.values["lr/head"] == pytest.approx(expected), event.step
    last_phase = store.events_of_kind(run.id, "phase")[-1]
    assert last_phase.values["stage/block3"] == 0.0
    assert last_phase.values["stage/block4"] == 1e-3
    again = replay(store, run)
    assert again.spec.steering == recorded_acts(told)
    again = wait_until(store, again, "finished", seconds=120)
    assert again.name == "Replay of tiny"
    assert [(e.epoch, e.step, e.values) for e in acts_told(store, again)] == [
        (e.epoch, e.step, e.values) for e in told
    ]
    assert metrics_in(store, again) == metrics_in(store, run)
    assert replay(store, again).name == "Replay of tiny"
