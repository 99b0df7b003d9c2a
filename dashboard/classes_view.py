"""The view of Compare that goes class by class."""

from collections.abc import Sequence

import streamlit as st

from dashboard.classes_section import confusion_section
from dashboard.pair_choice import choose_pair, said_instead
from dashboard.runs import plain
from dashboard.scores_section import reliability_section, scores_section
from engine.errors import DataError
from engine.insight.classes import Judgement, judgement
from engine.insight.compare import RunReport


def classes_view(page: str, reports: Sequence[RunReport]) -> None:
    """Shows confusion, scores, reliability and thresholds of one run or two.

    Args:
        page: prefix of the state keys.
        reports: the runs to choose from.
    """
    judged = [one for one in reports if one.predictions() is not None]
    if not judged:
        said_instead(reports)
        return
    pair = choose_pair(f"{page}.classes", judged)
    known = [(one, found) for one in pair if (found := _judgement(one)) is not None]
    if not known:
        return
    runs, said = [one for one, _ in known], [each for _, each in known]
    epochs = [_epoch(one) for one in runs]
    confusion_section(page, runs, said, epochs)
    scores_section(page, runs, said)
    reliability_section(page, runs, said)
    if all(len(each.classes) == 2 and each.classes == said[0].classes for each in said):
        # scikit-learn's metrics take a second to import, and most data has more classes.
        from dashboard.threshold_section import threshold_section

        threshold_section(page, runs, said)


def _judgement(one: RunReport) -> Judgement | None:
    try:
        return judgement(one)
    except DataError as error:
        st.caption(plain(str(error)))
        return None


def _epoch(one: RunReport) -> int:
    predictions = one.predictions()
    assert predictions is not None
    return predictions.epoch
