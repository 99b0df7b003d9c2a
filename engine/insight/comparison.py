"""All that is said of some runs side by side, as plain data. No torch here."""

from collections.abc import Sequence
from typing import Any

from engine.insight.compare import RunReport
from engine.insight.cost import cost_fronts
from engine.insight.experiment import pairs_of, ways_of
from engine.insight.learning_curve import learning_curves
from engine.insight.verdicts import cautions, verdict


def comparison(reports: Sequence[RunReport]) -> dict[str, Any]:
    """Returns the ways of training, which differ, what they cost, and what more images bring."""
    ways = ways_of(reports)
    pairs = pairs_of(ways)
    return {
        "ways": [way.to_dict() for way in ways],
        "pairs": [pair.to_dict() | {"verdict": verdict(pair)} for pair in pairs],
        "cautions": cautions(ways),
        "costs": [front.to_dict() for front in cost_fronts(ways, pairs)],
        "learning_curves": learning_curves(reports).to_dict(),
    }
