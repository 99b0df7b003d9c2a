"""Ctrl-C that is noticed between two looks at the store, never in the middle of one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            signal.default_int_handler(number, frame)
        self.pressed = True


@contextmanager
def first_interrupt() -> Iterator[Interrupt]:
    """Takes down the first Ctrl-C; a second one raises KeyboardInterrupt as ever.

    An exception out of the middle of a read from SQLite can leave its lock behind, and what is to
    be written next, such as the request to stop, then waits for it in vain.
    """
    interrupt = Interrupt()
    before = signal.signal(signal.SIGINT, interrupt._note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
