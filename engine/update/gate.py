"""Whether an update may take the place of the model that it updates: a rule, beyond noise.

No torch here.

Shapes: N validation images of an update.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SpecError
from engine.insight.intervals import Estimate
from engine.insight.paired import paired_difference
from engine.insight.updates import Update

# More validation images than anybody has.
MOST_IMAGES = 10_000_000
LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.5, 0.9999


@dataclass(frozen=True)
class Rule:
    """What an update has to keep to.

    Attributes:
        most_forgotten: by which accuracy on old images may fall at most (fraction).
        least_gained: by which accuracy on new images has to rise at least (fraction).
        confidence: with which each of the two has to be sure (fraction).

    Raises:
        SpecError: a number is out of range.
    """

    most_forgotten: float = 0.02
    least_gained: float = 0.05
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("most_forgotten", "least_gained"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SpecError(
                    f"{name} is {getattr(self, name):g}; give a fraction from 0 to 1, such as 0.02."
                )
        if not LEAST_CONFIDENCE < self.confidence <= MOST_CONFIDENCE:
            raise SpecError(
                f"confidence is {self.confidence:g}; give a fraction above {LEAST_CONFIDENCE} and "
                f"up to {MOST_CONFIDENCE}, such as 0.95."
            )

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"accuracy on old images falls by no more than {_points(self.most_forgotten)} and on "
            f"new ones rises by at least {_points(self.least_gained)}, each with a confidence of "
            f"{100 * self.confidence:g} %"
        )

    def to_dict(self) -> dict[str, float]:
        """Returns it as plain data."""
        return {
            "most_forgotten": self.most_forgotten,
            "least_gained": self.least_gained,
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class Measured:
    """One part of a rule, held against what was measured.

    Attributes:
        change: accuracy after the update less that before, on the same images, with an interval
            whose ends are each sure by themselves; None where there are no images.
        least: what the change has to be at least.
        num_images: that it was measured on.
        num_broken: images that were told right before, and are not now.
        num_mended: images the other way round.
        images_needed: with about so many it would hold, were the change as it seems; None where it
            holds, or no number of images would do.
    """

    change: Estimate | None
    least: float
    num_images: int
    num_broken: int
    num_mended: int
    images_needed: int | None

    @property
    def holds(self) -> bool:
        """Whether the change is at least that, beyond noise."""
        return self.change is not None and self.change.low >= self.least

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "change": None if self.change is None else self.change.to_dict(),
            "least": self.least,
            "holds": self.holds,
            "num_images": self.num_images,
            "num_broken": self.num_broken,
            "num_mended": self.num_mended,
            "images_needed": self.images_needed,
        }


@dataclass(frozen=True)
class Judgement:
    """A rule held against an update.

    Attributes:
        rule: what was asked.
        old: on the images of earlier batches.
        new: on those of the last batch.
    """

    rule: Rule
    old: Measured
    new: Measured

    @property
    def holds(self) -> bool:
        """Whether both parts of the rule hold."""
        return self.old.holds and self.new.holds

    @property
    def sentences(self) -> tuple[str, str]:
        """What was found of the old images and of the new ones, and why a part does not hold."""
        return (
            _sentence(self.old, "old", f"may fall by at most {_points(self.rule.most_forgotten)}"),
            _sentence(
                self.new, "new", f"has to rise by at least {_points(self.rule.least_gained)}"
            ),
        )

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the update is not to be adopted; nothing where it is."""
        parts = zip((self.old, self.new), self.sentences, strict=True)
        return tuple(sentence for part, sentence in parts if not part.holds)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "rule": self.rule.to_dict(),
            "holds": self.holds,
            "old": self.old.to_dict(),
            "new": self.new.to_dict(),
            "sentences": list(self.sentences),
        }


def judge(update: Update, rule: Rule) -> Judgement:
    """Returns whether an update keeps to a rule.

    The old and the new model are held against each other on the same validation images. A wrong
    update passes with a chance of at most one less the confidence, since both parts have to hold.

    Args:
        update: a finished one.
        rule: to keep to.
    """
    is_new_N = update.is_new_N
    return Judgement(
        rule,
        old=_measured(update, ~is_new_N, -rule.most_forgotten, rule.confidence),
        new=_measured(update, is_new_N, rule.least_gained, rule.confidence),
    )


def _measured(
    update: Update, chosen_N: NDArray[np.bool_], least: float, confidence: float
) -> Measured:
    before_N, after_N = update.right_before_N[chosen_N], update.right_N[chosen_N]
    num = int(chosen_N.sum())
    mended, broken = int((after_N & ~before_N).sum()), int((before_N & ~after_N).sum())
    if not num:
        return Measured(None, least, 0, 0, 0, None)
    change = paired_difference(mended, broken, num, confidence)
    needed = None if change.low >= least else _needed(mended, broken, num, least, confidence)
    return Measured(change, least, num, broken, mended, needed)


def _needed(mended: int, broken: int, num: int, least: float, confidence: float) -> int | None:
    """Returns with about how many images a change would be sure, were its shares as they seem."""

    def is_enough(more: int) -> bool:
        times = more / num
        return paired_difference(mended * times, broken * times, more, confidence).low >= least

    if (mended - broken) / num <= least or not is_enough(MOST_IMAGES):
        return None
    too_few, enough = num, MOST_IMAGES
    while enough - too_few > max(1, too_few // 100):
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if is_enough(middle) else (middle, enough)
    return enough


def _sentence(part: Measured, which: str, asked: str) -> str:
    if part.change is None:
        return f"There are no {which} validation images, so nobody can say whether it {asked}."
    found = (
        f"On {part.num_images:,} {which} validation image{'s' * (part.num_images != 1)} accuracy "
        f"{_moved(part.change.value)} ({part.num_broken:,} broken, {part.num_mended:,} mended)"
    )
    others = f"{found}; on others like them it {_bound(part.change.low, which)}"
    if part.holds:
        return f"{others}, and it {asked}."
    if part.change.value < part.least:
        off = part.least - part.change.value
        return f"{found}, but it {asked}: it misses that by {_points(off)}."
    told = f"{others}, but it {asked}: what was found may be noise."
    if part.images_needed is None:
        return told
    return f"{told} Were it as it seems, about {part.images_needed:,} such images would tell."


def _bound(low: float, which: str) -> str:
    """Returns how far down a change may go, in words."""
    if which == "old":
        return f"could fall by up to {_points(-low)}" if low < 0 else "does not fall"
    return f"rises by at least {_points(low)}" if low > 0 else f"could fall by {_points(-low)}"


def _moved(change: float) -> str:
    if not change:
        return "stayed the same"
    return f"{'rose' if change > 0 else 'fell'} by {_points(abs(change))}"


def _points(fraction: float) -> str:
    """Returns a difference of accuracies in points of a percentage."""
    number = f"{100 * fraction:.1f}".removesuffix(".0")
    return f"{number} point" if number == "1" else f"{number} points"
