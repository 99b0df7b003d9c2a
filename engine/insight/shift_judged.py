"""What is known of runs under shift: what each is judged on, and what it said. No torch here.

Shapes: N images, V versions, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError, WeightsError
from engine.insight.compare import RunReport
from engine.insight.shift_answers import Answers, kept_answers
from engine.insight.shift_tests import ShiftTest, manifest_of, name_of
from engine.runs.store import Run

# Probabilities of the same weights differ by less, whatever machine or batch they are worked out
# in, and however precise its features were.
SAME_PROBABILITY = 0.02


@dataclass(frozen=True)
class JudgedRun:
    """One run under shift.

    Attributes:
        report: of the run.
        test: what it is judged on; None where there is no test for it.
        answers: as far as there are any.
        failure: why it cannot be judged, in a sentence; else empty.
    """

    report: RunReport
    test: ShiftTest | None
    answers: Answers | None
    failure: str = ""

    @property
    def num_done(self) -> int:
        """Images that were looked at."""
        return 0 if self.answers is None else self.answers.num_done

    @property
    def is_judged(self) -> bool:
        """Whether it was judged on any image."""
        return self.answers is not None and bool(self.answers.names)

    @property
    def num_left(self) -> int:
        """Images that were not looked at yet."""
        return 0 if self.test is None else len(self.test.items) - self.num_done

    @property
    def seconds_per_image(self) -> float | None:
        """What an image took in all its versions; None where none was judged."""
        return None if self.answers is None else self.answers.seconds_per_image

    @cached_property
    def right_VN(self) -> NDArray[np.bool_]:
        """Which images it gets right in which version."""
        assert self.test is not None
        assert self.answers is not None
        places = {name: label for label, name in enumerate(self.test.classes)}
        labels_N = np.array([places[name] for name in self.answers.labels])
        right_VN: NDArray[np.bool_] = self.answers.predicted_VN == labels_N
        return right_VN


def judged_runs(
    reports: Sequence[RunReport], test_of: Callable[[Run], ShiftTest]
) -> list[JudgedRun]:
    """Returns what is known of runs under shift; nothing is worked out.

    Args:
        reports: of the runs.
        test_of: gives what a run is judged on; see maker_of_tests.
    """
    found = []
    for one in reports:
        try:
            test = test_of(one.run)
            found.append(JudgedRun(one, test, kept_answers(one.run, test)))
        except (DataError, WeightsError) as error:
            found.append(JudgedRun(one, None, None, _why_not(one, error)))
    return found


def _why_not(one: RunReport, error: DataError | WeightsError) -> str:
    """Says why a run cannot be judged: that it got nowhere, before what is missing for that."""
    if one.best_val_accuracy is not None:
        return str(error)
    run = one.run
    return (
        f"{run.name} ({run.id}) has completed no epoch yet, so there is no model to judge."
        if run.is_active
        else f"{run.name} ({run.id}) ended before its first epoch, so there is no model to judge."
    )


def gone_note(one: JudgedRun) -> str:
    """Says how many images could not be read; empty where all could."""
    gone = one.answers.gone if one.answers else ()
    if not gone:
        return ""
    [path, reason] = gone[0]
    verb = "image is" if len(gone) == 1 else "images are"
    return (
        f"{len(gone):,} {verb} left out that cannot be read or changed since the run, such as "
        f"{path} ({reason})."
    )


def changed_note(one: JudgedRun) -> str:
    """Says so where a run now answers otherwise to its validation images than it recorded."""
    found = one.report.predictions()
    if not one.is_judged or found is None or one.test is None or one.test.folder:
        return ""
    assert one.answers is not None
    rows = {name_of(item): row for row, item in enumerate(manifest_of(one.report.run).val)}
    recorded_NK = found.probabilities_NK[[rows[name] for name in one.answers.names]]
    of_same_N = np.take_along_axis(recorded_NK, one.answers.predicted_VN[0][:, None], axis=1)[:, 0]
    off_N = np.maximum(
        recorded_NK.max(axis=1) - of_same_N, np.abs(of_same_N - one.answers.probability_VN[0])
    )
    num_other = int((off_N > SAME_PROBABILITY).sum())
    if not num_other:
        return ""
    run = one.report.run
    return (
        f"{run.name} ({run.id}) answers otherwise to {num_other:,} of {len(off_N):,} images as "
        "they are than it recorded when it ended: its weights or the libraries have changed since."
    )
