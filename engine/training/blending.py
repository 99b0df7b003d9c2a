"""The end of a run whose kept model is a blend of its weights before and after fine-tuning.

Source: WiSE-FT (Wortsman et al. 2022). Shapes: N validation images, K classes.
"""

import torch
from torch import Tensor, nn

from engine.models.classifier import Classifier
from engine.training.checkpoint import BestCheckpoint, CheckpointHeader
from engine.training.curves import END_FILE, START_FILE, save_curve
from engine.training.interpolate import ALPHAS, blend, interpolation_curve
from engine.training.loop import evaluate
from engine.training.metrics import EpochMetrics
from engine.training.predictions import Predictions
from engine.training.reporter import StopTrainingError
from engine.training.session import Session
from engine.update.judging import NEW, OLD, of_logits


def keep_start(session: Session, epoch: int) -> None:
    """Writes the weights that are to be blended: those from which the last phase starts.

    Where an update blends them, they are those of the model that is updated.
    """
    if epoch != session.blend_from:
        return
    session.blend_start = _copy(session.judged)
    accuracy = session.outcome.best_val_accuracy
    if accuracy is None:
        accuracy = _judge(session, session.judged, 0)[1]["val/accuracy"]
    _write(session, START_FILE, epoch - 1, accuracy)


def blend_and_judge(session: Session) -> None:
    """Measures the blends of start and end, and keeps the one that the spec asks for.

    The weights at the end are those of the last epoch, not of the best, so that nothing but
    `alpha` is chosen. A run that stopped before its last phase keeps its best epoch.

    Raises:
        StopTrainingError: the run was asked to stop.
        TrainingError: a blend gives logits that are no finite numbers.
    """
    start = session.blend_start
    alpha = session.blend_share
    if alpha is None or start is None:
        return
    epoch = session.epoch
    end = _copy(session.judged)
    _, accuracies = _judge(session, session.judged, epoch)
    _write(session, END_FILE, epoch, accuracies["val/accuracy"])
    _measure(session, start, end, alpha)
    session.judged.load_state_dict(blend(start, end, alpha))
    try:
        logits_NK, metrics = _judge(session, session.judged, epoch)
    except StopTrainingError:
        # What the run has come to is its end, of which all this can be done again.
        session.judged.load_state_dict(end)
        raise
    metrics |= of_logits(session.manifest, logits_NK)
    accuracy = metrics["val/accuracy"]
    header = CheckpointHeader.of(
        session.spec, session.manifest.classes, epoch, accuracy, session.feed.scale
    )
    session.checkpoint.take(header, session.moved)
    Predictions.of_logits(session.manifest, logits_NK, epoch).save(session.folder)
    session.outcome.blend = {"alpha": alpha, **metrics}
    session.outcome.best_val_accuracy = accuracy
    session.outcome.best_epoch = epoch
    session.outcome.note = (
        f"kept the blend of {100 * alpha:.0f} % new and {100 - 100 * alpha:.0f} % old weights: "
        f"{100 * accuracy:.1f} % right"
    )


def _measure(
    session: Session, start: dict[str, Tensor], end: dict[str, Tensor], alpha: float
) -> None:
    """Writes accuracy at every blend, of an update on old and on new images as well."""
    alphas = sorted({*ALPHAS, alpha})
    of_batches: list[dict[str, float]] = []

    def accuracy(model: Classifier) -> float:
        logits_NK, metrics = _judge(session, model, session.epoch)
        of_batches.append(of_logits(session.manifest, logits_NK))
        return metrics["val/accuracy"]

    curve = interpolation_curve(session.judged, start, end, accuracy, alphas)
    parts = {
        name: [
            (at, found[key]) for at, found in zip(alphas, of_batches, strict=True) if key in found
        ]
        for name, key in (("old", OLD), ("new", NEW))
    }
    save_curve(session.folder, curve, alpha, parts)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _write(session: Session, file: str, epoch: int, accuracy: float) -> None:
    kept = BestCheckpoint(session.folder / file, session.judged)
    header = CheckpointHeader.of(
        session.spec, session.manifest.classes, epoch, accuracy, session.feed.scale
    )
    kept.take(header, set(session.model.backbone.stages))
    kept.write()


@torch.inference_mode()
def _judge(session: Session, model: Classifier, epoch: int) -> tuple[Tensor, dict[str, float]]:
    model.eval()
    metrics = EpochMetrics(len(session.manifest.classes), session.device)
    _, val_source = session.feed.pictures()
    with session.feed.folded(model.backbone):
        logits_NK = evaluate(
            epoch,
            model,
            val_source,
            session.val_criterion,
            metrics,
            session.reporter,
            session.judging,
        )
    return logits_NK, metrics.result("val")
