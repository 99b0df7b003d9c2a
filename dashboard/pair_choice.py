"""Which two of several runs are held against each other, in a choice that views share."""

from collections.abc import Sequence

import streamlit as st

from dashboard.runs import label_of
from engine.insight.compare import RunReport
from engine.runs.store import Run


def choose_pair(page: str, judged: Sequence[RunReport]) -> list[RunReport]:
    """Returns the two runs that are looked at; of up to two runs, those, without asking.

    Args:
        page: prefix of the state keys.
        judged: runs with predictions.
    """
    if len(judged) <= 2:
        return list(judged)
    by_id = {one.run.id: one for one in judged}
    ids = list(by_id)
    with st.container(horizontal=True):
        first = st.selectbox(
            "One run",
            ids,
            format_func=lambda run_id: label_of(by_id[run_id].run),
            help="One of the two runs whose answers are held against each other.",
            key=f"{page}.first",
        )
        others = [run_id for run_id in ids if run_id != first]
        second = st.selectbox(
            "The other",
            others,
            index=_most_telling(by_id[first], [by_id[run_id] for run_id in others]),
            format_func=lambda run_id: label_of(by_id[run_id].run),
            help="The other of the two.",
            key=f"{page}.second",
        )
    return [by_id[first], by_id[second]]


def _most_telling(first: RunReport, others: Sequence[RunReport]) -> int:
    """Returns the place of the first run that was trained in another way, else the first."""
    strategy = first.run.spec.strategy.name
    differs = (i for i, one in enumerate(others) if one.run.spec.strategy.name != strategy)
    return next(differs, 0)


def short_name(run: Run) -> str:
    """Returns enough of a run's name and id to tell it from the other one."""
    return run.name.partition(" · ")[0] + f" {run.id[:4]}"


def said_instead(reports: Sequence[RunReport]) -> None:
    """Says why there is nothing to look at, where no run has judged an image yet."""
    if any(one.run.is_active for one in reports):
        st.info(
            "No epoch is completed yet; what the runs say of each image is here with the first.",
            icon=":material/timer:",
        )
        return
    st.info(
        "None of these runs has judged an image: they ended before their first epoch, or their "
        "folders are gone. Choose others above, or train them again.",
        icon=":material/image_not_supported:",
    )
