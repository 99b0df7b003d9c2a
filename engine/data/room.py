"""Memory that several threads share: who would take too much waits until others have finished."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """So many bytes, of which each taker gets a part for a while."""

    def __init__(self, num_bytes: int):
        """Begins with all of it free.

        Args:
            num_bytes: that may be taken at once.
        """
        self._num_bytes = num_bytes
        self._free = num_bytes
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, num_bytes: int) -> Iterator[None]:
        """Takes a part of it, once that much is free.

        Args:
            num_bytes: of more than there is, all is taken.
        """
        wanted = min(num_bytes, self._num_bytes)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
