"""Loss, accuracy and macro F1 over the images of an epoch.

Shapes: B images, K classes.
"""

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score


class EpochMetrics:
    """Running metrics; every image counts the same, whatever the size of its batch."""

    def __init__(self, num_classes: int, device: torch.device):
        self._loss = MeanMetric().to(device)
        self._accuracy = MulticlassAccuracy(num_classes, average="micro").to(device)
        self._f1 = MulticlassF1Score(num_classes, average="macro").to(device)

    def update(self, loss: Tensor, logits_BK: Tensor, labels_B: Tensor) -> None:
        """Adds a batch: its mean loss (), logits (B, K) and labels (B,)."""
        self._loss.update(loss.detach(), weight=len(labels_B))
        self._accuracy.update(logits_BK.detach(), labels_B)
        self._f1.update(logits_BK.detach(), labels_B)

    def result(self, split: str) -> dict[str, float]:
        """Returns `<split>/loss`, `<split>/accuracy` and `<split>/f1` (fractions)."""
        return {
            f"{split}/loss": float(self._loss.compute()),
            f"{split}/accuracy": float(self._accuracy.compute()),
            f"{split}/f1": float(self._f1.compute()),
        }
