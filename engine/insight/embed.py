"""Lays the validation images of a run out on a plane: features before and after, then the maps.

Features are kept with all others that are computed once, under the weights that gave them. So
another method needs no second look at the images, and of a backbone that did not move, nor does
after.

Shapes: N images, D features, K classes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.check import content_digest
from engine.data.loader import UNREADABLE, EpochBatches, PictureDataset
from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.data.scale import Scale
from engine.data.transforms import EvalTransform
from engine.errors import DataError, TrainingError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.differences import difference_of_runs
from engine.insight.embedding import (
    LEAST_IMAGES,
    SEED,
    Embedding,
    Method,
    Plane,
    embedding_key,
    keep_embedding,
    known_embedding,
    shown_places,
)
from engine.insight.images import Answer, JudgedImage
from engine.insight.intervals import Estimate, accuracy_estimate, mean_estimate
from engine.insight.planes import directions, neighbours_say, on_plane, silhouettes, turned_like
from engine.models.backbone import Backbone
from engine.models.cut import Cut
from engine.runs.store import Run
from engine.spec import RunSpec
from engine.training.checkpoint import CheckpointHeader, load_checkpoint
from engine.training.device import choose_device, memory_errors
from engine.training.features import (
    BATCH_SIZE,
    features_key,
    fill_features,
    keep_features,
    weights_digest,
)
from engine.training.layout import blank_images, layout_for
from engine.training.repeatable import compute_repeatably
from engine.training.reporter import Preparation, Reporter
from engine.training.sources import PictureSource
from engine.update.start import first_backbone


@memory_errors()
def embed_run(run: Run, method: Method, reporter: Reporter) -> Embedding:
    """Returns the validation images of a run on a plane; where it was known it is not found anew.

    Args:
        run: has ended and kept a model.
        method: how features are brought down to two numbers.
        reporter: is told how far it is, and says when to stop.

    Raises:
        DataError: a validation image can no longer be read, or there are too few.
        WeightsError: the run kept no model, or what it started from is no longer there.
        TrainingError: features are no finite numbers, or there is too little memory.
        StopTrainingError: it was asked to stop.
    """
    embedding_key(run, method)  # so that what is refused does not wait for weights
    if (known := known_embedding(run, method)) is not None:
        return known
    started = time.perf_counter()
    compute_repeatably()
    model, header = load_checkpoint(run_folder(run.id) / CHECKPOINT_FILE)
    images = _Images(run, header, reporter)
    first = first_backbone(RunSpec.parse(header.spec))
    before_ND = images.features(first, "before training")
    after_ND = images.features(model.backbone, "after training")
    with torch.inference_mode():
        logits_NK = model.head.cpu()(torch.from_numpy(after_ND))
        probabilities_NK = logits_NK.softmax(dim=1).numpy()
    told = Preparation(reporter, "drawing maps", 2)
    before = _Seen(before_ND, images.labels_N, method, told)
    after = _Seen(after_ND, images.labels_N, method, told, before.points_N2)
    found = Embedding(
        run_id=run.id,
        method=method,
        images=tuple(images.judged(header.classes, probabilities_NK)),
        places=tuple(images.places),
        num_val=images.num_val,
        before=before.plane,
        after=after.plane,
        more_neighbours=difference_of_runs(after.is_among_own_N, before.is_among_own_N).estimate,
        more_silhouette=_gain(before.silhouettes_N, after.silhouettes_N),
        has_moved=weights_digest(first, None) != weights_digest(model.backbone, None),
        started_from=first.origin.sentence,
        seconds=time.perf_counter() - started,
    )
    keep_embedding(run, found)
    return found


class _Images:
    """The images that are shown, and what a backbone makes of them.

    Attributes:
        num_val: validation images of the run.
        places: of those shown among them.
        labels_N: index of each one's class.
    """

    def __init__(self, run: Run, header: CheckpointHeader, reporter: Reporter):
        manifest = Manifest.from_file(run_folder(run.id) / MANIFEST_FILE)
        val = [_with_digest(item) for item in manifest.val]
        self.num_val = len(val)
        self.places = shown_places(val)
        self._items = [val[place] for place in self.places]
        if len(self._items) < LEAST_IMAGES:
            raise DataError(
                f"{run.name} ({run.id}) has {len(self._items)} different validation images; a map "
                f"takes at least {LEAST_IMAGES}."
            )
        self.labels_N = np.array([item.label for item in self._items])
        self._spec = RunSpec.parse(header.spec)
        self._scale = Scale(_rgb(header.mean), _rgb(header.std))
        self._reporter = reporter

    def features(self, backbone: Backbone, when: str) -> NDArray[np.float32]:
        """Returns the features (N, D) that the head gets, from the cache where they are there.

        Raises:
            TrainingError: they are no finite numbers.
        """
        device = choose_device("auto")
        layout = layout_for(device, len(self._items))
        backbone.to(device, memory_format=layout)  # type: ignore[call-overload]
        transform = EvalTransform(self._spec.images, backbone.record, self._scale)
        cut = Cut(backbone, None, blank_images(1, self._spec.images.size, device, layout))
        told = Preparation(self._reporter, f"looking at images {when}", len(self._items))

        def fill(array: NDArray[np.float32]) -> None:
            dataset = PictureDataset(self._items, transform, SEED)
            batches = EpochBatches(len(dataset), BATCH_SIZE, SEED, shuffle=False)
            with backbone.evaluating(), _said_of_a_run_that_ended():
                fill_features(array, cut, PictureSource(dataset, batches, device, layout), 1, told)

        kept = keep_features(
            features_key(cut, self._items, transform, "float32", None, device, layout),
            f"{backbone.record.label}, {self._spec.images.size} px, validation images {when}",
            (len(self._items), *cut.shape),
            fill,
            lambda: told.advance(0),
            always=True,
        )
        assert kept is not None
        features_ND = np.array(kept.array)
        if not np.isfinite(features_ND).all():
            raise TrainingError(
                f"{backbone.record.name} gives features {when} that are no finite numbers; choose "
                "another run."
            )
        return features_ND

    def judged(
        self, classes: tuple[str, ...], probabilities_NK: NDArray[np.float32]
    ) -> list[JudgedImage]:
        """Returns the images with what the run says of each."""
        rows = zip(self._items, probabilities_NK, strict=True)
        return [
            JudgedImage(item.path, item.digest, classes[item.label], (_answer(item, row, classes),))
            for item, row in rows
        ]


@contextmanager
def _said_of_a_run_that_ended() -> Iterator[None]:
    """Has a picture that cannot be read told in words that fit a run which has ended.

    Raises:
        DataError: it cannot be read.
    """
    try:
        yield
    except DataError as error:
        what = str(error).removeprefix(UNREADABLE).partition("; put it back or")[0].strip()
        raise DataError(
            f"A validation picture of this run can no longer be read: {what}; put it back as it "
            "was, and try again."
        ) from error


def _with_digest(item: Item) -> Item:
    """Returns an item with its content's digest, which manifests of old runs do not have."""
    if item.digest:
        return item
    try:
        return replace(item, digest=content_digest(Path(item.path)))
    except OSError as error:
        raise DataError(
            f"{item.path} can no longer be read ({error.strerror or error}); put it back."
        ) from error


def _answer(item: Item, row_K: NDArray[np.float32], classes: tuple[str, ...]) -> Answer:
    named = int(row_K.argmax())
    return Answer(
        classes[named], float(row_K[named]), float(row_K[item.label]), named == item.label
    )


class _Seen:
    """What is known of images from their features.

    Attributes:
        points_N2: where they lie.
        is_among_own_N: whether neighbours speak for their class.
        silhouettes_N: of each; None where that cannot be said.
        plane: all of it, to be kept.
    """

    def __init__(
        self,
        features_ND: NDArray[np.float32],
        labels_N: NDArray[np.integer],
        method: Method,
        told: Preparation,
        like_N2: NDArray[np.float64] | None = None,
    ):
        directions_ND = directions(features_ND)
        points_N2, shares = on_plane(directions_ND, method, SEED)
        self.points_N2 = points_N2 if like_N2 is None else turned_like(points_N2, like_N2, method)
        self.is_among_own_N = neighbours_say(directions_ND, labels_N) == labels_N
        self.silhouettes_N = silhouettes(directions_ND, labels_N)
        apart_N = self.silhouettes_N
        self.plane = Plane(
            points=tuple((float(x), float(y)) for x, y in self.points_N2),
            shares=shares,
            is_among_own=tuple(self.is_among_own_N.tolist()),
            neighbours=accuracy_estimate(self.is_among_own_N),
            silhouette=None if apart_N is None else mean_estimate(apart_N.tolist()),
        )
        told.advance(1)


def _gain(
    before_N: NDArray[np.float64] | None, after_N: NDArray[np.float64] | None
) -> Estimate | None:
    """Returns what after has more than before, image by image."""
    if before_N is None or after_N is None:
        return None
    return mean_estimate((after_N - before_N).tolist())


def _rgb(channels: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = channels
    return red, green, blue
