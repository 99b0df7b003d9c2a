"""Searches as real ones leave them behind, made without a process that drives them."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from engine.runs import search_study as study_module
from engine.runs.process import host_name
from engine.runs.search_space import Range, SearchSpec
from engine.runs.search_study import Search, SearchStatus, find_search, open_studies, set_status
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from tests.dashboard.made import SECONDS_PER_EPOCH, finish, start

RATES_AND_STRATEGIES = {
    "optimiser.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "strategy.name": ["frozen", "full"],
}


@dataclass(frozen=True)
class Made:
    """A trial: its settings, the validation accuracy of each epoch, and how it ended."""

    params: Mapping[str, Any]
    accuracies: Sequence[float] = (0.5, 0.7, 0.65)
    state: study_module.TrialState = "complete"
    reason: str = ""


def search_spec(space: dict[str, Any] | None = None, **settings: Any) -> SearchSpec:
    base = RunSpec.parse({"data": {"folder": "/photos"}, "training": {"epochs": 3}})
    return SearchSpec.parse({"base": base, "space": space or RATES_AND_STRATEGIES, **settings})


def add_search(
    store: Store,
    trials: Sequence[Made],
    status: SearchStatus = "finished",
    spec: SearchSpec | None = None,
    reason: str = "",
) -> Search:
    """Returns a search with these trials, each with a run in the store."""
    spec = spec or search_spec(trials=max(1, len(trials)))
    search_id = secrets.token_hex(4)
    with open_studies(for_new=True) as storage:
        study = optuna.create_study(
            storage=storage,
            study_name=study_module.PREFIX + search_id,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
        )
        study.set_user_attr(study_module.CREATED_AT, time.time())
        study.set_user_attr(study_module.HOST, host_name())
        study.set_user_attr(study_module.SPEC, spec.model_dump(mode="json"))
        for made in trials:
            _add_trial(store, study, search_id, spec, made)
        set_status(study, status, reason)
    return find_search(search_id)


def _add_trial(
    store: Store, study: optuna.Study, search_id: str, spec: SearchSpec, made: Made
) -> None:
    study.enqueue_trial(dict(made.params))
    trial = study.ask()
    for path, axis in spec.space.items():
        if isinstance(axis, Range):
            trial.suggest_float(path, axis.low, axis.high, log=axis.log)
        else:
            trial.suggest_categorical(path, axis)
    run = _add_run(store, f"Search {search_id} #{trial.number + 1}", spec, made)
    trial.set_user_attr(study_module.RUN_ID, run.id)
    for epoch, accuracy in enumerate(made.accuracies, start=1):
        trial.report(accuracy, epoch)
    if made.state == "running":
        return
    trial.set_user_attr(study_module.OUTCOME, made.state)
    trial.set_user_attr(study_module.REASON, made.reason)
    if made.accuracies:
        seconds = run.summary.get("seconds", SECONDS_PER_EPOCH * len(made.accuracies))
        trial.set_user_attr(study_module.SECONDS, seconds)
    if made.state == "complete":
        study.tell(trial, max(made.accuracies))
    else:
        state = TrialState.PRUNED if made.state == "pruned" else TrialState.FAIL
        study.tell(trial, state=state)


def _add_run(store: Store, name: str, spec: SearchSpec, made: Made) -> Run:
    [run] = store.add_runs([(name, spec.trial_spec(made.params))])
    if made.state == "running":
        return start(store, run)
    status = {"complete": "finished", "pruned": "stopped", "stopped": "stopped"}
    return finish(store, run, made.accuracies, status=status.get(made.state, "failed"))  # type: ignore[arg-type]
