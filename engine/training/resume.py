"""Takes a run up where it was interrupted: what is kept of a session, and how it is put back.

A state is that of the end of an epoch, or of a step within one. What happens in an epoch depends on
the state before it, the seed and the epoch's number alone; what happens after a step within it, on
what that step left behind, too: the state of the random numbers, and what the epoch has measured so
far. So whatever was cut off is done again to the same numbers. Which batches come next follows from
their number: pictures that were learnt from are not read again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from engine.errors import TrainingError
from engine.spec import Act
from engine.spec.steering import is_due_as
from engine.training.features import BATCH_SIZE
from engine.training.metrics import EpochMetrics
from engine.training.session import Session
from engine.training.state import State
from engine.training.within import Within

MODEL, AVERAGE, OPTIMISER, BLEND = "model/", "average/", "optimiser/", "blend/"
WITHIN = "within/"


def state_of(session: Session, elapsed: float) -> State:
    """Returns what a session has come to.

    Args:
        session: between two epochs, or between two steps of one.
        elapsed: seconds since the run's first image.
    """
    learner, average = session.learner, session.learner.average
    tensors = dict(_prefixed(MODEL, _moved_tensors(session, session.model.state_dict())))
    if average is not None:
        moved = _moved_tensors(session, average.module.state_dict())
        tensors |= dict(_prefixed(AVERAGE, moved))
    optimiser_tensors, optimiser_values = _optimiser_state(learner.optimiser)
    tensors |= optimiser_tensors
    if session.blend_start is not None:
        tensors |= dict(_prefixed(BLEND, session.blend_start))
    values = {
        "moved": sorted(session.moved),
        "optimiser": optimiser_values,
        "rates": session.rates_before or learner.rates.state(),
        "scaler": learner.precision.scaler.state_dict(),
        "waiting": [act.model_dump() for act in session.waiting],
        "best_epoch": session.outcome.best_epoch,
        "best_val_accuracy": session.outcome.best_val_accuracy,
        "elapsed_seconds": elapsed,
        "trained_seconds": session.trained_seconds,
        "layers": session.layers.state(),
        "on_features_before": session.ran_on,
        "fingerprint": session.manifest.fingerprint,
        "memory": {
            "parts": learner.accumulation,
            "judging": session.judging.parts,
            "features_at_once": session.feed.at_once,
        },
    }
    completed, steps, within = session.epoch, 0, session.within
    if within is not None:
        completed, steps = session.epoch - 1, within.num_steps
        within_tensors, values["within"] = within.state(session.device)
        tensors |= dict(_prefixed(WITHIN, within_tensors))
    # Through JSON once, so that what is read is what was written.
    return State(completed, tensors, json.loads(json.dumps(values)), steps)


def restore(session: Session, state: State) -> None:
    """Puts a session that was just set up where another one was.

    Raises:
        TrainingError: the state is that of another model, or of other images.
    """
    values = state.values
    if values.get("fingerprint", session.manifest.fingerprint) != session.manifest.fingerprint:
        raise TrainingError(
            "The images are no longer those that the run had begun with; put them back, or start "
            "the run anew."
        )
    learner = session.learner
    if moved := set(values["moved"]):
        # Set up anew, they are still what the run began with.
        session.layers.before.keep(moved)
    try:
        _load(session, session.model, _part(state, MODEL))
        if learner.average is not None:
            _load(session, learner.average.module, _part(state, AVERAGE))
        _load_optimiser(learner.optimiser, _part(state, OPTIMISER), values["optimiser"])
        learner.rates.load_state(values["rates"])
        learner.precision.scaler.load_state_dict(values["scaler"])
        session.within = _within(session, state)
    except (RuntimeError, KeyError, ValueError, IndexError) as error:
        raise TrainingError(
            f"What was kept of the run's epoch {state.epoch} is that of another model ({error}); "
            "start the run anew."
        ) from error
    if blend := _part(state, BLEND):
        session.blend_start = {name: tensor.to(session.device) for name, tensor in blend.items()}
    session.moved = moved
    if "layers" in values:
        session.layers.load_state(values["layers"])
    # What a person asked for is asked for again by who keeps that.
    kept = [Act.parse(act) for act in values["waiting"]]
    session.waiting = [act for act in kept if act in session.spec.steering]
    session.epoch = state.epoch if session.within is None else state.epoch + 1
    session.resumed_after = state.epoch
    session.ran_on = values["on_features_before"]
    if memory := values.get("memory"):
        # What there was no memory for is not tried again: other parts round otherwise.
        learner.accumulation = memory["parts"]
        session.judging.parts = memory["judging"]
    session.outcome.best_epoch = values["best_epoch"]
    session.outcome.best_val_accuracy = values["best_val_accuracy"]
    session.started -= values["elapsed_seconds"]
    session.trained_seconds = values.get("trained_seconds", values["elapsed_seconds"])


def _within(session: Session, state: State) -> Within | None:
    if "within" not in state.values:
        return None
    metrics = EpochMetrics(len(session.manifest.classes), session.device)
    tensors, values = _part(state, WITHIN), state.values["within"]
    return Within.of_state(tensors, values, state.steps, metrics, session.step_log())


def features_at_once(state: State) -> int:
    """Returns for how many pictures at once a run computed features, memory being what it was."""
    return int(state.values.get("memory", {}).get("features_at_once", BATCH_SIZE))


def acts_ahead(waiting: Sequence[Act], recorded: Sequence[Act], step: int) -> list[Act]:
    """Returns the acts that are still to be applied after a step.

    Args:
        waiting: acts of the spec that were not applied yet by then.
        recorded: that took effect in the run, before and after; some of them are the spec's.
        step: the last that was taken.
    """
    again = [act for act in recorded if act.step > step]
    ahead = list(waiting)
    for act in again:
        scripted = next((one for one in ahead if is_due_as(one, act)), None)
        if scripted is not None:
            ahead.remove(scripted)
    return sorted((*again, *ahead), key=lambda act: act.step)


def _moved_tensors(session: Session, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns all but what belongs to stages that never learnt: those are set up anew."""
    backbone = session.model.backbone
    still = {
        f"backbone.{tensor}"
        for name in backbone.stages
        if name not in session.moved
        for tensor in backbone.stage_tensor_names(name)
    }
    return {name: tensor for name, tensor in tensors.items() if name not in still}


def _load(session: Session, model: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected:
        raise ValueError(f"it has {unexpected[0]}")
    still = set(model.state_dict()) - set(tensors)
    if set(missing) - still:
        raise ValueError(f"it lacks {missing[0]}")


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        yield prefix + name, tensor


def _part(state: State, prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.tensors.items()
        if name.startswith(prefix)
    }


def _optimiser_state(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors of an optimiser's state, and the rest of it."""
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        numbers[str(index)] = {}
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{OPTIMISER}{index}/{name}"] = value
            else:
                numbers[str(index)][name] = value
    groups = [
        {name: value for name, value in group.items() if name != "params" and _is_plain(value)}
        for group in state["param_groups"]
    ]
    return tensors, {"numbers": numbers, "groups": groups}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _load_optimiser(
    optimiser: Optimizer, tensors: Mapping[str, Tensor], values: dict[str, Any]
) -> None:
    state = optimiser.state_dict()
    loaded: dict[int, dict[str, Any]] = {
        int(index): dict(entries) for index, entries in values["numbers"].items()
    }
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        loaded[int(index)][name] = tensor
    for group, kept in zip(state["param_groups"], values["groups"], strict=True):
        if group.get("name") != kept.get("name"):
            raise ValueError(f"it has the group {kept.get('name')}")
        group.update(kept)
    optimiser.load_state_dict({"state": loaded, "param_groups": state["param_groups"]})
    for parameter, entries in optimiser.state.items():
        for name, value in entries.items():
            # Fused steps go through memory, so that state and weights must lie alike in it.
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                entries[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
