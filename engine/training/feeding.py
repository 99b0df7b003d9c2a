"""What a run's epochs are fed with: pictures, or features where the backbone does not change.

Shapes: N images of a split, D features.
"""

import torch

from engine.data.loader import EpochBatches, PictureDataset
from engine.data.manifest import Item, Manifest
from engine.data.scale import UNIT, Scale, known_scale
from engine.data.transforms import EvalTransform, TrainTransform
from engine.models.backbone import Backbone
from engine.models.catalogue import BackboneRecord
from engine.spec import RunSpec
from engine.training.balance import equal_chances
from engine.training.features import compute_features, measure_scale
from engine.training.reporter import Preparation, Reporter
from engine.training.sources import FeatureSource, PictureSource, labels_tensor
from engine.training.speeds import FORWARD, Speed, record_speed

TELLING_IMAGES = 100

Pair = tuple[PictureSource, PictureSource] | tuple[FeatureSource, FeatureSource]


class Feed:
    """Training and validation batches of a run.

    Attributes:
        scale: how pixels are normalised.
    """

    def __init__(
        self,
        spec: RunSpec,
        manifest: Manifest,
        record: BackboneRecord,
        device: torch.device,
        reporter: Reporter,
    ):
        self._spec = spec
        self._manifest = manifest
        self._record = record
        self._device = device
        self._reporter = reporter
        self._pictures: tuple[PictureSource, PictureSource] | None = None
        self._features: tuple[FeatureSource, FeatureSource] | None = None
        self.scale = self._measured_scale()

    @property
    def num_batches(self) -> int:
        """Training batches in an epoch."""
        return len(self._batches(self._manifest.train, shuffle=True))

    def pictures(self) -> tuple[PictureSource, PictureSource]:
        """Returns sources of pictures: augmented ones to train on, plain ones to validate on."""
        if self._pictures is None:
            images = self._spec.images
            train = TrainTransform(images, self._record, self.scale)
            plain = EvalTransform(images, self._record, self.scale)
            self._pictures = (
                self._source(self._manifest.train, train, shuffle=True),
                self._source(self._manifest.val, plain, shuffle=False),
            )
        return self._pictures

    def features(self, backbone: Backbone) -> tuple[FeatureSource, FeatureSource]:
        """Returns sources of features, computed once for as long as `forget` is not called."""
        if self._features is None:
            manifest = self._manifest
            total = len(manifest.train) + len(manifest.val)
            preparation = Preparation(self._reporter, "computing features", total)
            self._features = (
                self._featured(manifest.train, True, backbone, preparation),
                self._featured(manifest.val, False, backbone, preparation),
            )
            if len(manifest.train) >= TELLING_IMAGES:
                speed = Speed(preparation.images_per_second, self._spec.images.size)
                record_speed(self._spec.model.backbone, FORWARD, speed)
        return self._features

    def forget(self) -> None:
        """Lets go of the features, since the backbone is about to change."""
        self._features = None

    def _featured(
        self, items: tuple[Item, ...], shuffle: bool, backbone: Backbone, preparation: Preparation
    ) -> FeatureSource:
        transform = EvalTransform(self._spec.images, self._record, self.scale)
        source = self._source(items, transform, shuffle=False)
        features_ND = compute_features(backbone, source, preparation)
        labels_N = labels_tensor([item.label for item in items], self._device)
        return FeatureSource(features_ND, labels_N, self._batches(items, shuffle))

    def _source(
        self, items: tuple[Item, ...], transform: EvalTransform, shuffle: bool
    ) -> PictureSource:
        dataset = PictureDataset(items, transform, self._spec.seed)
        return PictureSource(dataset, self._batches(items, shuffle), self._device)

    def _batches(self, items: tuple[Item, ...], shuffle: bool) -> EpochBatches:
        training = self._spec.training
        chances_N = None
        if shuffle and training.class_balance == "sampling":
            chances_N = equal_chances([item.label for item in items], len(self._manifest.classes))
        return EpochBatches(len(items), training.batch_size, self._spec.seed, shuffle, chances_N)

    def _measured_scale(self) -> Scale:
        """Returns how pixels are normalised; measures training images where the spec says so."""
        images = self._spec.images
        if images.normalisation != "dataset":
            return known_scale(images, self._record)
        # Bars are no part of the pictures, so those are measured as they are without them.
        fit = "squash" if images.fit == "pad" else images.fit
        transform = EvalTransform(images.model_copy(update={"fit": fit}), self._record, UNIT)
        source = self._source(self._manifest.train, transform, shuffle=False)
        preparation = Preparation(self._reporter, "measuring colours", len(self._manifest.train))
        return measure_scale(source, preparation)
