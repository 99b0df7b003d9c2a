"""The tables of Compare as bare numbers, for spreadsheets and programs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboard.words import way_name
from engine.insight.compare import RunReport
from engine.insight.experiment import Pair, Way
from engine.insight.intervals import Estimate


def results_frame(reports: Sequence[RunReport]) -> pd.DataFrame:
    """Returns what each run came to; shares are fractions, times seconds."""
    return pd.DataFrame(
        [
            {
                "run": one.run.id,
                "name": one.run.name,
                "strategy": one.run.spec.strategy.name,
                "seed": one.run.spec.seed,
                "status": one.run.status,
                "best_val_accuracy": one.best_val_accuracy,
                "best_epoch": one.best_epoch,
                "seconds_to_best": one.seconds_to_best,
                "seconds": one.seconds,
                "trainable_parameters": one.run.summary.get("trainable_parameters"),
                "peak_memory_mib": one.epochs[-1].values["peak_memory_mib"] if one.epochs else None,
            }
            for one in reports
        ]
    )


def estimates_frame(ways: Sequence[Way]) -> pd.DataFrame:
    """Returns the numbers of each way, each with both ends of its interval."""
    return pd.DataFrame(
        [
            {
                "way": way_name(way),
                "runs": " ".join(one.run.id for one in way.reports),
                "seeds": len(way.seeds),
                "images": len(way.images),
                **_parts("accuracy", way.accuracy),
                **_parts("macro_f1", way.f1),
                **_parts("calibration_error", way.calibration_error),
                **_parts("seconds", way.seconds),
                "trained_parameters": way.trained_parameters,
                "peak_memory_mib": way.peak_memory_mib,
            }
            for way in ways
        ]
    )


def pairs_frame(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Returns every two ways held against each other; differences are fractions."""
    return pd.DataFrame(
        [
            {
                "better": way_name(pair.first),
                "than": way_name(pair.second),
                **_parts("difference", pair.difference.estimate),
                "p_value": pair.difference.p_value,
                "adjusted_p_value": pair.adjusted_p,
                "is_real": pair.is_real,
                "method": pair.difference.method,
                "images": pair.difference.num_images,
                "only_first": pair.difference.only_first,
                "only_second": pair.difference.only_second,
                "images_to_tell": pair.difference.images_to_tell,
            }
            for pair in pairs
        ]
    )


def _parts(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
