"""What a run's model is good at, class by class, and what it takes for what. No torch here.

Shapes: N images, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.home import run_folder
from engine.insight.compare import RunReport
from engine.insight.images import JudgedImage
from engine.insight.intervals import LEVEL, Estimate
from engine.training.predictions import confusion_counts


@dataclass(frozen=True)
class Judgement:
    """What a run's best epoch says of its validation images.

    Attributes:
        classes: names in the order of the columns.
        labels_N: true classes.
        probabilities_NK: of each class.
    """

    classes: tuple[str, ...]
    labels_N: NDArray[np.int64]
    probabilities_NK: NDArray[np.float32]

    @property
    def predicted_N(self) -> NDArray[np.int64]:
        """The most probable class of each image."""
        predicted_N: NDArray[np.int64] = self.probabilities_NK.argmax(axis=1)
        return predicted_N

    @cached_property
    def counts_KK(self) -> NDArray[np.int64]:
        """Images by true class (rows) and class that was named (columns)."""
        return confusion_counts(self.labels_N, self.predicted_N, len(self.classes))


def judgement(one: RunReport) -> Judgement | None:
    """Returns what a run says of its validation images, None before its first epoch is completed.

    Raises:
        DataError: the list of its images is missing or damaged.
    """
    found = one.predictions()
    if found is None:
        return None
    manifest = Manifest.from_file(run_folder(one.run.id) / MANIFEST_FILE)
    return Judgement(manifest.classes, found.labels_N, found.probabilities_NK)


def shares_of_class(counts_KK: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns a confusion matrix as fractions of each true class; rows without images are 0."""
    shares_KK: NDArray[np.float64] = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    return shares_KK


@dataclass(frozen=True)
class ClassScore:
    """How well a run knows one class.

    Attributes:
        name: of the class.
        num_images: validation images of it.
        num_named: images that were taken for it.
        num_right: images of it that were taken for it.
        precision: share of those named that are of it; None where none was.
        recall: share of those of it that were named so; None where there are none.
        f1: harmonic mean of the two, a fraction; None where there is neither image nor name. It
            is no share of independent images, so it has no interval.
    """

    name: str
    num_images: int
    num_named: int
    num_right: int
    precision: Estimate | None
    recall: Estimate | None
    f1: float | None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "class": self.name,
            "images": self.num_images,
            "named": self.num_named,
            "right": self.num_right,
            "precision": None if self.precision is None else self.precision.to_dict(),
            "recall": None if self.recall is None else self.recall.to_dict(),
            "f1": self.f1,
        }


def class_scores(classes: Sequence[str], counts_KK: NDArray[np.int64]) -> list[ClassScore]:
    """Returns how well each class is known, in the order of the matrix.

    Args:
        classes: their names.
        counts_KK: images by true class (rows) and class that was named (columns).

    Source: Wilson 1927 (score interval), for precision and recall.
    """
    images_K, named_K = counts_KK.sum(axis=1), counts_KK.sum(axis=0)
    rows = zip(classes, images_K.tolist(), named_K.tolist(), np.diag(counts_KK), strict=True)
    return [_score(name, images, named, int(right)) for name, images, named, right in rows]


def _score(name: str, images: int, named: int, right: int) -> ClassScore:
    return ClassScore(
        name=name,
        num_images=images,
        num_named=named,
        num_right=right,
        precision=share_estimate(right, named),
        recall=share_estimate(right, images),
        f1=2 * right / (images + named) if images + named else None,
    )


def share_estimate(part: int, whole: int) -> Estimate | None:
    """Returns a share with its interval; None of nothing.

    Source: Wilson 1927 (score interval).
    """
    if not whole:
        return None
    interval = stats.binomtest(part, whole).proportion_ci(LEVEL, method="wilson")
    return Estimate(part / whole, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes of which a run takes the one for the other.

    Attributes:
        label: true class.
        named: what it was taken for.
        counts: images, one number a run.
        shares: fractions of the true class, likewise.
    """

    label: str
    named: str
    counts: tuple[int, ...]
    shares: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "label": self.label,
            "named": self.named,
            "counts": list(self.counts),
            "shares": list(self.shares),
        }


def confused_pairs(
    classes: Sequence[str], matrices: Sequence[NDArray[np.int64]]
) -> list[ConfusedPair]:
    """Returns what is taken for what, the most frequent in all runs together first.

    Args:
        classes: names, in the order of all matrices.
        matrices: counts (K, K), one a run.
    """
    total_KK = np.sum(matrices, axis=0)
    np.fill_diagonal(total_KK, 0)
    shares = [shares_of_class(one) for one in matrices]
    # Stable, so that equals stay in the order of the classes.
    order = np.argsort(-total_KK, axis=None, kind="stable")
    places = np.unravel_index(order[: int((total_KK > 0).sum())], total_KK.shape)
    return [
        ConfusedPair(
            classes[row],
            classes[column],
            tuple(int(one[row, column]) for one in matrices),
            tuple(float(one[row, column]) for one in shares),
        )
        for row, column in zip(*places, strict=True)
    ]


@dataclass(frozen=True)
class SharedMatrices:
    """Confusion matrices of runs on the images that all of them were judged on.

    Attributes:
        classes: names in the order of rows and columns: of all runs, those of the first first.
        num_images: images that all were judged on.
        matrices: counts (K, K), one a run.
    """

    classes: tuple[str, ...]
    num_images: int
    matrices: tuple[NDArray[np.int64], ...]

    def difference(self) -> NDArray[np.int64]:
        """Returns the second matrix less the first: on the diagonal, more is better."""
        return self.matrices[1] - self.matrices[0]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "classes": list(self.classes),
            "images": self.num_images,
            "matrices": [one.tolist() for one in self.matrices],
        }


def shared_matrices(images: Sequence[JudgedImage], classes: Sequence[str]) -> SharedMatrices:
    """Returns a confusion matrix a run over images that all runs were judged on.

    Args:
        images: what the runs say of them.
        classes: names in the wanted order; those that an image or an answer has beside come last.
    """
    answers = {answer.named for image in images for answer in image.answers}
    beside = sorted((answers | {image.label for image in images}) - set(classes))
    names = (*classes, *beside)
    place = {name: index for index, name in enumerate(names)}
    labels_N = np.array([place[image.label] for image in images], dtype=np.int64)
    num_runs = len(images[0].answers) if images else 0
    matrices = tuple(
        confusion_counts(
            labels_N,
            np.array([place[image.answers[run].named] for image in images], dtype=np.int64),
            len(names),
        )
        for run in range(num_runs)
    )
    return SharedMatrices(names, len(images), matrices)
