"""What a run keeps to tell how far each stage has moved from the pre-trained network.

Shapes: N chosen images.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.models.classifier import Classifier
from engine.spec import RunSpec
from engine.training.drift import WeightsBefore
from engine.training.similarity import Kernel

# The pre-trained network is run once over so many validation images at most, and over fewer where
# little is learnt: learning from a picture takes three times as long as running it, so that this is
# at most 2 % of the run. With fewer than the least, CKA would say little.
MOST_IMAGES, LEAST_IMAGES = 512, 64
IMAGES_PER_LEARNT = 0.06
# Apart from all else that is drawn from a run's seed.
CHOICE = 11


@dataclass
class Layers:
    """What a run keeps to tell how far each stage has moved.

    Attributes:
        before: the weights that it began with.
        positions_N: of the validation images on which representations are compared, in order.
        taps: the module that gives what a stage hands on; None until it is looked for.
        kernels: of what the pre-trained network makes of the images, by stage; None of a stage
            where that cannot be told.
        cka: of each stage, as it was measured last.
    """

    before: WeightsBefore
    positions_N: np.ndarray
    taps: dict[str, str] | None = None
    kernels: dict[str, Kernel | None] = field(default_factory=dict)
    cka: dict[str, float | None] = field(default_factory=dict)

    @classmethod
    def of_run(cls, spec: RunSpec, model: Classifier, num_train: int, num_val: int) -> "Layers":
        """Returns what a run keeps before its first step."""
        learnt = num_train * spec.training.epochs
        num = min(num_val, MOST_IMAGES, max(LEAST_IMAGES, int(IMAGES_PER_LEARNT * learnt)))
        drawn = np.random.default_rng((spec.seed, CHOICE))
        return cls(WeightsBefore(model), np.sort(drawn.choice(num_val, num, replace=False)))

    def state(self) -> dict[str, Any]:
        """Returns what cannot be computed again from the weights, as plain data for JSON."""
        return {"cka": dict(self.cka)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes over what `state` gave."""
        self.cka = dict(state["cka"])
