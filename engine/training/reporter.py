"""How training tells what happens, and learns that it should stop."""

import time
from collections.abc import Mapping
from typing import Protocol

from engine.events import Kind, Value
from engine.spec import Act

PROGRESS_SECONDS = 0.25


class StopTrainingError(Exception):
    """Raised inside training when a person asked the run to stop, or to pause."""


class Reporter(Protocol):
    """What the training loop needs to know of the world outside."""

    def emit(self, kind: Kind, epoch: int, step: int, values: Mapping[str, Value]) -> None:
        """Records an event; must not hold up training."""

    def should_stop(self) -> bool:
        """Returns whether the run was asked to stop."""

    def take_acts(self) -> list[Act]:
        """Returns what a person asked to be changed since this was last called, in order."""

    def settle(self) -> bool:
        """Returns whether all that was recorded is kept for good; may wait a moment for that."""


class Unsteered:
    """What a Reporter answers whom nobody steers, and who keeps nothing that could be lost."""

    def take_acts(self) -> list[Act]:
        """Returns nothing: nobody asks for any."""
        return []

    def settle(self) -> bool:
        """Returns that nothing is to be waited for."""
        return True


class Pauser(Protocol):
    """What a run that can be paused needs to know beside."""

    def should_pause(self) -> bool:
        """Returns whether the stop that was asked for is a pause."""

    def refuse_pause(self, sentence: str) -> None:
        """Tells why the run goes on, and takes the pause for not asked."""


class Preparation:
    """Progress of what goes before the first epoch, a few times a second."""

    def __init__(self, reporter: Reporter, task: str, total: int):
        self._reporter = reporter
        self._task = task
        self._total = total
        self._done = 0
        self._started = time.perf_counter()
        self._told = 0.0

    @property
    def images_per_second(self) -> float:
        """Images done so far by the time it took."""
        return self._done / max(time.perf_counter() - self._started, 1e-9)

    def advance(self, num_images: int) -> None:
        """Counts images as done.

        Raises:
            StopTrainingError: the run was asked to stop.
        """
        self._done += num_images
        now = time.perf_counter()
        if now - self._told >= PROGRESS_SECONDS or self._done >= self._total:
            self._told = now
            values: dict[str, Value] = {
                "task": self._task,
                "done": self._done,
                "total": self._total,
                "images_per_second": self.images_per_second,
            }
            self._reporter.emit("progress", 0, 0, values)
        if self._reporter.should_stop():
            raise StopTrainingError
