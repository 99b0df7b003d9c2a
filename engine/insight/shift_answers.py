"""What a checkpoint says of images under shift, kept so that it is never worked out twice.

Kept under a key of the checkpoint's content, the images and their classes, and the versions. No
torch here.

Shapes: N images, V versions of each.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError
from engine.files import replacing
from engine.home import CHECKPOINT_FILE, cache_folder, run_folder
from engine.insight.shift_tests import ShiftTest
from engine.runs.store import Run

KIND = "shift"
# Goes up when the same images would be shown or judged in another way.
EDITION = 1


@dataclass(frozen=True)
class Answers:
    """What a checkpoint says of images.

    Attributes:
        names: what stands for each image that was judged.
        labels: name of the class of each.
        predicted_VN: label that it finds most probable.
        probability_VN: of that label.
        gone: images that could not be read, with the reason.
        seconds: that all this took.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    predicted_VN: NDArray[np.int32]
    probability_VN: NDArray[np.float32]
    gone: tuple[tuple[str, str], ...]
    seconds: float

    @property
    def num_done(self) -> int:
        """Images that were looked at: those first in the test's order."""
        return len(self.names) + len(self.gone)

    @property
    def seconds_per_image(self) -> float | None:
        """What an image takes in all its versions; None where none was judged."""
        return self.seconds / len(self.names) if self.names else None

    @classmethod
    def none_yet(cls, num_versions: int) -> "Answers":
        """Returns those before the first image."""
        shape = (num_versions, 0)
        return cls((), (), np.zeros(shape, np.int32), np.zeros(shape, np.float32), (), 0.0)

    def save(self, file: Path) -> None:
        """Writes them, whole or not at all."""
        told = {
            "names": self.names,
            "labels": self.labels,
            "gone": self.gone,
            "seconds": self.seconds,
        }
        with replacing(file) as part, part.open("wb") as opened:
            np.savez_compressed(
                opened,
                predicted=self.predicted_VN,
                probability=self.probability_VN,
                told=np.frombuffer(json.dumps(told).encode(), np.uint8),
            )

    @classmethod
    def load(cls, file: Path) -> "Answers | None":
        """Returns those in a file, None where there are none that are whole."""
        # NumPy raises whatever damaged bytes lead it to; nothing in them is ever run.
        with (
            contextlib.suppress(Exception),
            file.open("rb") as opened,
            np.load(opened, allow_pickle=False) as arrays,
        ):
            told = json.loads(arrays["told"].tobytes())
            return cls(
                tuple(told["names"]),
                tuple(told["labels"]),
                arrays["predicted"],
                arrays["probability"],
                tuple((path, reason) for path, reason in told["gone"]),
                float(told["seconds"]),
            )
        return None


def answers_file(run: Run, test: ShiftTest) -> Path:
    """Returns where the answers of a run's checkpoint to a test are kept.

    Raises:
        WeightsError: the run has no checkpoint.
    """
    images = sorted(zip(test.names, test.labels, strict=True))
    key = [EDITION, checkpoint_digest(run), images, [*test.classes], test.versions]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    return cache_folder(KIND) / f"answers-{digest}.npz"


def kept_answers(run: Run, test: ShiftTest) -> Answers | None:
    """Returns what is kept of a run's answers to a test; None where there is nothing.

    Raises:
        WeightsError: the run has no checkpoint.
    """
    return Answers.load(answers_file(run, test))


def checkpoint_digest(run: Run) -> str:
    """Returns what stands for the weights that a run keeps.

    Raises:
        WeightsError: there is no such file.
    """
    file = run_folder(run.id) / CHECKPOINT_FILE
    try:
        status = file.stat()
        return _digest(file, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise WeightsError(
            f"The run {run.name} ({run.id}) has no weights to judge: {file} is not there; train it "
            "again, or leave it out."
        ) from error


@lru_cache(maxsize=500)
def _digest(file: Path, changed: int, size: int) -> str:
    """Returns the digest of a file as it was at a time, with a size."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()[:32]
