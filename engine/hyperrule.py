"""BiT's HyperRule: all settings of fine-tuning from the number and the size of the pictures.

Source: Kolesnikov et al. 2020 (Big Transfer), with the steps of its authors' code
(github.com/google-research/big_transfer, bit_hyperrule.py and bit_pytorch/train.py): there the
rate drops at 40, 60 and 80 % of the steps below 20,000 pictures, and at 30, 60 and 90 % above.

The rule's batches are of 512 pictures, drawn several times where there are fewer. Here all pictures
are then one batch, at the same rate: the gradient is the same but for the luck of the draw. Thaw
makes batches of equal size, so that they can be smaller than 512; the rate is then less in
proportion and as many pictures are seen (Goyal et al. 2017).

What else differs: the rate drops whole epochs after the warm-up, so that with many epochs the last
drop is in its place and the first two come up to 5 % late, and with few all move by as much as half
an epoch; the random crop of 94 % of each side is left out; the head starts as Thaw starts it and
not at zero.
"""

import math
from dataclasses import dataclass
from typing import Any

from engine.data.batches import num_batches
from engine.data.facts import DataFacts
from engine.spec import field_range

BATCH_SIZE = 512
LEARNING_RATE = 0.003
SMALL_SIDE_PX = 96


@dataclass(frozen=True)
class _Schedule:
    """Steps of a run: in all, of the warm-up, and before the third and last drop."""

    steps: int
    warmup: int
    last_drop: int
    mixup: float


def _schedule(num_train: int) -> _Schedule:
    if num_train < 20_000:
        return _Schedule(steps=500, warmup=100, last_drop=400, mixup=0.0)
    if num_train < 500_000:
        return _Schedule(steps=10_000, warmup=500, last_drop=9_000, mixup=0.1)
    return _Schedule(steps=20_000, warmup=500, last_drop=18_000, mixup=0.1)


def hyperrule(facts: DataFacts) -> dict[str, Any]:
    """Returns the settings that the rule gives for a data set, by dotted name.

    Steps become epochs, rounded up; pictures of fewer pixels than 96 x 96 are trained at 128 px,
    all others at 480.
    """
    schedule = _schedule(facts.num_train)
    wanted = min(BATCH_SIZE, facts.num_train)
    batch_size = math.ceil(facts.num_train / num_batches(facts.num_train, wanted))
    least, most = field_range("training.epochs")
    epochs = int(min(max(math.ceil(schedule.steps * wanted / facts.num_train), least), most))
    every = (schedule.last_drop - schedule.warmup) / 3 / schedule.steps
    return {
        "training.batch_size": batch_size,
        "training.epochs": epochs,
        "training.mixup": schedule.mixup,
        "optimiser.lr": float(f"{LEARNING_RATE * batch_size / wanted:.3g}"),
        "optimiser.warmup": schedule.warmup / schedule.steps,
        "optimiser.drop_every": max(1, round(every * epochs)),
        "images.size": 128 if facts.typical_side_px < SMALL_SIDE_PX else 480,
    }
