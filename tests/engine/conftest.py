"""Fixtures for the engine's tests."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Computes in one thread, here and in the processes that tests start.

    The work of these tests is tiny: several threads gain nothing on it, and on a busy machine they
    wait for each other many times as long as it takes.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        torch = sys.modules.get("torch")
        if torch is None:
            yield
            return
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(num_threads)
