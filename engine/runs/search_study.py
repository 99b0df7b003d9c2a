"""Searches and their trials as they are kept: Optuna studies in the database of the runs.

A search is the study `thaw-<id>`; its SearchSpec and what became of it are user attributes of the
study, each trial's run is one of the trial's. Optuna is imported only where a study is opened.

Journal: Optuna's connections keep SQLite's rollback journal as the store's do (see tables.py). It
begins a transaction at its first write and holds no read lock before, so that it waits its turn
like any other writer.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from engine.errors import StoreError
from engine.home import thaw_home
from engine.runs.database import BUSY_SECONDS, database_url
from engine.runs.ids import new_id
from engine.runs.patience import why_away
from engine.runs.process import host_name, start_detached
from engine.runs.queue import num_slots
from engine.runs.search_space import SearchSpec, Value

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

SearchStatus = Literal["running", "stopping", "stopped", "finished", "failed"]
TrialState = Literal["running", "complete", "pruned", "stopped", "failed"]

PREFIX = "thaw-"
SPEC, STATUS, REASON = "spec", "status", "reason"
CREATED_AT, HOST, STOP_REQUESTED = "created_at", "host", "stop_requested"
RUN_ID, OUTCOME, SECONDS, PRUNE = "run_id", "outcome", "seconds", "prune"
LOCK_FILE, LOG_FILE = "driver.lock", "driver.log"


@dataclass(frozen=True)
class Search:
    """A search as it stands, without its trials.

    Attributes:
        id: sixteen hexadecimal digits; eight where an earlier Thaw made it.
        spec: what it goes over.
        status: whether it goes on, and if not, how it ended.
        reason: why it failed, in one sentence; else empty.
        created_at: seconds since the Unix epoch.
        host: the machine that its process runs on.
        num_asked: trials so far, whatever became of them.
    """

    id: str
    spec: SearchSpec
    status: SearchStatus
    reason: str
    created_at: float
    host: str
    num_asked: int

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return self.status in ("running", "stopping")


@dataclass(frozen=True)
class Trial:
    """One trial of a search, which is a run in the store.

    Attributes:
        number: counts from 0.
        state: stopped is by hand, pruned by the search.
        params: values of the searched settings, as the run has them.
        run_id: None where no run came of it.
        accuracy: best validation accuracy so far (fraction), None before the first epoch.
        num_epochs: epochs that were completed.
        seconds: what the run took; None while it goes on.
        reason: why it failed or was stopped, in one sentence; else empty.
    """

    number: int
    state: TrialState
    params: dict[str, Value]
    run_id: str | None
    accuracy: float | None
    num_epochs: int
    seconds: float | None
    reason: str


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Returns the completed trial with the highest accuracy, of equals the quickest."""
    ranked = ranked_trials(trials)
    return ranked[0] if ranked else None


def ranked_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the completed trials, the best first, of equals the quickest."""
    complete = [one for one in trials if one.state == "complete" and one.accuracy is not None]
    return sorted(complete, key=lambda one: (-(one.accuracy or 0.0), one.seconds or 0.0))


def count_states(trials: Sequence[Trial]) -> dict[TrialState, int]:
    """Returns how many trials are in each state."""
    states: tuple[TrialState, ...] = ("running", "complete", "pruned", "stopped", "failed")
    return {state: sum(one.state == state for one in trials) for state in states}


def start_search(spec: SearchSpec) -> Search:
    """Takes a search down and starts the process that drives it.

    Raises:
        SpecError: THAW_MAX_RUNS is not a whole number of at least 1.
        StoreError: the database cannot be used.
    """
    import optuna

    num_slots()
    search_id = new_id()
    with open_studies(for_new=True) as storage:
        study = optuna.create_study(
            storage=storage, study_name=PREFIX + search_id, direction="maximize"
        )
        study.set_user_attr(CREATED_AT, time.time())
        study.set_user_attr(HOST, host_name())
        study.set_user_attr(SPEC, spec.model_dump(mode="json"))
    start_driver(search_id)
    return find_search(search_id)


def all_searches() -> list[Search]:
    """Returns all searches, newest first."""
    if not _has_studies():
        return []
    import optuna

    with open_studies() as storage:
        summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    found = [
        _search(one.study_name.removeprefix(PREFIX), one.user_attrs, one.n_trials)
        for one in summaries
        if one.study_name.startswith(PREFIX) and SPEC in one.user_attrs
    ]
    return sorted(found, key=lambda search: -search.created_at)


def find_search(search_id: str) -> Search:
    """Returns the search with this id, or whose id alone starts with it.

    Raises:
        StoreError: no search or several answer to it.
    """
    found = [one for one in all_searches() if search_id and one.id.startswith(search_id)]
    if not found:
        raise StoreError(f"There is no search {search_id!r}; `thaw searches` lists them.")
    found.sort(key=lambda one: len(one.id))
    if len(found) > 1 and found[0].id != search_id:
        raise StoreError(f"Several searches start with {search_id!r}; give more of the id.")
    return found[0]


def trials_of(search_id: str) -> list[Trial]:
    """Returns the trials of a search, in the order in which they were asked for."""
    return look_at(search_id)[1]


def look_at(search_id: str) -> tuple[Search, list[Trial]]:
    """Returns a search by its whole id, and its trials, at the cost of one look.

    Raises:
        StoreError: there is no such search.
    """
    with open_studies() as storage:
        study = load_study(storage, search_id)
        frozen_trials = study.get_trials(deepcopy=False)
        search = _search(search_id, study.user_attrs, len(frozen_trials))
    return search, [_trial(one, search.spec) for one in frozen_trials]


def stop_search(search_id: str) -> None:
    """Asks a search to end: its runs stop after their present step, no new one starts."""
    with open_studies() as storage:
        load_study(storage, search_id).set_user_attr(STOP_REQUESTED, True)
    tend_searches()


def go_on(search_id: str) -> None:
    """Lets a search that was stopped or failed go on with the trials that it has not asked for."""
    with open_studies() as storage:
        study = load_study(storage, search_id)
        study.set_user_attr(STOP_REQUESTED, False)
        study.set_user_attr(HOST, host_name())
        set_status(study, "running")
    start_driver(search_id)


def tend_searches() -> None:
    """Starts the processes of searches that should go on and whose process is gone.

    Whoever looks at searches calls this first. A search of another machine is left to that one.
    """
    for search in all_searches():
        tend_search(search)


def tend_search(search: Search) -> None:
    """Starts the process of one search, if it should go on and its process is gone."""
    if search.is_active and search.host == host_name() and not driver_at_work(search.id):
        start_driver(search.id)


def search_folder(search_id: str) -> Path:
    """Returns the folder with the lock and the log of a search's process."""
    folder = thaw_home() / "searches" / search_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start_driver(search_id: str) -> None:
    """Starts the process that drives a search; it ends soon where one is at work."""
    start_detached(["engine.runs.search", search_id], search_folder(search_id) / LOG_FILE)


def driver_at_work(search_id: str) -> bool:
    """Returns whether a process of this THAW_HOME drives the search."""
    try:
        with FileLock(search_folder(search_id) / LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def open_studies(for_new: bool = False) -> Iterator["RDBStorage"]:
    """Gives Optuna's storage in the database of the runs.

    Args:
        for_new: make Optuna's tables where there are none, and check that it knows those that
            there are; whoever looks again and again leaves both out, since they take longest.

    Raises:
        StoreError: the database cannot be opened, holds no study yet, or those of another Optuna.
    """
    if not for_new and not _has_studies():
        raise StoreError("There is no search yet; start one with `thaw search` or on its page.")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_url()
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    # A generous wait: training processes write to the same file.
    engine_kwargs: dict[str, Any] = (
        {"connect_args": {"timeout": BUSY_SECONDS}} if is_sqlite else {"pool_pre_ping": True}
    )
    try:
        # Two processes that make the tables at once would be in each other's way.
        with FileLock(thaw_home() / "searches.lock"):
            storage = optuna.storages.RDBStorage(
                url,
                engine_kwargs=engine_kwargs,
                skip_table_creation=not for_new,
                skip_compatibility_check=not for_new,
            )
    except (SQLAlchemyError, RuntimeError, ImportError) as error:
        raise StoreError(
            f"The searches cannot be read from the store: {why_away(error)}"
        ) from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def load_study(storage: "RDBStorage", search_id: str) -> "Study":
    """Returns the study of a search.

    Raises:
        StoreError: there is no such search.
    """
    import optuna

    try:
        return optuna.load_study(
            storage=storage,
            study_name=PREFIX + search_id,
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
        )
    except KeyError as error:
        raise StoreError(
            f"There is no search {search_id!r}; `thaw searches` lists them."
        ) from error


def set_status(study: "Study", status: SearchStatus, reason: str = "") -> None:
    """Writes down how a search stands."""
    study.set_user_attr(REASON, reason)
    study.set_user_attr(STATUS, status)


def _has_studies() -> bool:
    engine = create_engine(database_url())
    try:
        return inspect(engine).has_table("studies")
    except SQLAlchemyError as error:
        raise StoreError(
            f"The searches cannot be read from the store: {why_away(error)}"
        ) from error
    finally:
        engine.dispose()


def _search(search_id: str, attributes: dict[str, Any], num_asked: int) -> Search:
    status: SearchStatus = attributes.get(STATUS, "running")
    if status == "running" and attributes.get(STOP_REQUESTED):
        status = "stopping"
    return Search(
        id=search_id,
        spec=SearchSpec.model_validate(attributes[SPEC]),
        status=status,
        reason=attributes.get(REASON, ""),
        created_at=attributes[CREATED_AT],
        host=attributes[HOST],
        num_asked=num_asked,
    )


def _trial(frozen: "FrozenTrial", spec: SearchSpec) -> Trial:
    attributes = frozen.user_attrs
    reached = list(frozen.intermediate_values.values())
    return Trial(
        number=frozen.number,
        state=attributes.get(OUTCOME, "failed") if frozen.state.is_finished() else "running",
        params=spec.rounded(frozen.params),
        run_id=attributes.get(RUN_ID),
        accuracy=max(reached, default=None),
        num_epochs=len(reached),
        seconds=attributes.get(SECONDS),
        reason=attributes.get(REASON, ""),
    )
