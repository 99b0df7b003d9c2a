"""Everything that is known of some runs side by side, as plain data. No torch here.

What takes a model to find out (shift, embeddings) is here as far as it was worked out before.
"""

from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import ThawError
from engine.insight.class_comparison import class_comparison
from engine.insight.compare import RunReport
from engine.insight.comparison import comparison
from engine.insight.embedding import METHODS, known_embedding, why_not_embed
from engine.insight.images import judged_images
from engine.insight.layers import layers_document
from engine.insight.shift import shift_of
from engine.insight.update_methods import method_results
from engine.insight.updates import update_of
from engine.runs.store import Store


def evidence(store: Store, reports: Sequence[RunReport]) -> dict[str, Any]:
    """Returns comparison()'s data with classes, images, layers, shift, embeddings and updates.

    `untold` has a sentence on each part that could not be told; it is null then.
    """
    parts: dict[str, Callable[[], Any]] = {
        "classes": lambda: class_comparison(reports),
        "images": lambda: _images(reports),
        "layers": lambda: [one for run in reports if (one := layers_document(store, run))],
        "shift": lambda: found.to_dict() if (found := shift_of(reports)) else None,
        "embeddings": lambda: _embeddings(reports),
        "updates": lambda: _updates(reports),
    }
    told: dict[str, Any] = comparison(reports)
    untold = []
    for name, tell in parts.items():
        try:
            told[name] = tell()
        except ThawError as error:
            told[name] = None
            untold.append(f"{name}: {error}")
    return told | {"untold": untold}


def _images(reports: Sequence[RunReport]) -> dict[str, Any]:
    """Returns what each run that judged images says of those that all of them judged."""
    judged = [one for one in reports if one.predictions() is not None]
    return {
        "runs": [one.run.id for one in judged],
        "judged": [image.to_dict() for image in judged_images(judged)],
    }


def _updates(reports: Sequence[RunReport]) -> list[dict[str, Any]]:
    """Returns what those runs that update a model gained and forgot, by method."""
    found = [update for one in reports if (update := update_of(one.run)) is not None]
    return [way.to_dict() for way in method_results(found)]


def _embeddings(reports: Sequence[RunReport]) -> list[dict[str, Any]]:
    return [
        found.to_dict()
        for one in reports
        if not why_not_embed(one.run)
        for method in METHODS
        if (found := known_embedding(one.run, method)) is not None
    ]
