"""Loss, accuracy and macro F1 over the images of an epoch.

Shapes: B images of a batch, N of an epoch, K classes.
"""

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.functional.classification import multiclass_accuracy


class EpochMetrics:
    """Running metrics; every image counts the same, whatever the size of its batch.

    A step only takes down what was predicted: where a head learns alone, working the metrics out
    at each would take longer than the step.
    """

    def __init__(self, num_classes: int, device: torch.device):
        self._num_classes = num_classes
        self._device = device
        self._losses: list[Tensor] = []
        self._predicted: list[Tensor] = []
        self._labels: list[Tensor] = []

    def update(self, loss: Tensor, logits_BK: Tensor, labels_B: Tensor) -> None:
        """Adds a batch: its mean loss (), logits (B, K) and labels (B,)."""
        self._losses.append(loss.detach())
        self._predicted.append(logits_BK.detach().argmax(dim=1))
        self._labels.append(labels_B)

    def result(self, split: str) -> dict[str, float]:
        """Returns `<split>/loss`, `<split>/accuracy` and `<split>/f1` (fractions)."""
        predicted, labels = torch.cat(self._predicted), torch.cat(self._labels)
        loss = MeanMetric().to(self._device)
        sizes = torch.tensor([len(one) for one in self._labels], device=self._device)
        loss.update(torch.stack(self._losses), weight=sizes)
        return {
            f"{split}/loss": float(loss.compute()),
            f"{split}/accuracy": float(
                multiclass_accuracy(predicted, labels, self._num_classes, average="micro")
            ),
            f"{split}/f1": macro_f1(predicted, labels, self._num_classes),
        }


def macro_f1(predicted_N: Tensor, labels_N: Tensor, num_classes: int) -> float:
    """Returns the mean F1 (fraction) of the classes that occur among labels or predictions.

    Where numbers are to repeat, torchmetrics fills a table of N x K x K for it: 14 GB for 20,000
    images of 200 classes.
    """
    right_N = labels_N[predicted_N == labels_N]
    right_K, found_K, there_K = (
        torch.bincount(classes, minlength=num_classes)
        for classes in (right_N, predicted_N, labels_N)
    )
    occurs = found_K + there_K > 0
    return float((2 * right_K / (found_K + there_K))[occurs].mean())
