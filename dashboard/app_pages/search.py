"""Search: many runs at once over chosen settings, and what came of them."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.clone import open_with
from dashboard.runs import duration, percent, plain, store
from dashboard.search_charts import cost_figure, judged_trials, parallel_figure
from dashboard.search_form import search_form
from dashboard.search_form_axes import setting_label
from dashboard.show import show_chart
from engine.errors import RunNotFoundError
from engine.runs.search_study import (
    Search,
    Trial,
    all_searches,
    best_trial,
    count_states,
    go_on,
    look_at,
    ranked_trials,
    stop_search,
    tend_search,
    tend_searches,
)
from engine.spec import RunSpec

PAGE = "search"
REFRESH_SECONDS = 2.0
# Streamlit fades what a slow rerun has not come to yet; what is renewed by itself must not blink.
STYLE = "<style>.st-key-search-results [data-stale=true] { opacity: 1 !important; }</style>"


def main() -> None:
    """Lays the page out: the form that starts a search, and the results of one."""
    st.title("Search")
    tend_searches()
    searches = all_searches()
    if not searches:
        st.info(
            "No search yet. Choose what to search below and press the button: each trial is a run "
            "of its own, and the page shows which settings win and what they cost.",
            icon=":material/search:",
        )
    with st.expander("Start a search", expanded=not searches, icon=":material/add:"):
        started = search_form(PAGE)
    if started:
        st.query_params["search"] = started
        st.rerun()
    if not searches:
        return
    chosen = _pick(searches)
    every = REFRESH_SECONDS if chosen.is_active else None
    st.html(STYLE)
    with st.container(key=f"{PAGE}-results"):
        st.fragment(_results, run_every=every)(chosen.id, chosen.is_active)


def _pick(searches: list[Search]) -> Search:
    by_id = {one.id: one for one in searches}
    asked = st.query_params.get("search", "")
    if asked and asked not in by_id:
        st.warning(
            plain(f"There is no search {asked!r}; the newest one is shown."),
            icon=":material/link_off:",
        )
    shown = by_id.get(asked, searches[0])
    key = f"{PAGE}.chosen.{shown.id}"

    def remember() -> None:
        st.query_params["search"] = st.session_state[key]

    picked = st.selectbox(
        "Search",
        list(by_id),
        index=list(by_id).index(shown.id),
        format_func=lambda search_id: _label(by_id[search_id]),
        help="The address keeps the choice, so it can be bookmarked or sent to someone.",
        key=key,
        on_change=remember,
    )
    return by_id[picked]


def _label(search: Search) -> str:
    when = datetime.fromtimestamp(search.created_at).strftime("%d %b %H:%M")
    over = ", ".join(setting_label(path).lower() for path in search.spec.space)
    # Not its status: a label that changes is not shown anew while its option stays chosen.
    return f"{search.id[:4]} · {when} · {over}"


def _results(search_id: str, was_active: bool) -> None:
    # All is read before anything is drawn: what is drawn late looks faded meanwhile.
    search, trials = look_at(search_id)
    if was_active and not search.is_active:
        # The whole page once more, which draws this part without its timer.
        st.rerun()
    tend_search(search)
    _progress(search, trials)
    _say_end(search, trials)
    _best(search, trials)
    _charts(search, trials)
    _table(search, trials)


def _progress(search: Search, trials: list[Trial]) -> None:
    counts = count_states(trials)
    num_running = counts.pop("running")
    num_ended = len(trials) - num_running
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    share = num_ended / search.spec.num_trials
    text = f"{num_ended} of {search.spec.num_trials} trials have ended"
    text += f" ({told})" if told else ""
    text += f" · {num_running} running" if num_running else ""
    if not search.is_active and len(trials) >= search.spec.num_trials:
        st.progress(share, text=text)
        return
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.progress(share, text=text)
    with right:
        if search.is_active:
            _stop_button(search)
        else:
            _go_on_button(search)


def _stop_button(search: Search) -> None:
    clicked = st.button(
        "Stop" if search.status == "running" else "Stopping",
        disabled=search.status != "running",
        icon=":material/stop:",
        width="stretch",
        key=f"{PAGE}.stop",
        help="Runs that go on end after their present step; what was found is kept.",
    )
    if clicked:
        stop_search(search.id)
        st.rerun()


def _go_on_button(search: Search) -> None:
    clicked = st.button(
        "Go on",
        icon=":material/play_arrow:",
        width="stretch",
        key=f"{PAGE}.go_on",
        help="Lets the search go on with the trials that it has not asked for yet.",
    )
    if clicked:
        go_on(search.id)
        st.rerun()


def _say_end(search: Search, trials: list[Trial]) -> None:
    if search.status == "failed":
        st.error(
            plain(search.reason)
            + " Start another search with other settings, or let this one go on.",
            icon=":material/error:",
        )
    elif search.is_active and not judged_trials(trials):
        st.info(
            "The first trial is on its way; its epochs are on the Live page. Results appear here "
            "as trials end.",
            icon=":material/timer:",
        )
    elif not search.is_active and not ranked_trials(trials):
        st.info(
            "No trial was completed, so there is no best one. Let the search go on, or start "
            "another.",
            icon=":material/info:",
        )


def _best(search: Search, trials: list[Trial]) -> None:
    """Shows the best trial so far, and what can be done with it."""
    best = best_trial(trials)
    if best is None or best.run_id is None:
        return
    try:
        spec = store().run(best.run_id).spec
    except RunNotFoundError:
        return
    settings = ", ".join(
        f"{setting_label(path).lower()} **{plain(_shown(value))}**"
        for path, value in best.params.items()
    )
    so_far = " so far" if search.is_active else ""
    st.markdown(
        f"Best{so_far}: trial {best.number + 1} with **{percent(best.accuracy)}** of the "
        f"validation pictures right, in {duration(best.seconds)}: {settings}."
    )
    first, second, third = st.columns(3)
    with first:
        _use_button(spec)
    with second:
        _compare_button(trials)
    third.download_button(
        "Save the best as a spec",
        spec.model_dump_json(indent=1),
        file_name=f"best-{best.run_id}.json",
        mime="application/json",
        icon=":material/download:",
        width="stretch",
        on_click="ignore",
        help="Every setting to the last digit; train it with `thaw train --spec FILE`.",
    )


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _use_button(spec: RunSpec) -> None:
    clicked = st.button(
        "Use the best settings" if spec.update.start else "Use the best on the Train page",
        type="primary",
        icon=":material/tune:",
        width="stretch",
        key=f"{PAGE}.use",
        help="Fills every control there with the settings of the best trial.",
    )
    if not clicked:
        return
    open_with(spec)


def _compare_button(trials: list[Trial]) -> None:
    run_ids = list(dict.fromkeys(one.run_id for one in ranked_trials(trials) if one.run_id))[:3]
    label = {1: "Show it on Compare", 2: "Compare the best two"}.get(
        len(run_ids), "Compare the best three"
    )
    clicked = st.button(
        label,
        icon=":material/compare_arrows:",
        width="stretch",
        key=f"{PAGE}.compare",
        help="Curves, confusion matrices and settings side by side.",
    )
    if clicked:
        st.switch_page("app_pages/compare.py", query_params={"run": run_ids})


def _charts(search: Search, trials: list[Trial]) -> None:
    if not judged_trials(trials):
        return
    st.subheader("Which settings win", anchor=False)
    st.caption(
        "A line a trial: grey ones are the weakest, amber ones the best. Drag along an axis to "
        "keep only the lines that go through there. Trials that were stopped early count with what "
        "they reached."
    )
    show_chart(
        parallel_figure(search.spec.space, trials),
        key=f"{PAGE}.parallel.{search.id}",
        name=f"Settings and accuracy of search {search.id}",
        alt="A line a trial through its settings to its accuracy",
    )
    st.subheader("Accuracy against cost", anchor=False)
    show_chart(
        cost_figure(trials, _strategies(search, trials)),
        key=f"{PAGE}.cost.{search.id}",
        name=f"Accuracy against cost of search {search.id}",
        alt="Accuracy of each trial against its seconds",
    )


def _strategies(search: Search, trials: list[Trial]) -> dict[int, str]:
    own = search.spec.base.strategy.name
    return {one.number: str(one.params.get("strategy.name", own)) for one in trials}


def _table(search: Search, trials: list[Trial]) -> None:
    if not trials:
        return
    st.subheader("Trials", anchor=False)
    rows = [
        {
            "trial": one.number + 1,
            "status": one.state,
            "best val accuracy (%)": None if one.accuracy is None else 100 * one.accuracy,
            "epochs": one.num_epochs,
            "time (s)": one.seconds,
            **{
                setting_label(path): _shown(one.params.get(path, "–")) for path in search.spec.space
            },
            "run": f"compare?run={one.run_id}" if one.run_id else None,
            "why it ended": one.reason or "–",
        }
        for one in reversed(trials)
    ]
    tenths = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="–",
        key=f"{PAGE}.trials.{search.id}",
        column_config={
            "best val accuracy (%)": tenths,
            "time (s)": tenths,
            "run": st.column_config.LinkColumn(
                display_text=r"run=(\w+)", help="Opens the run on the Compare page."
            ),
        },
    )


main()
