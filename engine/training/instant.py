"""Heads trained one after the other on features that were computed once.

What is trained is what a run of the same spec would train: through the same loop, to the same
numbers. Only what its folder would hold is not kept.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.data.manifest import build_manifest
from engine.errors import SpecError
from engine.spec import RunSpec
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader
from engine.training.device import memory_errors
from engine.training.plan import same_every_epoch
from engine.training.predictions import Predictions, confusion_matrix
from engine.training.reporter import Reporter
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import run_epochs


@dataclass(frozen=True)
class TrainedHead:
    """What came of a head.

    Attributes:
        classes: names in the order of the matrix.
        best_epoch: with the highest validation accuracy, counted from 1.
        best_val_accuracy: fraction.
        confusion_KK: counts; rows are true classes, columns predicted ones, in the best epoch.
        num_train: images learnt from.
        num_val: images judged by.
        seconds: that training the head took, features apart.
    """

    classes: tuple[str, ...]
    best_epoch: int
    best_val_accuracy: float
    confusion_KK: list[list[int]]
    num_train: int
    num_val: int
    seconds: float


class HeadBench:
    """Keeps pictures' features and the backbone between heads; to be closed after use."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="thaw-heads-"))
        self._base: tuple[str, Session] | None = None

    def __enter__(self) -> "HeadBench":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes what it wrote."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @memory_errors()
    def train(self, spec: RunSpec, reporter: Reporter) -> TrainedHead:
        """Trains the head of a frozen run.

        Args:
            spec: of the run.
            reporter: is told of each epoch, and says when to stop.

        Raises:
            SpecError: more than the head would learn, or features differ from epoch to epoch.
            DataError: the images cannot be used.
            WeightsError: the pre-trained weights are missing or do not fit.
            TrainingError: the loss is not a finite number, or the GPU has too little memory.
            StopTrainingError: it was asked to stop.
        """
        require_head_alone(spec)
        # Looked at each time: files may have changed since the last head.
        key = base_key(spec) + build_manifest(spec.data).fingerprint
        if self._base is None or self._base[0] != key:
            self._base = None
            first = set_up(spec, self._folder, reporter, time.perf_counter())
            self._base = (key, first)
        started = time.perf_counter()
        session = set_up(spec, self._folder, reporter, started, before=self._base[1])
        session.checkpoint = _NoCheckpoint(self._folder / "none", session.model)
        run_epochs(session)
        seconds = time.perf_counter() - started
        predictions = Predictions.load(self._folder)
        accuracy = session.outcome.best_val_accuracy
        assert predictions is not None
        assert accuracy is not None
        return TrainedHead(
            classes=session.manifest.classes,
            best_epoch=session.outcome.best_epoch,
            best_val_accuracy=accuracy,
            confusion_KK=confusion_matrix(predictions).tolist(),
            num_train=len(session.manifest.train),
            num_val=len(session.manifest.val),
            seconds=seconds,
        )


def require_head_alone(spec: RunSpec) -> None:
    """Raises SpecError where more than the head would learn, or features would not stay."""
    if spec.strategy.name != "frozen":
        raise SpecError(f"strategy.name is {spec.strategy.name!r}; only a frozen head is instant.")
    if not same_every_epoch(spec):
        raise SpecError(
            "Features differ from epoch to epoch with augmentation that has no views, mixup, "
            "CutMix or BatchNorm that updates; a head is instant only without them."
        )


def base_key(spec: RunSpec) -> str:
    """Returns what stands for all that decides the features."""
    parts: dict[str, Any] = {
        "data": spec.data.model_dump(),
        "images": spec.images.model_dump(),
        "backbone": spec.model.backbone,
        "weights": spec.model.weights,
        "depth": spec.model.stochastic_depth,
        "precision": spec.training.feature_precision,
        "device": spec.device,
    }
    if spec.model.weights == "random" or spec.images.views:
        parts["seed"] = spec.seed
    if spec.images.views:
        parts["epochs"] = spec.training.epochs
    return json.dumps(parts, sort_keys=True)


class _NoCheckpoint(BestCheckpoint):
    """Keeps nothing."""

    def take(self, header: CheckpointHeader, moved: Collection[str]) -> None:
        """Keeps nothing."""
