"""Pictures as normalised tensors, with augmentation that depends on nothing but its seed.

Shapes: C channels, H rows, W columns.
"""

import numpy as np
import PIL
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
        """Returns a normalised image (3, H, W); see `finish`."""
        return self.finish(self.square(picture), seed)

    def square(self, picture: Image.Image) -> Image.Image:
        """Returns the picture as a square of `side`, the same in every epoch."""
        return fit_picture(picture, self.side, self.spec.fit, self.backbone, self.scale.mean)

    def finish(self, square: Image.Image, seed: tuple[int, ...]) -> Tensor:
        """Returns a normalised image (3, H, W) of what `square` gave; the seed is not used."""
        return self._to_tensor(square)  # type: ignore[no-any-return]

    def normalised(self, squares_BHWC: Tensor) -> Tensor:
        """Returns images (B, 3, H, W) as `finish` does without augmentation, for a batch.

        Args:
            squares_BHWC: bytes (uint8).
        """
        images_BCHW = v2.functional.to_dtype(squares_BHWC.permute(0, 3, 1, 2), torch.float32, True)
        return v2.functional.normalize(  # type: ignore[no-any-return]
            images_BCHW, list(self.scale.mean), list(self.scale.std), inplace=True
        )

    @property
    def side(self) -> int:
        """Side in px of what `square` gives."""
        return self.spec.size

    @property
    def changes(self) -> bool:
        """Whether a picture is changed at random."""
        return False

    def square_key(self) -> dict[str, object]:
        """Returns all that decides what `square` gives, beside the picture, as plain data."""
        bars = self.scale.mean if self.spec.fit == "pad" else ()
        return {
            "side": self.side,
            "fit": self.spec.fit,
            "bars": [round(255 * channel) for channel in bars],
            "interpolation": self.backbone.interpolation,
            "crop_fraction": self.backbone.crop_fraction if self.spec.fit == "crop" else 0.0,
            "decode_size": self.decode_size,
            "pillow": PIL.__version__,
        }

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

    def finish(self, square: Image.Image, seed: tuple[int, ...]) -> Tensor:
        """Returns a normalised image (3, H, W), changed as the seed decides.

        Args:
            square: RGB, of `side`.
            seed: run's seed, epoch and image, so that the change is the same in every strategy,
                on every worker and after a resume.
        """
        if self._augment is None:
            return super().finish(square, seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(
                int(np.random.SeedSequence(seed).generate_state(1)[0])
            )
            return self._to_tensor(self._augment(square))  # type: ignore[no-any-return]

    @property
    def side(self) -> int:
        """Side in px of what `square` gives: somewhat more than a crop needs."""
        return round(self.spec.size * self._margin)

    @property
    def changes(self) -> bool:
        """Whether a picture is changed at random."""
        return self._augment is not None

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
