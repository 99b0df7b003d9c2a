"""How fast this machine is, as measured in earlier runs. No torch is imported here.

A speed is kept per backbone and kind of work, with the image size at which it was measured; the
cost of a convolutional backbone grows with the area of the picture.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.files import write_text
from engine.home import cache_folder
from engine.spec import RunSpec

FORWARD = "forward"
TRAIN_FULL = "train"


@dataclass(frozen=True)
class Speed:
    """A measurement.

    Attributes:
        images_per_second: of pictures of `image_size`.
        image_size: side in px.
    """

    images_per_second: float
    image_size: int

    def at(self, image_size: int) -> float:
        """Returns images per second for pictures of another size."""
        return self.images_per_second * (self.image_size / image_size) ** 2


def _file() -> Path:
    return cache_folder("speeds") / "speeds.json"


def known_speeds() -> dict[str, Speed]:
    """Returns the latest speed of each `backbone/work` that was measured on this machine."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        entries = json.loads(_file().read_text(encoding="utf-8"))
        return {name: Speed(**entry) for name, entry in entries.items()}
    return {}


def record_speed(backbone: str, work: str, speed: Speed) -> None:
    """Keeps a measurement, in place of an earlier one of the same backbone and work."""
    speeds = known_speeds() | {f"{backbone}/{work}": speed}
    # An estimate is not worth a run: where this cannot be written, the run goes on.
    with contextlib.suppress(OSError):
        write_text(_file(), json.dumps({name: asdict(one) for name, one in speeds.items()}))


def estimate_seconds(
    spec: RunSpec, num_train: int, num_val: int, backbone_learns: bool
) -> float | None:
    """Returns how long a run will compute here, None before this machine was measured.

    Starting the process and loading PyTorch come on top, a few seconds whatever the run.

    Args:
        spec: size, epochs and augmentation are taken from it.
        num_train: images to train on.
        num_val: images to validate on.
        backbone_learns: whether any stage of the backbone is trained.
    """
    speeds = known_speeds()
    backbone, size, epochs = spec.model.backbone, spec.images.size, spec.training.epochs
    forward = speeds.get(f"{backbone}/{FORWARD}")
    train = speeds.get(f"{backbone}/{TRAIN_FULL}")
    if forward is None or (backbone_learns and train is None):
        return None
    val_seconds = num_val / forward.at(size)
    if backbone_learns and train is not None:
        return epochs * (num_train / train.at(size) + val_seconds)
    passes = 1 if spec.images.augmentation == "none" else epochs
    return passes * (num_train / forward.at(size) + val_seconds)
