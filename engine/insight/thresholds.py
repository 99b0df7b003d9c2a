"""Two classes: what each threshold of the probability gives. No torch here.

Shapes: N images, T thresholds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from engine.insight.classes import Judgement, share_estimate
from engine.insight.intervals import Estimate


@dataclass(frozen=True)
class Ranking:
    """How well a run's probability of one of two classes tells them apart.

    Attributes:
        positive: the class whose probability it is.
        positive_N: which images are of it.
        scores_N: probability of it.
    """

    positive: str
    positive_N: NDArray[np.bool_]
    scores_N: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Area under the precision-recall curve, by steps: no threshold has to be chosen.

        Source: scikit-learn's average_precision_score; Davis & Goadrich 2006, on why the points
        are not joined by lines.
        """
        return float(average_precision_score(self.positive_N, self.scores_N))

    @property
    def roc_auc(self) -> float:
        """Chance that an image of the class has a higher probability than one of the other.

        Source: Hanley & McNeil 1982.
        """
        return float(roc_auc_score(self.positive_N, self.scores_N))

    @property
    def share_of_positive(self) -> float:
        """Fraction of the images that are of the class: what precision is at recall 1."""
        return float(self.positive_N.mean())

    def precision_recall(self) -> "Curve":
        """Returns precision (y) against recall (x), by falling threshold."""
        precision, recall, thresholds = precision_recall_curve(self.positive_N, self.scores_N)
        # The last point has no threshold: nothing is named any more.
        return Curve(recall[::-1], precision[::-1], np.append(thresholds, np.inf)[::-1])

    def roc(self) -> "Curve":
        """Returns the share of the class that is found (y) against that of false alarms (x)."""
        return Curve(*roc_curve(self.positive_N, self.scores_N, drop_intermediate=False))

    def at(self, threshold: float) -> "Verdict":
        """Returns what comes of naming the class wherever its probability reaches a threshold."""
        named_N = self.scores_N >= threshold
        return Verdict(
            threshold=threshold,
            true_positives=int((named_N & self.positive_N).sum()),
            false_positives=int((named_N & ~self.positive_N).sum()),
            false_negatives=int((~named_N & self.positive_N).sum()),
            true_negatives=int((~named_N & ~self.positive_N).sum()),
        )

    def best_f1(self) -> "Verdict":
        """Returns the threshold with the highest F1 on these images, the highest of equals.

        It is chosen on the images that it is judged by, so it flatters.
        """
        return max(
            (self.at(float(one)) for one in np.unique(self.scores_N)[::-1]),
            key=lambda verdict: verdict.f1,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data, with the verdicts at 0.5 and at the best F1."""
        return {
            "positive": self.positive,
            "images": len(self.scores_N),
            "positive_images": int(self.positive_N.sum()),
            "average_precision": self.average_precision,
            "roc_auc": self.roc_auc,
            "at_half": self.at(0.5).to_dict(),
            "best_f1": self.best_f1().to_dict(),
        }


@dataclass(frozen=True)
class Curve:
    """A curve and the threshold of each of its points.

    Attributes:
        x_T: fractions.
        y_T: fractions.
        thresholds_T: probabilities from which the class is named; infinite where it never is.
    """

    x_T: NDArray[np.float64]
    y_T: NDArray[np.float64]
    thresholds_T: NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What a threshold comes to, in images.

    Attributes:
        threshold: probability from which the class is named.
        true_positives: of the class, and named so.
        false_positives: of the other, and named so.
        false_negatives: of the class, and not named so.
        true_negatives: of the other, and not named so.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> Estimate | None:
        """Share of those named that are of the class; None where none is named."""
        return share_estimate(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Estimate | None:
        """Share of the class that is named."""
        return share_estimate(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, a fraction; 0 where none is named."""
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / (2 * self.true_positives + wrong)

    @property
    def accuracy(self) -> Estimate:
        """Share of all images that are right."""
        right = self.true_positives + self.true_negatives
        found = share_estimate(right, right + self.false_positives + self.false_negatives)
        assert found is not None
        return found

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        precision, recall = self.precision, self.recall
        return {
            "threshold": self.threshold,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            "true_negatives": self.true_negatives,
            "precision": None if precision is None else precision.to_dict(),
            "recall": None if recall is None else recall.to_dict(),
            "f1": self.f1,
            "accuracy": self.accuracy.to_dict(),
        }


def ranking(judged: Judgement, positive: str) -> Ranking | None:
    """Returns how well a run tells a class from the other one.

    None where there are not two classes of which the validation images have both.

    Args:
        judged: what the run says.
        positive: name of the class that counts as positive.
    """
    if len(judged.classes) != 2 or positive not in judged.classes:
        return None
    place = judged.classes.index(positive)
    positive_N = judged.labels_N == place
    if positive_N.all() or not positive_N.any():
        return None
    return Ranking(positive, positive_N, judged.probabilities_NK[:, place].astype(np.float64))
