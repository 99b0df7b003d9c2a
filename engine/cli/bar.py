"""A progress bar on stderr for what a command prepares or works out in its own process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from engine.events import Kind, Value
from engine.training.reporter import Unsteered


class BarReporter(Unsteered):
    """A Reporter that moves a progress bar."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._bar = progress.add_task("loading", total=None)

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Shows progress; there is no use for all else."""
        if kind == "progress" and "done" in values:
            shown: dict[str, Any] = {"completed": values["done"], "total": values["total"]}
            self._progress.update(self._bar, description=str(values["task"]), **shown)

    def should_stop(self) -> bool:
        """Returns no: Ctrl-C ends the command."""
        return False


@contextmanager
def bar_reporter(quiet: bool) -> Iterator[BarReporter]:
    """Gives a reporter whose bar is gone afterwards.

    Args:
        quiet: shows none at all.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    where = Console(stderr=True, markup=False)
    # Where it cannot move it would leave an empty line before whatever is said next.
    is_off = quiet or not where.is_terminal
    with Progress(*columns, console=where, disable=is_off, transient=True) as progress:
        yield BarReporter(progress)
