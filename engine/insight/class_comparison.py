"""Runs class by class as plain data, as `--json` prints it. No torch here."""

from collections.abc import Sequence
from typing import Any

from engine.insight.calibration import Reliability, reliability
from engine.insight.classes import (
    Judgement,
    class_scores,
    confused_pairs,
    judgement,
    shared_matrices,
)
from engine.insight.compare import RunReport
from engine.insight.images import judged_images


def class_comparison(reports: Sequence[RunReport]) -> dict[str, Any]:
    """Returns what runs take for what, how well each class is known, and how far that is believed.

    Runs that have judged no image yet are left out. What is shared is on the images that all of
    the others were judged on.

    Raises:
        DataError: the list of a run's images is missing or damaged.
    """
    known = [(one, found) for one in reports if (found := judgement(one)) is not None]
    images = judged_images([one for one, _ in known])
    shared = shared_matrices(images, known[0][1].classes) if images else None
    pairs = [] if shared is None else confused_pairs(shared.classes, shared.matrices)
    return {
        "runs": [{"run_id": one.run.id} | _of_one(found) for one, found in known],
        "shared": None if shared is None else shared.to_dict(),
        "most_confused": [pair.to_dict() for pair in pairs],
    }


def _of_one(found: Judgement) -> dict[str, Any]:
    from engine.insight.thresholds import ranking

    # Of more or fewer than two classes there is none.
    two = ranking(found, found.classes[-1])
    return {
        "classes": list(found.classes),
        "confusion": found.counts_KK.tolist(),
        "scores": [one.to_dict() for one in class_scores(found.classes, found.counts_KK)],
        "reliability": _reliable(reliability(found.probabilities_NK, found.labels_N)),
        "two_classes": None if two is None else two.to_dict(),
    }


def _reliable(found: Reliability) -> dict[str, Any]:
    return {
        "error": found.error,
        "edges": found.edges_B.tolist(),
        "images": found.counts_B.tolist(),
        "confidence": found.confidence_B.tolist(),
        "accuracy": found.accuracy_B.tolist(),
    }
