"""Loss, accuracy and macro F1 over the images of an epoch.

Shapes: B images of a batch, N of an epoch, K classes.
"""

from collections.abc import Mapping, Sequence

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

    @property
    def sizes(self) -> list[int]:
        """Images of each batch so far."""
        return [len(one) for one in self._labels]

    def tensors(self) -> dict[str, Tensor]:
        """Returns all that was taken down, one batch after the other."""
        none = torch.empty(0, device=self._device)
        return {
            "losses": torch.stack(self._losses) if self._losses else none,
            "predicted": torch.cat(self._predicted) if self._predicted else none,
            "labels": torch.cat(self._labels) if self._labels else none,
        }

    def load(self, tensors: Mapping[str, Tensor], sizes: Sequence[int]) -> None:
        """Takes over what `tensors` and `sizes` gave."""
        moved = {name: tensors[name].to(self._device) for name in ("losses", "predicted", "labels")}
        self._losses = list(moved["losses"].unbind())
        self._predicted = list(torch.split(moved["predicted"], list(sizes)))
        self._labels = list(torch.split(moved["labels"], list(sizes)))

    def result(self, split: str) -> dict[str, float]:
        """Returns `<split>/loss`, `<split>/accuracy` and `<split>/f1` (fractions)."""
        predicted, labels = torch.cat(self._predicted), torch.cat(self._labels)
        loss = MeanMetric().to(self._device)
        sizes_B = torch.tensor(self.sizes, device=self._device)
        loss.update(torch.stack(self._losses), weight=sizes_B)
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
