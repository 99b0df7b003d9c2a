"""A steered run, done again: its spec with what was done to it, each act at its step."""

from collections.abc import Iterable

from engine.errors import SpecError
from engine.events import MetricEvent
from engine.runs.queue import enqueue
from engine.runs.store import Run, Store
from engine.spec import Act, RunSpec
from engine.spec.steering import is_due_as

PREFIX = "Replay of "


def recorded_acts(events: Iterable[MetricEvent]) -> tuple[Act, ...]:
    """Returns what `act` events tell of, in order, with the steps at which it took effect."""
    return tuple(
        Act.parse(
            {
                "step": event.step,
                "kind": event.values["act"],
                "target": event.values["target"],
                "factor": event.values["factor"],
            }
        )
        for event in events
        if event.kind == "act"
    )


def replay_spec(spec: RunSpec, events: Iterable[MetricEvent]) -> RunSpec:
    """Returns the spec of a run that does the same again, nobody steering it.

    An act that the spec holds is told of like any other when it takes effect, so it is taken from
    the events then; it stays as it is in the spec where the run ended before.

    Args:
        spec: of the run that was steered.
        events: of that run.
    """
    recorded = recorded_acts(events)
    ahead = list(spec.steering)
    for act in recorded:
        scripted = next((one for one in ahead if is_due_as(one, act)), None)
        if scripted is not None:
            ahead.remove(scripted)
    return spec.model_copy(update={"steering": (*recorded, *ahead)})


def unapplied_acts(spec: RunSpec, asked: Iterable[Act], recorded: Iterable[Act]) -> tuple[Act, ...]:
    """Returns what a person asked of a run and what has not taken effect yet, in order.

    Args:
        spec: of the run; its own acts were asked by nobody.
        asked: all that a person asked.
        recorded: all that took effect.
    """
    scripted, by_hand = list(spec.steering), []
    for act in recorded:
        own = next((one for one in scripted if is_due_as(one, act)), None)
        if own is None:
            by_hand.append(act)
        else:
            scripted.remove(own)
    left = []
    for act in asked:
        done = next((one for one in by_hand if is_due_as(act, one)), None)
        if done is None:
            left.append(act)
        else:
            by_hand.remove(done)
    return tuple(left)


def replay(store: Store, run: Run) -> Run:
    """Queues a run that does again what a run did, and what a person did to it meanwhile.

    Raises:
        SpecError: the run waits or goes on.
    """
    if run.is_active:
        raise SpecError(
            f"Run {run.id} is {run.status}; only a run that has ended can be replayed: wait for "
            "its end, or stop it."
        )
    spec = replay_spec(run.spec, store.events_of_kind(run.id, "act"))
    name = PREFIX + run.name.removeprefix(PREFIX)
    return enqueue(store, [(name, spec)])[0]
