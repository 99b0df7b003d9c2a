"""Runs that still go on, on a page that shows what they came to: it is drawn anew as they end."""

from collections.abc import Sequence

import streamlit as st

from dashboard.runs import store
from engine.events import ACTIVE
from engine.runs.store import Run

REFRESH_SECONDS = 2.0


def going_on_section(page: str, runs: Sequence[Run]) -> None:
    """Says how many of the shown runs go on, and draws the whole page anew as each of them ends.

    Args:
        page: prefix of the state keys.
        runs: shown on the page.
    """
    active = [run.id for run in runs if run.is_active]
    if not active:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(_sentence(len(active), len(runs)), icon=":material/hourglass_top:")
        if st.button(
            "Follow live",
            icon=":material/monitoring:",
            key=f"{page}.going_on.live",
            help="The Live page draws the curves of these runs step by step.",
        ):
            st.switch_page("app_pages/live.py", query_params={"run": active})
    st.fragment(_watch, run_every=REFRESH_SECONDS)(active)


def _sentence(num_active: int, total: int) -> str:
    if num_active == total:
        who = "This run goes on" if total == 1 else f"These {total} runs go on"
    else:
        who = f"{num_active} of these {total} runs {'goes' if num_active == 1 else 'go'} on"
    return (
        f"{who}: what is shown is what there was so far. The page is drawn anew as each run ends."
    )


def _watch(were_active: Sequence[str]) -> None:
    heads = store().heads(were_active)
    if any(one not in heads or heads[one][1] not in ACTIVE for one in were_active):
        st.rerun()
