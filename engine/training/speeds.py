"""How fast this machine is, as measured in earlier runs. No torch is imported here.

A speed is kept per backbone and kind of work, with the image size at which it was measured; the
cost of a convolutional backbone grows with the area of the picture.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.files import write_text
from engine.home import cache_folder
from engine.spec import RunSpec
from engine.strategies import STRATEGIES, Phase
from engine.training.plan import phase_spans, rate_plan, same_every_epoch
from engine.training.sizes import train_size

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


@dataclass(frozen=True)
class Estimate:
    """How long a run will compute.

    Attributes:
        seconds: of computing; starting the process comes on top, a few seconds whatever the run.
        at_most: it may well take less, since only part of the backbone learns or the run may
            stop early; what such a part costs is not measured.
    """

    seconds: float
    at_most: bool


def estimate_time(
    spec: RunSpec, stages: Sequence[str], num_train: int, num_val: int
) -> Estimate | None:
    """Returns how long a run will compute here, None before this machine was measured.

    A phase in which something learns is counted as full training, one in which the backbone is
    frozen as one pass over all pictures, those of which a share is left aside among them, or one an
    epoch over those that are used where features cannot be kept.

    Args:
        spec: strategy, size, epochs and all that changes pictures are taken from it.
        stages: names of the backbone's stages, stem first.
        num_train: images to train on.
        num_val: images to validate on.
    """
    speeds, backbone, size = known_speeds(), spec.model.backbone, spec.images.size
    forward = speeds.get(f"{backbone}/{FORWARD}")
    train = speeds.get(f"{backbone}/{TRAIN_FULL}")
    phases = rate_plan(spec, stages, steps_per_epoch=1).phases
    learning = [phase for phase in phases if phase.rates]
    if forward is None or (learning and train is None):
        return None
    val_seconds = num_val / forward.at(size)
    seconds, moved = 0.0, False
    for phase, first, last in phase_spans(phases, spec.training.epochs):
        moved = moved or bool(phase.rates)
        if phase.rates and train is not None:
            for epoch in range(first, last + 1):
                side = train_size(spec, phases, epoch, stages[0])
                seconds += num_train / train.at(side) + val_seconds
            continue
        # An average of weights still changes after the backbone has been frozen again.
        kept = same_every_epoch(spec) and not (moved and spec.training.ema_decay)
        passes, num_seen = last - first + 1, float(num_train)
        if kept:
            passes, num_seen = 1, num_train / spec.data.train_fraction
        seconds += passes * (num_seen / forward.at(size) + val_seconds)
    return Estimate(seconds, at_most=_may_take_less(spec, stages, learning))


def _may_take_less(spec: RunSpec, stages: Sequence[str], learning: Sequence[Phase]) -> bool:
    few_weights = STRATEGIES[spec.strategy.name].select in ("norms", "biases") and bool(learning)
    above_the_stem = any(stages[0] not in phase.rates for phase in learning)
    may_end_early = spec.training.early_stopping > 0 or spec.training.max_minutes > 0
    return few_weights or above_the_stem or may_end_early
