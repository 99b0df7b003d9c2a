"""How runs, shares and durations are named and coloured, with no need of a page."""

from dashboard.palette import run_colour
from engine.runs.store import Run
from engine.strategies import STRATEGIES


def colour_of(run: Run) -> str:
    """Returns the run's colour."""
    return run_colour(STRATEGIES[run.spec.strategy.name].temperature, run.colour)


def label_of(run: Run) -> str:
    """Returns the run's name with enough of its id to tell it from its namesakes.

    A run from random weights says so, since it is no pre-trained model that is updated there.
    """
    random = " · random weights" if run.spec.model.weights == "random" else ""
    return f"{run.name} · {run.id[:4]}{random}"


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
