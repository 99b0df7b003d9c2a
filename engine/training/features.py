"""Features of a backbone that does not change: computed once, used in every epoch.

Shapes: N images of a split, D features.
"""

import torch
from torch import Tensor

from engine.models.backbone import Backbone
from engine.training.reporter import Preparation
from engine.training.sources import Source


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
