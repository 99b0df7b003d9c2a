"""What a run's best epoch says about each validation image. No torch is imported here.

Shapes: N validation images, K classes.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from engine.data.manifest import Manifest

FILE_NAME = "predictions.npz"
# Of an update: what the model that is updated says of the same images.
BEFORE_FILE = "before.npz"


@dataclass(frozen=True)
class Predictions:
    """Labels and probabilities in the order of the manifest's `val`.

    Attributes:
        labels_N: true class indices.
        probabilities_NK: softmax of the logits, float32.
        epoch: the epoch that made them; counts from 1.
    """

    labels_N: NDArray[np.int64]
    probabilities_NK: NDArray[np.float32]
    epoch: int

    @property
    def predicted_N(self) -> NDArray[np.int64]:
        """Returns the most probable class of each image."""
        predicted_N: NDArray[np.int64] = self.probabilities_NK.argmax(axis=1)
        return predicted_N

    @classmethod
    def of_logits(cls, manifest: "Manifest", logits_NK: "Tensor", epoch: int) -> "Predictions":
        """Returns the predictions that logits (N, K) of the validation images come to."""
        labels_N = np.array([item.label for item in manifest.val], dtype=np.int64)
        return cls(labels_N, logits_NK.softmax(dim=1).numpy(), epoch)

    def save(self, folder: Path, name: str = FILE_NAME) -> None:
        """Writes them into a run's folder, whole or not at all."""
        with replacing(folder / name) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                labels=self.labels_N,
                probabilities=self.probabilities_NK,
                epoch=np.int64(self.epoch),
            )

    @classmethod
    def load(cls, folder: Path, name: str = FILE_NAME) -> "Predictions | None":
        """Returns the predictions in a run's folder, or None where it has none that are whole."""
        # NumPy raises whatever the bytes lead it to; nothing in them is ever run.
        with (
            contextlib.suppress(Exception),
            (folder / name).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            return cls(arrays["labels"], arrays["probabilities"], int(arrays["epoch"]))
        return None


def confusion_matrix(predictions: Predictions) -> NDArray[np.int64]:
    """Returns counts (K, K): rows are true classes, columns predicted ones."""
    num_classes = predictions.probabilities_NK.shape[1]
    return confusion_counts(predictions.labels_N, predictions.predicted_N, num_classes)


def confusion_counts(
    labels_N: NDArray[np.integer], predicted_N: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """Returns the same counts (K, K), of classes as they are given."""
    # As scikit-learn's confusion_matrix, which takes a second to import on the way to a page.
    counts_KK = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts_KK, (labels_N, predicted_N), 1)
    return counts_KK
