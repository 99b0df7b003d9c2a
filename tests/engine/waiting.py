"""Waiting for what other processes do, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
POLL_SECONDS = 0.05


def wait_for(condition: Callable[[], Result | None], seconds: float, what: str) -> Result:
    """Returns the first true value of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(POLL_SECONDS)
