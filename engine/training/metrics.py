"""Loss, accuracy and macro F1 over the images of an epoch.

Shapes: B images, K classes.
"""

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score


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
            f"{split}/f1": float(
                multiclass_f1_score(predicted, labels, self._num_classes, average="macro")
            ),
        }
