"""Live: runs as they go on."""

import streamlit as st

from dashboard.elsewhere import why_not_again
from dashboard.live import live_charts
from dashboard.log_section import log_section
from dashboard.runs import asked_runs, pick_runs, plain, store
from engine.errors import ThawError
from engine.runs.queue import resume
from engine.runs.store import Run

PAGE = "live"


def main() -> None:
    """Shows the runs in the address, or those that go on or are paused, or the last launched."""
    st.title("Live")
    all_runs = store().all_runs()
    if not all_runs:
        st.info(
            "No run yet. Start the first one on the Train page; it shows up here while it trains.",
            icon=":material/monitoring:",
        )
        st.page_link("app_pages/train.py", label="Go to Train", icon=":material/tune:")
    asked = asked_runs()
    chosen = _pick(all_runs, asked) if all_runs else []
    try:
        wanted = live_charts([run.id for run in chosen], follow=not asked)
    except ThawError as error:
        _warn(error)
        return
    if wanted.stop:
        store().request_stop(wanted.stop)
    if wanted.pause:
        store().request_pause(wanted.pause)
    if wanted.resume:
        _resume(wanted.resume)
    for one in wanted.acts:
        try:
            store().request_act(one.run, one.act)
        except ThawError as error:
            _warn(error)
    log_section(PAGE, chosen)


def _resume(run_id: str) -> None:
    try:
        reason = why_not_again(store().run(run_id))
    except ThawError as error:
        reason = str(error)
    if reason:
        st.warning(plain(reason), icon=":material/link_off:")
        return
    resume(store(), run_id)


def _warn(error: ThawError) -> None:
    st.warning(plain(str(error)), icon=":material/tune:")


def _default_runs(all_runs: list[Run]) -> list[Run]:
    unended = [run for run in all_runs if run.is_active or run.status == "paused"]
    if unended:
        return unended[::-1]
    return [run for run in all_runs if run.group_id == all_runs[0].group_id][::-1]


def _pick(all_runs: list[Run], asked: list[Run]) -> list[Run]:
    by_id = {run.id: run for run in all_runs}
    shown = asked or _default_runs(all_runs)
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        picked = pick_runs(
            PAGE,
            "Runs on the charts",
            by_id,
            shown,
            "Add earlier runs to see them beside the present ones; the address keeps the choice.",
        )
    if right.button("Compare these", icon=":material/compare_arrows:", width="stretch"):
        st.switch_page("app_pages/compare.py", query_params={"run": [run.id for run in picked]})
    return picked


main()
