"""What a model that is updated again and again keeps: metrics of continual learning. No torch here.

Sources: Lopez-Paz & Ranzato 2017 (average accuracy, backward transfer); Chaudhry et al. 2018
(forgetting).

Shapes: T batches of images, in the order in which they came.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Below what is shown, a change is none.
NOTHING = 0.0005


@dataclass(frozen=True)
class Continual:
    """What is left of all batches in the end.

    Attributes:
        average_accuracy: mean accuracy over all batches after the last update (fraction).
        backward_transfer: mean over the earlier batches of accuracy at the end less that when the
            batch was learnt; None where there is one batch. Below 0: later batches did harm.
        forgetting: mean over the earlier batches of the highest accuracy before the last update
            less that at the end; None where there is one batch.
        forgetting_of: the same for each earlier batch by itself.
    """

    average_accuracy: float
    backward_transfer: float | None
    forgetting: float | None
    forgetting_of: tuple[float, ...]


@dataclass(frozen=True)
class Definition:
    """What a metric of a lineage is.

    Attributes:
        name: of the attribute of Continual.
        label: what a person reads.
        unit: of a hundred times its value.
        sentence: how it is defined.
        source: the paper (authors, year).
    """

    name: Literal["average_accuracy", "backward_transfer", "forgetting"]
    label: str
    unit: Literal["%", "points"]
    sentence: str
    source: str

    def meaning(self, value: float) -> str:
        """Returns what a value says, in a sentence."""
        size = f"{100 * abs(value):.1f} points"
        if self.name == "average_accuracy":
            return f"The newest model tells {100 * value:.1f} % right, each batch counting alike."
        if abs(value) < NOTHING:
            return "What earlier batches taught is kept, on average."
        if self.name == "backward_transfer":
            change = "rose" if value > 0 else "fell"
            return f"Since a batch was learnt, accuracy on it {change} by {size}, on average."
        if value < 0:
            return f"On earlier batches the newest model beats all before it by {size}, on average."
        return f"Of the best that a model before could do on a batch, {size} are gone, on average."


DEFINITIONS = (
    Definition(
        "average_accuracy",
        "Average accuracy",
        "%",
        "The mean, over all batches so far, of the newest model's accuracy on each.",
        "Lopez-Paz & Ranzato 2017",
    ),
    Definition(
        "backward_transfer",
        "Backward transfer",
        "points",
        "The mean, over all earlier batches, of the newest model's accuracy less that right after "
        "the batch was learnt; below 0, later batches did harm.",
        "Lopez-Paz & Ranzato 2017",
    ),
    Definition(
        "forgetting",
        "Forgetting",
        "points",
        "The mean, over all earlier batches, of the highest accuracy of any model before the "
        "newest, since the batch was learnt, less the newest model's.",
        "Chaudhry et al. 2018",
    ),
)


def continual(
    accuracy_TT: NDArray[np.float64], judged_T: NDArray[np.bool_] | None = None
) -> Continual:
    """Returns the metrics of a lineage.

    Args:
        accuracy_TT: accuracy (fraction) after training on batch `row` of batch `column`; what is
            above the diagonal was not learnt then, does not count and may be NaN.
        judged_T: which batches have images to judge by, by default all; the means are over them.

    Raises:
        ValueError: the matrix is not square, or empty, or a number on or below the diagonal is
            missing, or no batch is judged.
    """
    if (
        accuracy_TT.ndim != 2
        or accuracy_TT.shape[0] != accuracy_TT.shape[1]
        or not accuracy_TT.size
    ):
        raise ValueError(f"the matrix of accuracies has the shape {accuracy_TT.shape}")
    if judged_T is None:
        judged_T = np.ones(len(accuracy_TT), dtype=bool)
    learnt_TT = np.tril(np.ones_like(accuracy_TT, dtype=bool)) & judged_T
    if not judged_T.any() or not np.isfinite(accuracy_TT[learnt_TT]).all():
        raise ValueError("an accuracy on or below the diagonal is missing")
    last_T = accuracy_TT[-1]
    average = float(last_T[judged_T].mean())
    earlier = np.flatnonzero(judged_T[:-1])
    if not len(earlier):
        return Continual(average, None, None, ())
    transfer_T = last_T[earlier] - np.diag(accuracy_TT)[earlier]
    best_T = np.where(learnt_TT, accuracy_TT, -np.inf)[:-1, earlier].max(axis=0)
    lost_T = best_T - last_T[earlier]
    return Continual(
        average,
        float(transfer_T.mean()),
        float(lost_T.mean()),
        tuple(float(lost) for lost in lost_T),
    )
