"""The process that drives one search: `python -m engine.runs.search SEARCH_ID`.

It imports no torch. It asks Optuna for a trial, puts it in the queue as an ordinary run, follows
the run's epochs in the store, and tells Optuna how it ended. There is one for each search; if it
is killed, the runs go on, and whoever looks at the search next starts another, which follows those
runs again from their first event on. So nothing that a trial has learnt is lost.

What is sampled depends on the search's seed, the number of the trial and what was told before, not
on which process asks: a search that was interrupted tries what it would have tried.
"""

import logging
import sys
import time
import traceback
from dataclasses import dataclass, field

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from engine.errors import RunNotFoundError, SpecError, ThawError
from engine.events import MetricEvent
from engine.logs import note, start_logs
from engine.redact import redacted
from engine.runs.queue import enqueue, num_slots, tend
from engine.runs.search_space import Range, SearchSpec, grid_values, is_whole
from engine.runs.search_study import (
    LOCK_FILE,
    LOG_FILE,
    OUTCOME,
    PRUNE,
    REASON,
    RUN_ID,
    SECONDS,
    SPEC,
    STATUS,
    STOP_REQUESTED,
    load_study,
    open_studies,
    search_folder,
    set_status,
)
from engine.runs.search_study import TrialState as Outcome
from engine.runs.store import Run, Store
from engine.strategies import STRATEGIES

POLL_SECONDS = 0.25
TEND_SECONDS = 3.0
LOCK_SECONDS = 10.0
# Nothing is to be expected of a search whose first or last so many trials have all failed.
FAILURES = 5
# The first epoch says little: a pre-trained backbone has hardly moved by then.
FIRST_EPOCH_TO_PRUNE = 2


def main(search_id: str) -> int:
    """Drives a search to its end; returns the exit code.

    Waits for the lock rather than giving up at once: whoever looks whether a process is at work
    holds it for a moment.
    """
    try:
        with FileLock(search_folder(search_id) / LOCK_FILE, timeout=LOCK_SECONDS):
            return _drive(search_id)
    except Timeout:
        return 0


def _drive(search_id: str) -> int:
    store = Store()
    try:
        with open_studies(for_new=True) as storage:
            study = load_study(storage, search_id)
            if study.user_attrs.get(STATUS, "running") != "running":
                return 0
            try:
                Driver(store, study, search_id).run()
            except Exception as error:
                print(redacted(traceback.format_exc()), file=sys.stderr)
                note("search", "search failed", logging.ERROR, error=error, search=search_id)
                set_status(study, "failed", _sentence(search_id, error))
                return 1
    finally:
        store.close()
    return 0


def _sentence(search_id: str, error: Exception) -> str:
    if isinstance(error, ThawError):
        return str(error)
    log = search_folder(search_id) / LOG_FILE
    return f"The search failed with {type(error).__name__}; the traceback is in {log}."


def make_sampler(spec: SearchSpec, number: int) -> BaseSampler:
    """Returns what chooses the settings of the trial with this number (from 0)."""
    if spec.sampler == "grid":
        return GridSampler(spec.grid(), seed=spec.seed)
    seed = int(np.random.SeedSequence([spec.seed, number]).generate_state(1)[0])
    if spec.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=max(3, min(10, spec.num_trials // 3)))


def make_pruner(spec: SearchSpec) -> optuna.pruners.BasePruner:
    """Returns what says which trials are hopeless.

    Source: the median stopping rule of Golovin et al. 2017 (Google Vizier).
    """
    if not spec.pruning:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(
        n_startup_trials=max(2, min(5, spec.num_trials // 4)),
        n_warmup_steps=FIRST_EPOCH_TO_PRUNE,
    )


@dataclass
class _Followed:
    """A trial whose run has not ended: its run, the last event seen, the accuracies so far."""

    trial: optuna.Trial
    run_id: str
    seen: int = 0
    accuracies: dict[int, float] = field(default_factory=dict)
    seconds: float | None = None
    is_paused: bool = False


class Driver:
    """Asks for trials, follows their runs, tells how they ended."""

    def __init__(self, store: Store, study: optuna.Study, search_id: str):
        """Takes up a search where it stands."""
        self._store = store
        self._study = study
        self._id = search_id
        self._spec = SearchSpec.model_validate(study.user_attrs[SPEC])
        self._study.pruner = make_pruner(self._spec)
        self._num_slots = num_slots()
        self._num_asked = len(study.get_trials(deepcopy=False))
        self._followed: list[_Followed] = []
        self._failures = 0
        self._last_reason = ""

    def run(self) -> None:
        """Drives the search until every trial has ended, or a person stops it."""
        self._attach()
        changed, tended = self._store.watch(), time.monotonic()
        while True:
            stopping = bool(self._study.user_attrs.get(STOP_REQUESTED))
            if stopping:
                self._stop_runs()
            else:
                self._fill()
            if self._failures >= FAILURES:
                self._give_up()
                return
            if not self._followed:
                set_status(self._study, "stopped" if stopping else "finished")
                return
            time.sleep(POLL_SECONDS)
            if changed():
                self._follow_all()
            if time.monotonic() - tended > TEND_SECONDS:
                tended = time.monotonic()
                tend(self._store)

    def _fill(self) -> None:
        """Asks for as many trials as may run at once, while there are any left."""
        while (
            sum(not one.is_paused for one in self._followed) < self._num_slots
            and self._num_asked < self._spec.num_trials
            and self._failures < FAILURES
        ):
            self._ask()

    def _attach(self) -> None:
        """Takes up the trials that an earlier process of this search left running."""
        by_name = {run.name: run.id for run in self._store.all_runs()}
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.sampler = make_sampler(self._spec, frozen.number)
            trial = optuna.Trial(self._study, frozen._trial_id)
            # The name alone tells of a run that was queued just before that process was killed.
            names = [name for name in by_name if name.startswith(self._run_name(frozen.number))]
            run_id = frozen.user_attrs.get(RUN_ID) or (by_name[names[0]] if names else None)
            if run_id is None:
                self._launch(trial)
            else:
                trial.set_user_attr(RUN_ID, run_id)
                reached = dict(frozen.intermediate_values)
                self._followed.append(_Followed(trial, run_id, accuracies=reached))
        self._study.sampler = RandomSampler()
        self._follow_all()

    def _ask(self) -> None:
        self._study.sampler = make_sampler(self._spec, self._num_asked)
        trial = self._study.ask()
        self._num_asked += 1
        self._launch(trial)
        # A grid's sampler would end an `optimize` of its own once the last of it is told.
        self._study.sampler = RandomSampler()

    def _launch(self, trial: optuna.Trial) -> None:
        """Chooses the trial's settings and puts its run in the queue."""
        for path, axis in self._spec.space.items():
            if self._spec.sampler == "grid" or not isinstance(axis, Range):
                trial.suggest_categorical(path, grid_values(path, axis))
            elif is_whole(path):
                trial.suggest_int(path, int(axis.low), int(axis.high), log=axis.log)
            else:
                trial.suggest_float(path, axis.low, axis.high, log=axis.log)
        if self._has_twin(trial):
            return
        try:
            spec = self._spec.trial_spec(trial.params)
        except SpecError as error:
            self._tell(trial, "failed", str(error))
            return
        name = f"{self._run_name(trial.number)}{STRATEGIES[spec.strategy.name].label}"
        [run] = enqueue(self._store, [(name, spec)])
        trial.set_user_attr(RUN_ID, run.id)
        self._followed.append(_Followed(trial, run.id))

    def _has_twin(self, trial: optuna.Trial) -> bool:
        """Takes the result of an earlier trial with the same settings: it would be the same."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        twin = next((one for one in complete if one.params == trial.params), None)
        if twin is None:
            return False
        for epoch, accuracy in twin.intermediate_values.items():
            trial.report(accuracy, epoch)
        for name in (RUN_ID, SECONDS):
            trial.set_user_attr(name, twin.user_attrs[name])
        reason = f"the same settings as trial {twin.number + 1}, so the same result"
        self._tell(trial, "complete", reason, twin.value)
        return True

    def _run_name(self, number: int) -> str:
        return f"Search {self._id} #{number + 1} · "

    def _follow_all(self) -> None:
        self._followed = [one for one in self._followed if not self._has_ended(one)]

    def _has_ended(self, one: _Followed) -> bool:
        """Reports what came since the last look; tells, and returns True, where the run ended."""
        try:
            run = self._store.run(one.run_id)
        except RunNotFoundError as error:
            self._tell(one.trial, "failed", str(error))
            return True
        num_before = len(one.accuracies)
        for event in self._store.events(run.id, after=one.seen):
            one.seen = event.seq
            if event.kind == "epoch":
                self._report(one, event)
        # One that is paused waits for a person, and others are tried meanwhile.
        one.is_paused = run.status == "paused"
        if run.is_active or one.is_paused:
            if len(one.accuracies) > num_before and one.trial.should_prune():
                one.trial.set_user_attr(PRUNE, True)
                self._store.request_stop(run.id)
            return False
        self._tell_end(one, run)
        return True

    def _report(self, one: _Followed, event: MetricEvent) -> None:
        accuracy = float(event.values["val/accuracy"] or 0.0)
        one.seconds = float(event.values["elapsed_seconds"] or 0.0)
        if event.epoch not in one.accuracies:
            one.accuracies[event.epoch] = accuracy
            one.trial.report(accuracy, event.epoch)

    def _tell_end(self, one: _Followed, run: Run) -> None:
        seconds = run.summary.get("seconds", one.seconds)
        if seconds is not None:
            one.trial.set_user_attr(SECONDS, seconds)
        best = max(one.accuracies.values(), default=None)
        if run.status == "finished" and best is not None:
            self._tell(one.trial, "complete", "", best)
        elif run.status == "stopped":
            pruned = one.trial.user_attrs.get(PRUNE, False)
            reason = "its accuracy lay below the median" if pruned else run.reason
            self._tell(one.trial, "pruned" if pruned else "stopped", reason, best)
        else:
            self._tell(one.trial, "failed", run.reason or "The run ended without an epoch.")

    def _tell(
        self, trial: optuna.Trial, outcome: Outcome, reason: str, best: float | None = None
    ) -> None:
        """Tells Optuna how a trial ended.

        To Optuna a run that was stopped by hand is a pruned one, if it came as far as an epoch.
        """
        trial.set_user_attr(OUTCOME, outcome)
        trial.set_user_attr(REASON, reason)
        if outcome == "complete":
            self._study.tell(trial, best)
        else:
            was_judged = best is not None and outcome != "failed"
            state = TrialState.PRUNED if was_judged else TrialState.FAIL
            self._study.tell(trial, state=state)
        self._failures = self._failures + 1 if outcome == "failed" else 0
        self._last_reason = reason

    def _stop_runs(self) -> None:
        for one in self._followed:
            if not self._store.run(one.run_id).stop_requested:
                self._store.request_stop(one.run_id)

    def _give_up(self) -> None:
        """Ends a search whose last trials have all failed; runs that go on are stopped."""
        self._stop_runs()
        for one in self._followed:
            self._tell(one.trial, "stopped", "the search was given up")
        set_status(
            self._study,
            "failed",
            f"The last {FAILURES} trials have all failed, the last one so: {self._last_reason}",
        )


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
