"""Mixup and CutMix on batches. Shapes: B images, C channels, H rows, W columns, K classes."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from engine.spec import TrainingSpec


class Mixer:
    """Blends the pictures of a batch with each other, and their labels, as seed and step decide.

    Source: mixup (Zhang et al. 2018), CutMix (Yun et al. 2019). With both, each step takes one of
    the two, by the toss of a coin.
    """

    def __init__(self, spec: TrainingSpec, num_classes: int, seed: int):
        kinds: list[v2.Transform] = []
        if spec.mixup:
            kinds.append(v2.MixUp(alpha=spec.mixup, num_classes=num_classes))
        if spec.cutmix:
            kinds.append(v2.CutMix(alpha=spec.cutmix, num_classes=num_classes))
        self._mix = v2.RandomChoice(kinds) if kinds else None
        self._seed = seed

    @property
    def is_active(self) -> bool:
        """Whether it changes anything."""
        return self._mix is not None

    def __call__(self, inputs: Tensor, labels_B: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Returns inputs and targets: labels (B,) as they are, or shares of classes (B, K)."""
        if self._mix is None:
            return inputs, labels_B
        with torch.random.fork_rng(devices=[]):
            # `torch.manual_seed` would also set a GPU's generator, which dropout draws from.
            seed = int(np.random.SeedSequence((self._seed, step)).generate_state(1)[0])
            torch.default_generator.manual_seed(seed)
            mixed, targets_BK = self._mix(inputs, labels_B)
        return mixed, targets_BK
