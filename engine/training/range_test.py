"""What a learning-rate range test found, and what follows from its curve. No torch is imported.

Source: the range test is Smith's (2015, "Cyclical Learning Rates for Training Neural Networks");
smoothing, limits and the three rules are those of fastai (Howard & Gugger 2020), which suggests the
`valley` by default.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import TrainingError
from engine.strategies import Phase

Group = Literal["head", "backbone"]
Rule = Callable[[NDArray[np.float64], NDArray[np.float64]], float]

SMOOTHING = 0.98
NUM_STEPS = 100
# The test ends once the smoothed loss is so many times its best.
DIVERGED = 4.0
# Fewer points than this show no shape.
LEAST_POINTS = 12
# A fall counts if it is this share of the loss, and so many times as large as noise makes it.
LEAST_FALL = 0.05
LEAST_ERRORS = 4.0
# The loss has risen again once this share of its fall is undone.
LEAST_RISE = 0.15


@dataclass(frozen=True)
class RangeTest:
    """The loss while the learning rate of one part of a model rose exponentially.

    Attributes:
        group: the part that learnt: the head, or the stages of the backbone that ever learn.
        rates: learning rate of each step, rising.
        losses: training loss of the batch of each step.
        smoothed: its running mean, which lags behind.
        suggestion: a learning rate to train with; None where the curve gives none.
        reason: one sentence or two on why.
        method: what was done, in a sentence.
        rules: what each of fastai's rules would suggest, by name.
    """

    group: Group
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    reason: str
    method: str = ""
    rules: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the test as plain data."""
        return asdict(self)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> "RangeTest":
        """Returns the test that plain data describes.

        Raises:
            TrainingError: it describes none.
        """
        lists = {name: tuple(values.get(name, ())) for name in ("rates", "losses", "smoothed")}
        try:
            return cls(**values | lists)
        except TypeError as error:
            raise TrainingError(
                f"This is no range test of learning rates ({error}); make it again."
            ) from error


def learning_stages(phases: Iterable[Phase]) -> dict[str, float]:
    """Returns the stages that learn in any phase, each with its greatest factor."""
    factors: dict[str, float] = {}
    for phase in phases:
        for name, factor in phase.rates.items():
            factors[name] = max(factor, factors.get(name, 0.0))
    return factors


class RunningMean:
    """A loss smoothed as it comes: an exponential mean, without bias towards its start at 0."""

    def __init__(self, smoothing: float = SMOOTHING):
        self._smoothing = smoothing
        self._sum = 0.0
        self._weight = 1.0

    def add(self, value: float) -> float:
        """Returns the mean with one more value counted in."""
        self._sum = self._smoothing * self._sum + (1 - self._smoothing) * value
        self._weight *= self._smoothing
        return self._sum / (1 - self._weight)


def smoothing_for(num_steps: int) -> float:
    """Returns the smoothing with which the curve lags by as many decades as one of 100 steps."""
    return float(SMOOTHING ** (NUM_STEPS / num_steps))


def smooth(losses: Sequence[float], smoothing: float = SMOOTHING) -> list[float]:
    """Returns the running mean of losses."""
    mean = RunningMean(smoothing)
    return [mean.add(loss) for loss in losses]


def steepest(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float:
    """Returns the rate at which the loss falls fastest, on a logarithmic scale."""
    slopes = np.diff(smoothed) / np.diff(np.log(rates))
    return float(rates[int(slopes.argmin())])


def tenth_of_minimum(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float:
    """Returns a tenth of the rate at which the loss is lowest."""
    return float(rates[int(smoothed.argmin())] / 10)


def valley(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float:
    """Returns the rate in the middle of the longest fall.

    A fall is a run of points each lower than the one before, other points in between left out. Its
    middle is half of its length back from its end.
    """
    num_points = len(smoothed)
    length = np.ones(num_points, dtype=int)
    for index in range(1, num_points):
        higher = length[:index][smoothed[:index] > smoothed[index]]
        length[index] += higher.max(initial=0)
    end = int(length.argmax())
    start = max(end - int(length[end]), 0)
    return float(rates[start + (end - start) // 2])


RULES: dict[str, Rule] = {
    "valley": valley,
    "steepest": steepest,
    "tenth_of_minimum": tenth_of_minimum,
}


def analyse(
    group: Group,
    rates: Sequence[float],
    losses: Sequence[float],
    method: str = "",
    smoothing: float = SMOOTHING,
) -> RangeTest:
    """Returns a range test with what follows from its curve.

    Args:
        group: the part that learnt.
        rates: rising learning rates, one a step.
        losses: finite training losses, one a step.
        method: what was done, in a sentence.
        smoothing: share of the running mean that is kept in each step.
    """
    smoothed = smooth(losses, smoothing)
    curve = (tuple(rates), tuple(losses), tuple(smoothed))
    if len(losses) < LEAST_POINTS:
        reason = (
            f"The loss left all bounds after {len(losses)} steps, at a learning rate of "
            f"{written(rates[-1]) if rates else 'next to nothing'}: there is no curve to read."
        )
        return RangeTest(group, *curve, None, reason, method)
    trend = _Trend.of(np.array(rates), np.array(losses))
    if not trend.falls:
        reason = (
            f"The loss never falls: it is {trend.level:.2f} at the smallest rates and no lower "
            f"than {trend.lowest:.2f} at any other, which is within its noise. There is nothing to "
            "suggest; keep the rate that you have."
        )
        return RangeTest(group, *curve, None, reason, method)
    # fastai leaves out the unsteady start and the blow-up at the end.
    kept = slice(len(rates) // 10, len(rates) - 5)
    rules = {
        name: rule(np.array(rates)[kept], np.array(smoothed)[kept]) for name, rule in RULES.items()
    }
    suggestion = rules["valley"]
    return RangeTest(group, *curve, suggestion, trend.reason(suggestion), method, rules)


def written(rate: float) -> str:
    """Returns a rate with one significant digit, as `3e-3`."""
    return f"{rate:.0e}".replace("e-0", "e-").replace("e+00", "")


@dataclass(frozen=True)
class _Trend:
    """The losses averaged over their neighbours on both sides, which does not lag."""

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    level: float
    error: float

    @classmethod
    def of(cls, rates: NDArray[np.float64], losses: NDArray[np.float64]) -> "_Trend":
        half = max(1, len(losses) // 20)
        padded = np.pad(losses, half, mode="edge")
        width = 2 * half + 1
        trend = np.convolve(padded, np.ones(width) / width, mode="valid")
        # At the smallest rates nothing is learnt: there the batches show level and noise.
        still = losses[: max(len(losses) // 5, 4)]
        error = float(still.std(ddof=1) * np.sqrt(1 / width + 1 / len(still)))
        return cls(rates, trend, float(still.mean()), error)

    @property
    def lowest(self) -> float:
        return float(self.losses.min())

    @property
    def falls(self) -> bool:
        return self.level - self.lowest > max(
            LEAST_FALL * abs(self.level), LEAST_ERRORS * self.error
        )

    @property
    def last_low(self) -> int:
        """The last point before the loss has risen again."""
        risen = self.lowest + LEAST_RISE * (self.level - self.lowest)
        return int(np.flatnonzero(self.losses <= risen)[-1])

    def reason(self, suggestion: float) -> str:
        lowest = int(self.losses.argmin())
        fastest = steepest(self.rates[: lowest + 1], self.losses[: lowest + 1])
        beyond = (
            f"beyond {written(float(self.rates[self.last_low]))} it rises"
            if self.last_low < len(self.rates) - 1
            else "it does not rise up to the largest rate tried"
        )
        return (
            f"The loss falls from {self.level:.2f} to {self.lowest:.2f}, fastest around "
            f"{written(fastest)}; {beyond}. {written(suggestion)} lies in the middle of its "
            "longest steady fall."
        )
