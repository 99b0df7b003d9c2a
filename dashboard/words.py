"""How runs, shares and durations are named and coloured, with no need of a page."""

import re
from collections.abc import Sequence

from dashboard.palette import run_colour
from engine.insight.experiment import Way
from engine.runs.store import Run
from engine.strategies import STRATEGIES

# Runs that the name of a file names.
NAMED = 3


def colour_of(run: Run) -> str:
    """Returns the run's colour."""
    return run_colour(STRATEGIES[run.spec.strategy.name].temperature, run.colour)


def label_of(run: Run) -> str:
    """Returns the run's name with enough of its id to tell it from its namesakes.

    A run from random weights says so, since it is no pre-trained model that is updated there.
    """
    random = " · random weights" if run.spec.model.weights == "random" else ""
    return f"{run.name} · {run.id[:4]}{random}"


def way_name(way: Way) -> str:
    """Returns what a way is called: its run where there is one, else what tells it from others."""
    return label_of(way.reports[0].run) if len(way.reports) == 1 else way.label


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


def names_of(runs: Sequence[Run]) -> str:
    """Returns a few runs in words that are short enough for a file's name."""
    told = [f"{run.spec.strategy.name} {run.id[:4]}" for run in runs[:NAMED]]
    more = [f"and {len(runs) - NAMED} more"] if len(runs) > NAMED else []
    return " ".join([*told, *more])


def file_stem(words: str) -> str:
    """Returns words as a file's name that any system takes, without its ending."""
    return re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-")[:100].rstrip("-") or "thaw"
