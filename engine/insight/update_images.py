"""Which images an update broke and mended, and what it takes for what. No torch here.

Shapes: N validation images of an update, K classes, O of them old.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.insight.images import Answer, JudgedImage
from engine.insight.updates import Update
from engine.training.predictions import Predictions, confusion_counts

Which = Literal["all", "old", "new"]


@dataclass(frozen=True)
class Blocks:
    """How an update confuses old classes with new ones; all counts are of images.

    Attributes:
        counts_KK: true class (rows) and class that was named (columns); old classes come first.
        num_old: old classes, O.
    """

    counts_KK: NDArray[np.int64]
    num_old: int

    @property
    def num_of_old(self) -> int:
        """Images of old classes."""
        return int(self.counts_KK[: self.num_old].sum())

    @property
    def num_of_new(self) -> int:
        """Images of new classes."""
        return int(self.counts_KK[self.num_old :].sum())

    @property
    def old_right(self) -> int:
        """Images of old classes that are told right."""
        return int(np.diag(self.counts_KK)[: self.num_old].sum())

    @property
    def new_right(self) -> int:
        """Images of new classes that are told right."""
        return int(np.diag(self.counts_KK)[self.num_old :].sum())

    @property
    def old_as_other_old(self) -> int:
        """Images of old classes that are taken for another old class."""
        return int(self.counts_KK[: self.num_old, : self.num_old].sum()) - self.old_right

    @property
    def old_as_new(self) -> int:
        """Images of old classes that are taken for a new class."""
        return int(self.counts_KK[: self.num_old, self.num_old :].sum())

    @property
    def new_as_old(self) -> int:
        """Images of new classes that are taken for an old class."""
        return int(self.counts_KK[self.num_old :, : self.num_old].sum())

    @property
    def new_as_other_new(self) -> int:
        """Images of new classes that are taken for another new class."""
        return int(self.counts_KK[self.num_old :, self.num_old :].sum()) - self.new_right

    def to_dict(self) -> dict[str, Any]:
        """Returns the counts of the four blocks, and what is right of two of them."""
        return {
            "images_of_old_classes": self.num_of_old,
            "images_of_new_classes": self.num_of_new,
            "old_right": self.old_right,
            "old_as_other_old": self.old_as_other_old,
            "old_as_new": self.old_as_new,
            "new_right": self.new_right,
            "new_as_old": self.new_as_old,
            "new_as_other_new": self.new_as_other_new,
        }


def blocks_of(update: Update, which: Which = "all") -> Blocks:
    """Returns what an update takes for what.

    Args:
        update: any.
        which: whose images are counted: all, those of earlier batches, or those of the last.
    """
    chosen_N = {
        "all": np.ones_like(update.is_new_N),
        "old": ~update.is_new_N,
        "new": update.is_new_N,
    }[which]
    found = update.predicted
    counts_KK = confusion_counts(
        found.labels_N[chosen_N], found.predicted_N[chosen_N], len(update.manifest.classes)
    )
    return Blocks(counts_KK, update.num_old_classes)


def broken_images(update: Update) -> list[JudgedImage]:
    """Returns old images that are told right no more, the surest mistakes first.

    The first answer is that of the model before the update, the second that of the model now.
    """
    return _judged(update, update.broken_N, place=1)


def mended_images(update: Update) -> list[JudgedImage]:
    """Returns old images that were told wrong and are told right now, the surest mistakes first."""
    return _judged(update, update.mended_N, place=0)


def _judged(update: Update, places: NDArray[np.intp], place: int) -> list[JudgedImage]:
    images = [_image(update, int(at)) for at in places]
    return sorted(images, key=lambda one: (-one.answers[place].probability, one.path))


def _image(update: Update, at: int) -> JudgedImage:
    item = update.manifest.val[at]
    classes = update.manifest.classes
    answers = tuple(
        _answer(said, at, classes) for said in (update.predicted_before, update.predicted)
    )
    return JudgedImage(item.path, item.digest, classes[item.label], answers)


def _answer(said: Predictions, at: int, classes: Sequence[str]) -> Answer:
    row_K = said.probabilities_NK[at]
    named, label = int(row_K.argmax()), int(said.labels_N[at])
    return Answer(classes[named], float(row_K[named]), float(row_K[label]), named == label)
