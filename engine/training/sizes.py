"""Progressive resizing: pictures that are small at first, and grow.

Sources: Howard 2018 (fastai's DAWNBench entry); EfficientNetV2 (Tan & Le 2021), section 4.
"""

from collections.abc import Collection, Sequence

from engine.spec import RunSpec
from engine.strategies import Phase, phase_at

GROWING_SHARE = 0.75
# Networks halve a picture five times.
GRID = 32


def train_size(
    spec: RunSpec,
    phases: Sequence[Phase],
    epoch: int,
    stem: str,
    learning: Collection[str] | None = None,
) -> int:
    """Returns the side in px of the pictures that an epoch trains on.

    They grow from the epoch on in which the stem begins to learn. Where it is frozen, what it gives
    is computed once, so one size is kept.

    Args:
        spec: its sizes and number of epochs count.
        phases: of its strategy.
        epoch: counts from 1.
        stem: name of the backbone's first stage.
        learning: stages that learn in the epoch; those of its phase where None.
    """
    start, full, epochs = spec.images.start_size, spec.images.size, spec.training.epochs
    learns = stem in (phase_at(phases, epoch).trainable if learning is None else learning)
    first = min((p.start_epoch for p in phases if stem in p.trainable), default=epochs)
    growing = int(GROWING_SHARE * (epochs - first + 1))
    if not start or not learns or not first <= epoch < first + growing:
        return full
    size = start + (full - start) * (epoch - first) / growing
    # Downwards, so that the first size is the one that was asked for.
    return max(start, GRID * int(size / GRID))
