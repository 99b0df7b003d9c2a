"""Pictures as normalised tensors, with augmentation that depends on nothing but its seed.

Shapes: C channels, H rows, W columns.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from engine.data.fit import fit_picture
from engine.data.scale import Scale, known_scale
from engine.models.catalogue import BackboneRecord
from engine.spec import ImageSpec

AUGMENTATION_MARGIN = 1.15


class EvalTransform:
    """The backbone's preprocessing at the chosen size, fit and scale, without randomness."""

    def __init__(self, spec: ImageSpec, backbone: BackboneRecord, scale: Scale | None = None):
        self.spec = spec
        self.backbone = backbone
        self.scale = scale or known_scale(spec, backbone)
        self._to_tensor = v2.Compose(
            [
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(list(self.scale.mean), list(self.scale.std)),
            ]
        )

    def __call__(self, picture: Image.Image, seed: tuple[int, ...]) -> Tensor:
        """Returns a normalised image (3, H, W); the seed is not used."""
        square = self._fitted(picture, self.spec.size)
        return self._to_tensor(square)  # type: ignore[no-any-return]

    def _fitted(self, picture: Image.Image, side: int) -> Image.Image:
        return fit_picture(picture, side, self.spec.fit, self.backbone, self.scale.mean)

    @property
    def decode_size(self) -> int:
        """Least side in px at which a picture must be decoded."""
        return round(self.spec.size / self.backbone.crop_fraction)


class TrainTransform(EvalTransform):
    """The same preprocessing after random changes."""

    def __init__(self, spec: ImageSpec, backbone: BackboneRecord, scale: Scale | None = None):
        super().__init__(spec, backbone, scale)
        self._augment = _augmentation(spec)
        self._margin = AUGMENTATION_MARGIN if spec.augmentation == "standard" else 1.0

    def __call__(self, picture: Image.Image, seed: tuple[int, ...]) -> Tensor:
        """Returns a normalised image (3, H, W), changed as the seed decides.

        Args:
            picture: RGB.
            seed: run's seed, epoch and image, so that the change is the same in every strategy,
                on every worker and after a resume.
        """
        if self._augment is None:
            return super().__call__(picture, seed)
        side = round(self.spec.size * self._margin)
        square = self._fitted(picture, side)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
            return self._to_tensor(self._augment(square))  # type: ignore[no-any-return]

    @property
    def decode_size(self) -> int:
        """Least side in px at which a picture must be decoded."""
        return round(super().decode_size * self._margin)


def _augmentation(spec: ImageSpec) -> v2.Transform | None:
    if spec.augmentation == "none":
        return None
    if spec.augmentation == "flip":
        return v2.RandomHorizontalFlip()
    bicubic = InterpolationMode.BICUBIC
    if spec.augmentation == "rand":
        return v2.Compose([v2.RandomHorizontalFlip(), v2.RandAugment(interpolation=bicubic)])
    if spec.augmentation == "trivial":
        wide = v2.TrivialAugmentWide(interpolation=bicubic)
        return v2.Compose([v2.RandomHorizontalFlip(), wide])
    return v2.Compose(
        [
            v2.RandomResizedCrop(
                spec.size, scale=(0.6, 1.0), interpolation=InterpolationMode.BICUBIC
            ),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )
