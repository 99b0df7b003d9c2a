"""What an update gained and what it forgot. No torch here.

Shapes: N validation images of an update.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import DataError
from engine.home import run_folder
from engine.runs.store import Run
from engine.training.predictions import BEFORE_FILE, Predictions
from engine.update.judging import batch_accuracies


@dataclass(frozen=True)
class Share:
    """Images that were told right, of how many."""

    num_right: int
    num: int

    @property
    def accuracy(self) -> float | None:
        """As a fraction; None of no images."""
        return self.num_right / self.num if self.num else None


@dataclass(frozen=True)
class Judged:
    """Accuracy of a model on the images of earlier batches, on the last batch, and on all."""

    old: Share
    new: Share

    @property
    def all(self) -> Share:
        """Both together."""
        return Share(self.old.num_right + self.new.num_right, self.old.num + self.new.num)

    def to_dict(self) -> dict[str, Any]:
        """Returns accuracies (fractions) and numbers of images."""
        return {
            name: share.accuracy
            for name, share in (("old", self.old), ("new", self.new), ("all", self.all))
        } | {"num_old": self.old.num, "num_new": self.new.num}


@dataclass(frozen=True)
class Update:
    """A finished update, as its folder tells.

    Attributes:
        run: that made it.
        manifest: its images, batch by batch.
        predicted: what the kept model says of the validation images.
        predicted_before: what the model that was updated said of them.
    """

    run: Run
    manifest: Manifest
    predicted: Predictions
    predicted_before: Predictions

    @cached_property
    def is_new_N(self) -> NDArray[np.bool_]:
        """Whether an image came with the last batch."""
        count = len(self.manifest.val)
        is_new_N: NDArray[np.bool_] = np.arange(count) >= count - self.manifest.batches[-1].num_val
        return is_new_N

    @cached_property
    def right_N(self) -> NDArray[np.bool_]:
        """Whether the kept model tells an image right."""
        right_N: NDArray[np.bool_] = self.predicted.predicted_N == self.predicted.labels_N
        return right_N

    @cached_property
    def right_before_N(self) -> NDArray[np.bool_]:
        """Whether the model that was updated told it right."""
        before = self.predicted_before
        right_N: NDArray[np.bool_] = before.predicted_N == before.labels_N
        return right_N

    @property
    def num_old_classes(self) -> int:
        """Classes that the model knew before; the others follow them."""
        new_classes = self.run.summary.get("new_classes")
        if new_classes is not None:
            return len(self.manifest.classes) - int(new_classes)
        known = self.predicted_before.probabilities_NK.max(axis=0) > 0
        return int(np.flatnonzero(known).max(initial=-1)) + 1

    @property
    def after(self) -> Judged:
        """How the kept model does."""
        return self._judged(self.right_N)

    @property
    def before(self) -> Judged:
        """How the model that was updated did on the same images."""
        return self._judged(self.right_before_N)

    @property
    def forgotten(self) -> float | None:
        """Accuracy on old images before less that after (fraction); below 0 where it rose."""
        before, after = self.before.old.accuracy, self.after.old.accuracy
        return None if before is None or after is None else before - after

    @property
    def broken_N(self) -> NDArray[np.intp]:
        """Places of the old images that were told right before, and are not now."""
        return np.flatnonzero(~self.is_new_N & self.right_before_N & ~self.right_N)

    @property
    def mended_N(self) -> NDArray[np.intp]:
        """Places of the old images that were told wrong before, and are told right now."""
        return np.flatnonzero(~self.is_new_N & ~self.right_before_N & self.right_N)

    @property
    def accuracies(self) -> list[float | None]:
        """Accuracy (fraction) on each batch so far, in the order in which they came."""
        return batch_accuracies(self.manifest.batches, self.right_N)

    def _judged(self, right_N: NDArray[np.bool_]) -> Judged:
        new = self.is_new_N
        return Judged(
            Share(int(right_N[~new].sum()), int((~new).sum())),
            Share(int(right_N[new].sum()), int(new.sum())),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data, accuracies as fractions."""
        spec = self.run.spec
        return {
            "id": self.run.id,
            "name": self.run.name,
            "updates": spec.update.start,
            "method": spec.update.method,
            "strategy": spec.strategy.name,
            "seed": spec.seed,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "forgotten": self.forgotten,
            "num_broken": len(self.broken_N),
            "num_mended": len(self.mended_N),
            "batches": [
                asdict(batch) | {"accuracy": accuracy}
                for batch, accuracy in zip(self.manifest.batches, self.accuracies, strict=True)
            ],
            "seconds": self.run.summary.get("seconds"),
        }


def is_update(run: Run) -> bool:
    """Returns whether a run updates a model in use."""
    return bool(run.spec.update.start)


def update_of(run: Run, folder: Path | None = None) -> Update | None:
    """Returns what an update came to; None where it is none, or has kept nothing yet.

    Args:
        run: any.
        folder: of its files; its own by default.

    Raises:
        DataError: what it kept is damaged.
    """
    if not is_update(run):
        return None
    folder = folder or run_folder(run.id)
    after, before = Predictions.load(folder), Predictions.load(folder, BEFORE_FILE)
    if after is None or before is None or not (folder / MANIFEST_FILE).is_file():
        return None
    manifest = Manifest.from_file(folder / MANIFEST_FILE)
    counts = {len(manifest.val), len(after.labels_N), len(before.labels_N)}
    found = Update(run, manifest, after, before)
    if (
        not manifest.batches
        or len(counts) > 1
        or not 0 < found.num_old_classes <= len(manifest.classes)
    ):
        raise DataError(
            f"What {run.name} ({run.id}) kept of its images does not go together; update the model "
            "anew."
        )
    return found
