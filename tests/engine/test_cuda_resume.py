"""A run on a GPU that was cut off within an epoch goes on to the same numbers."""

from pathlib import Path

import pytest

from engine.training.session import Session
from tests.engine.gpu import GPU, NEEDS_GPU
from tests.engine.test_resume import ended
from tests.engine.test_resume_within import (
    EVERYTHING,
    _states_after_each_step,
    random_cuts,
    require_next_steps,
    require_the_same,
    spec_of,
)

__all__ = ["_states_after_each_step", "ended"]

pytestmark = NEEDS_GPU


@pytest.mark.parametrize("precision", ["full", "mixed"])
def test_dropout_goes_on_where_it_was(
    precision: str, tiny_folder: Path, tmp_path: Path, ended: list[Session]
) -> None:
    spec = spec_of(tiny_folder, EVERYTHING | GPU | {"training.precision": precision})
    cuts = random_cuts(precision, 3)
    require_next_steps(require_the_same(spec, tmp_path, cuts, ended), cuts)
