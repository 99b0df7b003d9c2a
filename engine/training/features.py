"""Features of a backbone that does not change: computed once, used in every epoch.

Shapes: N images of a split, D features.
"""

import torch
from torch import Tensor

from engine.data.scale import Scale
from engine.models.backbone import Backbone
from engine.training.reporter import Preparation
from engine.training.sources import Source


def measure_scale(source: Source, preparation: Preparation) -> Scale:
    """Returns mean and standard deviation of all pixels of a source, per channel.

    Args:
        source: pictures on a 0..1 scale; the epoch asked for is the first.
        preparation: told how many images are done.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    sums = torch.zeros(2, 3, dtype=torch.float64)
    num_pixels = 0
    for images_BCHW, _, positions_B in source.epoch(1):
        pixels = images_BCHW.double()
        sums[0] += pixels.sum(dim=(0, 2, 3)).cpu()
        sums[1] += pixels.square().sum(dim=(0, 2, 3)).cpu()
        num_pixels += len(positions_B) * images_BCHW.shape[2] * images_BCHW.shape[3]
        preparation.advance(len(positions_B))
    mean, square = sums / num_pixels
    # A data set of one colour has no spread to divide by.
    std = (square - mean.square()).clamp(min=1e-6).sqrt()
    return Scale(_rgb(mean), _rgb(std))


def _rgb(channels: Tensor) -> tuple[float, float, float]:
    red, green, blue = channels.tolist()
    return red, green, blue


@torch.inference_mode()
def compute_features(backbone: Backbone, source: Source, preparation: Preparation) -> Tensor:
    """Returns the backbone's features (N, D) of every image of a source, in its own order.

    Args:
        backbone: put in eval mode; its BatchNorm statistics are used and kept.
        source: pictures; the epoch asked for is the first.
        preparation: told how many images are done.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    backbone.eval()
    features_ND: Tensor | None = None
    for images_BCHW, _, positions_B in source.epoch(1):
        features_BD = backbone(images_BCHW)
        if features_ND is None:
            features_ND = features_BD.new_empty((source.num_images, features_BD.shape[1]))
        features_ND[positions_B.to(features_ND.device)] = features_BD
        preparation.advance(len(positions_B))
    assert features_ND is not None
    return features_ND
