"""How far each stage of a run moved, and how strong its gradient was. No torch here.

What is measured is told in `engine.training.judge_layers`.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.events import MetricEvent
from engine.insight.compare import RunReport
from engine.models.catalogue import backbone_record
from engine.runs.store import Run, Store
from engine.training.layer_names import CKA, CKA_IMAGES, DRIFT, GRAD_NORM, STATISTICS

HEAD, HEAD_LABEL = "head", "Head"


@dataclass(frozen=True)
class StageHistory:
    """One stage over the measured epochs of a run.

    Attributes:
        name: as in metric keys.
        label: what a person reads.
        drift: ‖w - w0‖ / ‖w0‖ of its weights after each epoch; 0 where nothing moved them.
        statistics: likewise of BatchNorm's running statistics; 0 where it has none.
        cka: linear CKA of what it makes of validation images with what the pre-trained network
            makes of them; 1 where nothing changed that, None where it cannot be told.
    """

    name: str
    label: str
    drift: tuple[float | None, ...]
    statistics: tuple[float, ...]
    cka: tuple[float | None, ...]

    @property
    def change(self) -> tuple[float | None, ...]:
        """1 - CKA after each epoch: 0 where it sees what it saw at first."""
        # By rounding, or free of bias, a CKA may lie a little beyond 1.
        return tuple(None if one is None else max(0.0, 1.0 - one) for one in self.cka)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "stage": self.name,
            "label": self.label,
            "drift": list(self.drift),
            "drift_statistics": list(self.statistics),
            "cka": list(self.cka),
        }


@dataclass(frozen=True)
class LayerHistory:
    """All stages of a run over its epochs.

    Attributes:
        run: that moved them.
        epochs: those after which it was measured, counted from 1.
        num_images: validation images on which CKA is computed.
        stages: stem first.
    """

    run: Run
    epochs: tuple[int, ...]
    num_images: int
    stages: tuple[StageHistory, ...]

    @property
    def only_statistics(self) -> tuple[StageHistory, ...]:
        """Stages whose weights never moved and whose BatchNorm statistics did."""
        return tuple(one for one in self.stages if not one.drift[-1] and one.statistics[-1])

    @property
    def num_untold(self) -> int:
        """Stages whose CKA could not be told after the last epoch."""
        return sum(one.cka[-1] is None for one in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "run_id": self.run.id,
            "epochs": list(self.epochs),
            "cka_images": self.num_images,
            "stages": [one.to_dict() for one in self.stages],
        }


def layer_history(report: RunReport) -> LayerHistory | None:
    """Returns how far the stages of a run moved; None of a run that did not measure it."""
    told = [event for event in report.epochs if CKA_IMAGES in event.values]
    if not told:
        return None
    stages = backbone_record(report.run.spec.model.backbone).stages
    return LayerHistory(
        report.run,
        tuple(event.epoch for event in told),
        int(told[-1].values[CKA_IMAGES] or 0),
        tuple(
            StageHistory(
                one.name,
                one.label,
                tuple(_number(event, DRIFT + one.name, 0.0) for event in told),
                tuple(_number(event, STATISTICS + one.name, 0.0) or 0.0 for event in told),
                tuple(_number(event, CKA + one.name, 1.0) for event in told),
            )
            for one in stages
        ),
    )


def _number(event: MetricEvent, key: str, as_it_was: float) -> float | None:
    value = event.values.get(key, as_it_was)
    return None if value is None else float(value)


@dataclass(frozen=True)
class GradientHistory:
    """Norms of one stage's gradient, or of the head's.

    Attributes:
        name: as in metric keys.
        label: what a person reads.
        steps: at which it was measured, counted from 1; while it is frozen it has none.
        epochs: in which they lie.
        norms: at these steps, over the batch, before clipping.
    """

    name: str
    label: str
    steps: tuple[int, ...]
    epochs: tuple[int, ...]
    norms: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns mean and greatest norm of each epoch as plain data."""
        by_epoch: dict[int, list[float]] = {}
        for epoch, norm in zip(self.epochs, self.norms, strict=True):
            by_epoch.setdefault(epoch, []).append(norm)
        return {
            "stage": self.name,
            "label": self.label,
            "epochs": list(by_epoch),
            "mean": [statistics.fmean(norms) for norms in by_epoch.values()],
            "greatest": [max(norms) for norms in by_epoch.values()],
        }


def gradient_histories(store: Store, run: Run) -> tuple[GradientHistory, ...]:
    """Returns the gradients of the stages that learnt in a run, stem first, and of its head.

    There are none of a run that did not measure them.
    """
    events = store.events_of_kind(run.id, "step")
    stages = backbone_record(run.spec.model.backbone).stages
    named = [*((one.name, one.label) for one in stages), (HEAD, HEAD_LABEL)]
    found = (_gradients(events, name, label) for name, label in named)
    return tuple(one for one in found if one.steps)


def _gradients(events: Sequence[MetricEvent], name: str, label: str) -> GradientHistory:
    key = GRAD_NORM + name
    told = [event for event in events if event.values.get(key) is not None]
    return GradientHistory(
        name,
        label,
        tuple(event.step for event in told),
        tuple(event.epoch for event in told),
        tuple(float(event.values[key] or 0.0) for event in told),
    )


def layers_document(store: Store, report: RunReport) -> dict[str, Any] | None:
    """Returns all that is known of a run's stages as plain data; None where nothing was measured.

    That is LayerHistory's, with `gradients`: mean and greatest norm of each stage in each epoch.
    """
    history = layer_history(report)
    if history is None:
        return None
    gradients = gradient_histories(store, report.run)
    return history.to_dict() | {"gradients": [one.to_dict() for one in gradients]}
