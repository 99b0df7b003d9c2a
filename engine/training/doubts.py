"""Likely wrong labels and outliers of a data set, from what a frozen backbone sees.

Features are those that a frozen run with default settings trains on, from the same cache: whichever
comes first computes them.

Shapes: N pictures, D features, K classes.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from engine.data.findings import Picture
from engine.data.manifest import Item, Manifest
from engine.errors import TrainingError
from engine.models.catalogue import backbone_record
from engine.spec import DataSpec, ModelSpec, RunSpec
from engine.training.device import memory_errors
from engine.training.disagreement import (
    LEAST_IN_CLASS,
    LEAST_PICTURES,
    NUM_FOLDS,
    NUM_ROUNDS,
    ODD_SCORE,
    contradicted,
    out_of_fold,
    standing_apart,
)
from engine.training.doubts_record import Doubts, Outlier, WrongLabel
from engine.training.reporter import Preparation, Reporter
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.sources import FeatureSource


@memory_errors()
def find_doubts(data: DataSpec, backbone: str, reporter: Reporter) -> Doubts:
    """Returns the pictures whose label is likely wrong, and those that are like no other.

    Pictures to train on and to validate on are judged together.

    Args:
        data: says which pictures; how it splits them makes no difference.
        backbone: whose features decide, at its own size.
        reporter: is told how far it is, and says when to stop.

    Raises:
        DataError: the images cannot be used.
        WeightsError: the pre-trained weights are missing or do not fit.
        SpecError: there is no such backbone, or it cannot be built.
        TrainingError: its features are no finite numbers, or the GPU has too little memory.
        StopTrainingError: it was asked to stop.
    """
    started = time.perf_counter()
    spec = frozen_spec(data, backbone)
    with tempfile.TemporaryDirectory(prefix="thaw-doubts-") as folder:
        session = set_up(spec, Path(folder), reporter, started)
        features_ND = _features(session)
    found = _Judgement(session.manifest, features_ND)
    accuracy, wrong_labels = found.wrong_labels(reporter)
    return Doubts(
        backbone=spec.model.backbone,
        num_pictures=len(found.items),
        num_judged=int(found.is_judged_N.sum()),
        small_classes=found.small_classes,
        accuracy=accuracy,
        wrong_labels=wrong_labels,
        outliers=found.outliers(),
        seconds=time.perf_counter() - started,
    )


def frozen_spec(data: DataSpec, backbone: str) -> RunSpec:
    """Returns a frozen run whose features are judged.

    Raises:
        SpecError: there is no such backbone.
    """
    model = ModelSpec.parse({"backbone": backbone})
    size = backbone_record(model.backbone).default_size
    return RunSpec.parse({"data": data, "model": model, "images": {"size": size}})


def _features(session: Session) -> np.ndarray:
    """Returns the features of all pictures (N, D), those to train on first."""
    sources = session.feed.features(session.model.backbone)
    features_ND = np.concatenate([_in_order(source) for source in sources])
    if not np.isfinite(features_ND).all():
        raise TrainingError(
            f"{session.spec.model.backbone} gives features that are no finite numbers; choose "
            "another backbone."
        )
    return features_ND


def _in_order(source: FeatureSource) -> np.ndarray:
    parts, places = [], []
    for features_BD, _, positions_B in source.epoch(1):
        parts.append(features_BD.cpu().numpy())
        places.append(positions_B.numpy())
    features_ND = np.concatenate(parts)
    features_ND[np.concatenate(places)] = features_ND.copy()
    return features_ND


class _Judgement:
    """What is said of the pictures of a manifest.

    Attributes:
        items: all of them.
        small_classes: names of those with too few contents to judge a label by.
        is_judged_N: whose label is judged.
    """

    def __init__(self, manifest: Manifest, features_ND: np.ndarray):
        self.items: tuple[Item, ...] = (*manifest.train, *manifest.val)
        self._num_train = len(manifest.train)
        self._classes = manifest.classes
        self._features_ND = features_ND
        self._labels_N = np.array([item.label for item in self.items])
        digests = [item.digest for item in self.items]
        _, self._first, self._contents_N = np.unique(
            digests, return_index=True, return_inverse=True
        )
        large = [label for label in range(len(self._classes)) if self._is_large(label)]
        self.small_classes = tuple(
            name for label, name in enumerate(self._classes) if label not in large
        )
        # One class alone is not told from any other.
        self.is_judged_N = np.isin(self._labels_N, large if len(large) > 1 else [])

    def wrong_labels(self, reporter: Reporter) -> tuple[float | None, tuple[WrongLabel, ...]]:
        """Returns the share of labels that others confirm, and those that they contradict."""
        places = np.flatnonzero(self.is_judged_N)
        if not len(places):
            return None, ()
        classes, labels_N = np.unique(self._labels_N[places], return_inverse=True)
        told = Preparation(reporter, "comparing labels", NUM_FOLDS * NUM_ROUNDS)
        probabilities_NK = out_of_fold(
            self._features_ND[places], labels_N, self._contents_N[places], told.advance
        )
        suggested_N = probabilities_NK.argmax(axis=1)
        found = tuple(
            WrongLabel(
                self._picture(places[one], self._classes[classes[suggested_N[one]]]),
                given=float(probabilities_NK[one, labels_N[one]]),
                suggested=float(probabilities_NK[one].max()),
            )
            for one in contradicted(probabilities_NK, labels_N)
        )
        return float((suggested_N == labels_N).mean()), found

    def outliers(self) -> tuple[Outlier, ...]:
        """Returns the pictures that stand apart."""
        if len(self._first) < LEAST_PICTURES:
            return ()
        scores_N = standing_apart(self._features_ND[self._first])[self._contents_N]
        odd = np.flatnonzero(scores_N > ODD_SCORE)
        return tuple(
            Outlier(self._picture(place), float(scores_N[place]))
            for place in odd[np.argsort(-scores_N[odd], kind="stable")]
        )

    def _is_large(self, label: int) -> bool:
        contents = self._contents_N[self._labels_N == label]
        return len(np.unique(contents)) >= LEAST_IN_CLASS

    def _picture(self, place: int, suggestion: str = "") -> Picture:
        item = self.items[place]
        split = "train" if place < self._num_train else "val"
        return Picture(item.path, self._classes[item.label], split, item.digest, suggestion)
