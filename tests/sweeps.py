"""Wide sweeps: a few of their cases in each run of the tests, all of them in `make test-all`."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def sweep(cases: Iterable[Any], is_kept: Callable[[Any], bool]) -> list[Any]:
    """Returns the cases of a parametrisation, marked as slow but for those that are kept."""
    return [one if is_kept(one) else pytest.param(one, marks=pytest.mark.slow) for one in cases]
