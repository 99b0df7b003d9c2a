"""Which earlier images an update reads beside the new ones.

Shapes: N images, D features.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.data.check import Progress
from engine.data.manifest import Item, Manifest, build_manifest
from engine.spec import RunSpec
from engine.update.herding import herded, num_replayed
from engine.update.images import batch_name, updated, with_earlier
from engine.update.importance import IMAGES
from engine.update.known import require_there, without_gone
from engine.update.methods import METHODS
from engine.update.names import match_classes
from engine.update.start import Start

# Of earlier items, in a manifest that knows them: features (N, D).
FeaturesOf = Callable[[Manifest, Sequence[Item]], NDArray[np.floating]]


def images_of_update(
    spec: RunSpec, start: Start, progress: Progress, features_of: FeaturesOf
) -> Manifest:
    """Returns the images of an update, with those of the earlier ones that its method reads.

    Args:
        spec: names the new images and the method.
        start: what is updated.
        progress: is told how many of the new images were checked.
        features_of: gives the features of earlier images by the model that is updated.

    Raises:
        DataError: images cannot be used, are no longer there, or a name is close to one of the
            model's and nobody has said whether it is it.
    """
    new = build_manifest(spec.data, progress, least_classes=1)
    matching = match_classes(start.manifest.classes, new.classes, dict(spec.update.names))
    folder = batch_name(spec.data.folder)
    manifest = updated(start.manifest, start.batch, new, folder, matching)
    require_there(manifest.val)
    read = METHODS[spec.update.method].old_images
    if read == "none":
        return manifest
    manifest = without_gone(manifest)
    if read == "all":
        return with_earlier(manifest, manifest.earlier)
    if spec.update.method == "replay":
        return with_earlier(manifest, _replayed(spec, manifest, features_of))
    return replace(manifest, spare=_drawn(manifest.earlier, IMAGES, spec.seed))


def _replayed(spec: RunSpec, manifest: Manifest, features_of: FeaturesOf) -> list[Item]:
    """Returns the earlier images that are seen again, class by class."""
    update, items = spec.update, manifest.earlier
    labels_N = np.array([item.label for item in items])
    features_ND = None
    if update.replay_choice == "herding":
        features_ND = features_of(with_earlier(manifest, items), items)
    generator = np.random.default_rng(np.random.SeedSequence((spec.seed, len(items))))
    chosen: list[Item] = []
    for label in np.unique(labels_N):
        places = np.flatnonzero(labels_N == label)
        num = num_replayed(len(places), update.replay_share)
        if features_ND is None:
            order = generator.permutation(len(places))[:num]
        else:
            order = herded(features_ND[places], num)
        chosen += [items[place] for place in sorted(places[order])]
    return chosen


def _drawn(items: Sequence[Item], most: int, seed: int) -> tuple[Item, ...]:
    order = np.random.default_rng(seed).permutation(len(items))[:most]
    return tuple(items[place] for place in sorted(order))
