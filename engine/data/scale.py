"""How pixel values are normalised, and what to say where that departs from the pre-training.

No torch is imported here.
"""

from dataclasses import dataclass

from engine.models.catalogue import BackboneRecord
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


def scale_warning(spec: ImageSpec, backbone: BackboneRecord) -> str:
    """Returns a sentence where the normalisation departs from the pre-training; empty if not."""
    own = Scale(backbone.mean, backbone.std)
    if spec.normalisation != "dataset" and known_scale(spec, backbone) == own:
        return ""
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (own.mean, own.std))
    given = {
        "rescale": "pictures that are only rescaled to 0..1",
        "dataset": "pictures normalised by their own mean and standard deviation",
    }[spec.normalisation]
    return (
        f"{backbone.label} was pre-trained with mean {mean} and standard deviation {std}; from "
        f"{given} its first layers see values that they do not know, which costs accuracy, most "
        "of all where the backbone is frozen."
    )
