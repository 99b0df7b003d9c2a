"""What the pages know of runs: the store they share, and how a run is named and coloured."""

from functools import cache

import streamlit as st

from dashboard.palette import run_colour
from engine.errors import RunNotFoundError
from engine.runs.store import Run, Store
from engine.strategies import STRATEGIES


@cache
def store() -> Store:
    """Returns the one store of this process."""
    return Store()


def colour_of(run: Run) -> str:
    """Returns the run's colour."""
    return run_colour(STRATEGIES[run.spec.strategy.name].temperature, run.colour)


def label_of(run: Run) -> str:
    """Returns the run's name with enough of its id to tell it from its namesakes."""
    return f"{run.name} · {run.id[:4]}"


def asked_runs() -> list[Run]:
    """Returns the runs that the page's address names, and warns of those that do not exist."""
    found: list[Run] = []
    for run_id in st.query_params.get_all("run"):
        try:
            run = store().run(run_id)
        except RunNotFoundError as error:
            st.warning(str(error), icon=":material/link_off:")
            continue
        if run.id not in {other.id for other in found}:
            found.append(run)
    return found


def percent(fraction: float | None) -> str:
    """Returns a fraction as a percentage, or a dash."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def duration(seconds: float | None) -> str:
    """Returns a duration in words that fit its size, or a dash."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
