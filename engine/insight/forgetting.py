"""What a model that is updated again and again keeps: metrics of continual learning. No torch here.

Sources: Lopez-Paz & Ranzato 2017 (average accuracy, backward transfer); Chaudhry et al. 2018
(forgetting).

Shapes: T batches of images, in the order in which they came.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


def continual(accuracy_TT: NDArray[np.float64]) -> Continual:
    """Returns the metrics of a lineage.

    Args:
        accuracy_TT: accuracy (fraction) after training on batch `row` of batch `column`; what is
            above the diagonal was not learnt then, does not count and may be NaN.

    Raises:
        ValueError: the matrix is not square, or empty, or a number on or below the diagonal is
            missing.
    """
    if (
        accuracy_TT.ndim != 2
        or accuracy_TT.shape[0] != accuracy_TT.shape[1]
        or not accuracy_TT.size
    ):
        raise ValueError(f"the matrix of accuracies has the shape {accuracy_TT.shape}")
    learnt_TT = np.tril(np.ones_like(accuracy_TT, dtype=bool))
    if not np.isfinite(accuracy_TT[learnt_TT]).all():
        raise ValueError("an accuracy on or below the diagonal is missing")
    last_T = accuracy_TT[-1]
    average = float(last_T.mean())
    if len(accuracy_TT) == 1:
        return Continual(average, None, None, ())
    earlier = slice(None, -1)
    transfer_T = last_T[earlier] - np.diag(accuracy_TT)[earlier]
    best_T = np.where(learnt_TT, accuracy_TT, -np.inf)[earlier, earlier].max(axis=0)
    lost_T = best_T - last_T[earlier]
    return Continual(
        average,
        float(transfer_T.mean()),
        float(lost_T.mean()),
        tuple(float(lost) for lost in lost_T),
    )
