"""How pixel values are normalised, and what to say where that departs from the pre-training.

No torch is imported here.
"""

from dataclasses import dataclass

from engine.models.catalogue import BackboneRecord
from engine.models.weights_files import checkpoint_facts
from engine.spec import ImageSpec


@dataclass(frozen=True)
class Scale:
    """Values on a 0..1 scale are normalised as (value - mean) / std, per RGB channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


UNIT = Scale((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def known_scale(spec: ImageSpec, backbone: BackboneRecord) -> Scale:
    """Returns the normalisation that needs no look at the images: `backbone` or `rescale`."""
    if spec.normalisation == "rescale":
        return UNIT
    return Scale(backbone.mean, backbone.std)


def scale_warning(spec: ImageSpec, backbone: BackboneRecord, weights: str = "pretrained") -> str:
    """Returns a sentence where the normalisation departs from what the weights know, else "".

    Args:
        spec: how pictures are to be normalised.
        backbone: states the scale of its pre-training.
        weights: as in a ModelSpec; a checkpoint of Thaw knows the scale that it was trained with.
    """
    if weights == "random":
        return ""
    trained = None if weights == "pretrained" else checkpoint_facts(weights)
    own = Scale(backbone.mean, backbone.std)
    if trained is not None:
        own = Scale(_three(trained.mean), _three(trained.std))
    if spec.normalisation != "dataset" and known_scale(spec, backbone) == own:
        return ""
    who = backbone.label if trained is None else "This checkpoint"
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (own.mean, own.std))
    given = {
        "backbone": "pictures normalised as the backbone's first pre-training was",
        "rescale": "pictures that are only rescaled to 0..1",
        "dataset": "pictures normalised by their own mean and standard deviation",
    }[spec.normalisation]
    return (
        f"{who} was trained with mean {mean} and standard deviation {std}; from {given} its first "
        "layers see values that they do not know, which costs accuracy, most of all where the "
        "backbone is frozen."
    )


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
