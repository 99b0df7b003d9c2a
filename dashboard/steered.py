"""What was steered in runs while they went on, and doing one of them again."""

from collections.abc import Sequence

import streamlit as st

from dashboard.elsewhere import why_not_again
from dashboard.runs import label_of, plain, store
from engine.errors import ThawError
from engine.insight.compare import RunReport
from engine.runs.replay import replay

REPLAY_HELP = (
    "Does the run again from its settings, with every change at the same step, nobody watching: "
    "the same numbers on the same machine."
)


def steered_section(page: str, reports: Sequence[RunReport]) -> None:
    """Lists the acts of each run that was steered, with a button to replay it once it has ended.

    Args:
        page: prefix of the state keys.
        reports: the runs on the page; those that nobody steered are left out.
    """
    for one in reports:
        if one.acts_too_late:
            st.caption(
                f"Asked of **{plain(label_of(one.run))}** when no step was left for it, so without "
                f"effect: {plain('; '.join(one.acts_too_late))}."
            )
        if not one.acts:
            continue
        left, right = st.columns([5, 1], vertical_alignment="center")
        told = "; ".join(f"epoch {act.epoch}: {act.values['sentence']}" for act in one.acts)
        left.markdown(f"**{plain(label_of(one.run))}** was steered: {plain(told)}")
        pressed = right.button(
            "Replay",
            icon=":material/replay:",
            key=f"{page}.replay.{one.run.id}",
            help=REPLAY_HELP,
            disabled=one.run.is_active,
            width="stretch",
        )
        if pressed:
            _replay(one)


def _replay(one: RunReport) -> None:
    if reason := why_not_again(one.run):
        st.warning(plain(reason), icon=":material/replay:")
        return
    try:
        again = replay(store(), one.run)
    except ThawError as error:
        st.warning(plain(str(error)), icon=":material/replay:")
        return
    st.switch_page("app_pages/live.py", query_params={"run": again.id})
