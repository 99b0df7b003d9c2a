"""Maps of where models look, found in a process of its own that outlives the page. No torch."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from engine.insight.saliency_maps import KIND, Question, work_key
from engine.runs.background import Work, WorkState

MODULE = "engine.insight.explain_worker"


def explain_work(key: str) -> Work:
    """Returns the search for the maps of a key; see `work_key`."""
    return Work(KIND, key, "Looking at the picture")


def explain_state(questions: Sequence[Question]) -> WorkState | None:
    """Returns how the search for maps stands, None where there was none.

    Raises:
        WeightsError: a run has no checkpoint.
        DataError: a picture cannot be read.
    """
    return explain_work(work_key(questions)).state()


def start_explaining(questions: Sequence[Question]) -> None:
    """Starts to look for the maps that are asked for, unless that goes on already.

    Raises:
        WeightsError: a run has no checkpoint.
        DataError: a picture cannot be read.
    """
    order = json.dumps([asdict(one) for one in questions])
    explain_work(work_key(questions)).start(MODULE, order)


def stop_explaining(questions: Sequence[Question]) -> None:
    """Asks the search to end; it does before the next run's turn.

    Raises:
        WeightsError: a run has no checkpoint.
        DataError: a picture cannot be read.
    """
    explain_work(work_key(questions)).stop()


def read_order(order: str) -> list[Question]:
    """Returns the questions of an order."""
    return [
        Question(one["run_id"], one["path"], tuple(one["classes"]), one["method"])
        for one in json.loads(order)
    ]
