"""What the model that is updated says of all validation images, before anything is learnt.

Shapes: N validation images, K classes, O of them old.
"""

import torch
from torch import Tensor

from engine.events import Value
from engine.training.loop import evaluate
from engine.training.metrics import EpochMetrics
from engine.training.passes import after_cut
from engine.training.predictions import BEFORE_FILE, Predictions
from engine.training.session import Session
from engine.update.judging import NEW, OLD, old_and_new
from engine.update.start import Start

TASK = "update"


def judge_before(session: Session) -> None:
    """Measures the model that is updated, writes its predictions, and tells of the update.

    A run that is taken up again has done so before.

    Raises:
        StopTrainingError: the run was asked to stop.
        TrainingError: its logits are no finite numbers.
    """
    start = session.start
    if start is None:
        return
    before = Predictions.load(session.folder, BEFORE_FILE)
    if before is None:
        if session.resumed_after or session.within is not None:
            # Its weights have moved; what was told of them then still holds.
            return
        before = Predictions.of_logits(session.manifest, _old_logits(session, start), 0)
        before.save(session.folder, BEFORE_FILE)
    session.reporter.emit("progress", 0, 0, _facts(session, start, before))


def _facts(session: Session, start: Start, before: Predictions) -> dict[str, Value]:
    manifest = session.manifest
    again = {item.path for item in manifest.earlier}
    shares = old_and_new(manifest, before.predicted_N == before.labels_N)
    return {
        "task": TASK,
        "updates": start.label,
        "new_classes": len(manifest.classes) - start.num_classes,
        "old_images_seen_again": sum(item.path in again for item in manifest.train),
        "old_accuracy_before": shares.get(OLD),
        "new_accuracy_before": shares.get(NEW),
    }


@torch.inference_mode()
def _old_logits(session: Session, start: Start) -> Tensor:
    """Returns logits (N, K) in which a class that the model does not know cannot be named."""
    inputs = session.inputs(0)
    start.model.eval()
    if inputs is None:
        _, source = session.feed.pictures()
        forward = session.learner.precision.wrapped(start.model)
    else:
        source = inputs.val
        forward = session.learner.precision.wrapped(after_cut(inputs, start.model))
    num_classes = len(session.manifest.classes)

    def logits(batch: Tensor) -> Tensor:
        known_BO = forward(batch)
        num_new = num_classes - known_BO.shape[1]
        # As far as a softmax can tell from nothing, and a finite number.
        unknown = known_BO.new_full((len(known_BO), num_new), -1e4)
        return torch.cat([known_BO, unknown], dim=1)

    with session.feed.folded(start.model.backbone):
        return evaluate(
            0,
            logits,
            source,
            session.val_criterion,
            EpochMetrics(num_classes, session.device),
            session.reporter,
            session.judging,
        )
