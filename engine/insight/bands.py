"""One curve for several runs of a way: its mean over them, and how far it can be believed.

No torch here. Shapes: R runs, E epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.insight.compare import RunReport
from engine.insight.intervals import LEVEL

Against = Literal["epochs", "seconds"]


@dataclass(frozen=True)
class Band:
    """The mean of a metric over runs, epoch by epoch, as far as all of them came.

    Attributes:
        x: epochs, or mean seconds since each run's first image.
        mean: over the runs.
        low: lower end of the band.
        high: upper end.
        num_runs: that it is the mean of.
        num_left_out: epochs that some runs had and others had not.
    """

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    num_runs: int
    num_left_out: int = 0

    @property
    def meaning(self) -> str:
        """What the band is, in words; empty for a single run, which has none."""
        return meaning(self.num_runs)


def meaning(num_runs: int) -> str:
    """Returns what the band about the mean of so many runs is; empty for a single one."""
    if num_runs < 2:
        return ""
    return "least to greatest of the two" if num_runs == 2 else "95 % interval of the mean"


def band(reports: Sequence[RunReport], metric: str, against: Against = "epochs") -> Band | None:
    """Returns the mean curve of a metric over runs; None before each has completed an epoch.

    With three runs or more the band is Student's interval of the mean at each epoch by itself; of
    two it is what lies between them, since an interval from two is as wide as the chart. Shares
    and losses end at 0, and shares at 1.

    Args:
        reports: of one way.
        metric: such as `val/accuracy`.
        against: what x is.
    """
    num = min((len(one.epochs) for one in reports), default=0)
    if num == 0:
        return None
    longest = max(len(one.epochs) for one in reports)
    values_RE = _values(reports, metric, num)
    mean_E = values_RE.mean(axis=0)
    low_E, high_E = _ends(values_RE, mean_E)
    is_share = not metric.endswith("loss")
    x_E = _values(reports, "elapsed_seconds", num).mean(axis=0)
    if against == "epochs":
        x_E = np.array([event.epoch for event in reports[0].epochs[:num]], dtype=np.float64)
    return Band(
        x=x_E,
        mean=mean_E,
        low=np.maximum(low_E, 0.0),
        high=np.minimum(high_E, 1.0) if is_share else high_E,
        num_runs=len(reports),
        num_left_out=longest - num,
    )


def _values(reports: Sequence[RunReport], metric: str, num: int) -> NDArray[np.float64]:
    return np.array(
        [[float(event.values[metric] or 0.0) for event in one.epochs[:num]] for one in reports]
    )


def _ends(
    values_RE: NDArray[np.float64], mean_E: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    num = len(values_RE)
    if num < 3:
        return values_RE.min(axis=0), values_RE.max(axis=0)
    half_E = stats.t.ppf(0.5 + LEVEL / 2, num - 1) * values_RE.std(axis=0, ddof=1) / num**0.5
    return mean_E - half_E, mean_E + half_E
