"""Recipes: whole sets of settings to start from, each a plain record. No torch is imported here.

The first two need no tuning: their numbers come from their authors, or from those of the data. The
next three are the systems of an article on updating pre-trained models, with the numbers it gives;
what it leaves open is left as Thaw has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.data.facts import DataFacts
from engine.hyperrule import hyperrule
from engine.models.catalogue import DEFAULT_BACKBONE
from engine.strategies import STRATEGIES


@dataclass(frozen=True)
class Recipe:
    """Settings that belong together.

    Attributes:
        name: used on the command line.
        label: what a person reads.
        sentence: what it does, and what it is good for.
        settings: values by dotted name; the spec's defaults hold for all others.
        adapt: gives the settings that depend on the data, where any do.
    """

    name: str
    label: str
    sentence: str
    settings: dict[str, Any]
    adapt: Callable[[DataFacts], dict[str, Any]] | None = None

    def settings_for(self, facts: DataFacts | None) -> dict[str, Any]:
        """Returns the settings for some data; for those that are not known, the general ones."""
        if self.adapt is None or facts is None:
            return self.settings
        return self.settings | self.adapt(facts)


# fastai's defaults: one epoch of the head, then four of everything, as in Howard & Gugger's book
# (2020, chapter 2) on some hundred pictures; its number of epochs does not depend on the data.
_FINE_TUNE: dict[str, Any] = {
    "strategy.name": "fine_tune",
    "model.backbone": DEFAULT_BACKBONE,
    "model.head": "linear",
    "images.size": 224,
    "optimiser.name": "adamw",
    "optimiser.lr": 2e-3,
    "optimiser.weight_decay": 0.01,
    "optimiser.schedule": "one_cycle",
    "training.epochs": 5,
    "training.batch_size": 64,
}
_HYPERRULE: dict[str, Any] = {
    "strategy.name": "full",
    "model.backbone": DEFAULT_BACKBONE,
    "model.head": "linear",
    "images.fit": "squash",
    "images.augmentation": "flip",
    "optimiser.name": "sgd",
    "optimiser.momentum": 0.9,
    "optimiser.weight_decay": 0.0,
    "optimiser.schedule": "step",
    "optimiser.drop_factor": 0.1,
}
# A thousand pictures are what each task of the paper's own benchmark, VTAB-1k, has.
_UNKNOWN_DATA = DataFacts(num_train=1000, typical_side_px=224)

_WITHOUT_TUNING = (
    Recipe(
        "fine-tune",
        "No tuning: fastai's fine_tune",
        "One epoch of the head, then four in which everything learns, the stem a hundred times "
        "slower than the head, with fastai's own rates: a good first try on a few hundred "
        "pictures and more.",
        _FINE_TUNE,
    ),
    Recipe(
        "bit-hyperrule",
        "No tuning: BiT's HyperRule",
        "Full fine-tuning with length, rate, picture size and mixup worked out from your data, as "
        "Kolesnikov et al. (2020) do. Made for large GPUs: batches of up to 512 at up to 480 px; "
        "where memory runs out, divide batch size and learning rate by the same.",
        _HYPERRULE | hyperrule(_UNKNOWN_DATA),
        adapt=hyperrule,
    ),
)

_FEATURE_EXTRACTION: dict[str, Any] = {
    "strategy.name": "frozen",
    "model.head": "mlp",
    "model.hidden_units": 128,
    "model.dropout": 0.0,
    "images.size": 224,
    "images.normalisation": "backbone",
    "optimiser.name": "adam",
    "optimiser.lr": 1e-3,
    "optimiser.weight_decay": 0.0,
    "optimiser.schedule": "constant",
    "training.epochs": 10,
}
_DECAYING_RATE: dict[str, Any] = {
    "strategy.name": "full",
    "model.head": "linear",
    "images.size": 224,
    "images.normalisation": "backbone",
    "optimiser.name": "adam",
    "optimiser.lr": 1e-5,
    "optimiser.weight_decay": 0.0,
    "optimiser.schedule": "exponential",
    "optimiser.decay_rate": 0.96,
    "optimiser.decay_steps": 1000,
    "optimiser.staircase": False,
    "training.epochs": 20,
}
_INPUT_SHAPE: dict[str, Any] = {
    "strategy.name": "frozen",
    "model.head": "linear",
    "images.size": 150,
    "images.normalisation": "rescale",
    "optimiser.name": "adam",
    "optimiser.lr": 1e-3,
    "optimiser.weight_decay": 0.0,
    "optimiser.schedule": "constant",
    "training.epochs": 10,
}

_ARTICLE = (
    Recipe(
        "feature-extraction",
        "Feature extraction: MobileNetV2",
        "Frozen MobileNetV2, average pooling, a hidden layer of 128 units, Adam at 1e-3: quick, "
        "and hard to overfit.",
        {"model.backbone": "torchvision/mobilenet_v2.IMAGENET1K_V2"} | _FEATURE_EXTRACTION,
    ),
    Recipe(
        "decaying-rate",
        "Full fine-tuning with a decaying rate: ResNet50",
        "All of ResNet50 learns at a rate that starts at 1e-5 and shrinks by 4 % every 1,000 "
        "steps: small steps protect what was learnt before.",
        {"model.backbone": "torchvision/resnet50.IMAGENET1K_V2"} | _DECAYING_RATE,
    ),
    Recipe(
        "input-shape",
        "A different input shape: InceptionV3 at 150 px",
        "Frozen InceptionV3 on pictures of 150 px, half of what it was pre-trained on, that are "
        "only rescaled to 0..1: see what both cost.",
        {"model.backbone": "torchvision/inception_v3.IMAGENET1K_V1"} | _INPUT_SHAPE,
    ),
)


def _bundled(recipe: Recipe) -> Recipe:
    """Returns the recipe on the backbone whose weights come with Thaw."""
    what = recipe.label.partition(":")[0]
    return Recipe(
        f"{recipe.name}-lite",
        f"{what}: EfficientNet-Lite0",
        "The same settings on the backbone that comes with Thaw; nothing is downloaded.",
        recipe.settings | {"model.backbone": DEFAULT_BACKBONE},
    )


def _of_strategies() -> tuple[Recipe, ...]:
    return tuple(
        Recipe(
            f"strategy-{strategy.name}",
            f"Strategy: {strategy.label.lower()}",
            strategy.sentence,
            {
                "strategy.name": strategy.name,
                "model.backbone": DEFAULT_BACKBONE,
                "images.size": 160,
                "optimiser.name": "adamw",
                "optimiser.lr": strategy.default_lr,
                "optimiser.schedule": "cosine",
            },
        )
        for strategy in STRATEGIES.values()
    )


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *_WITHOUT_TUNING,
        *_ARTICLE,
        *(_bundled(recipe) for recipe in _ARTICLE),
        *_of_strategies(),
    )
}
