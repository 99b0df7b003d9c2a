"""Depth: the same model with none, one, two, ... all of its stages trained."""

from datetime import datetime
from pathlib import Path

import streamlit as st

from dashboard.depth_form import depth_form
from dashboard.depth_results import depth_results
from dashboard.runs import plain, store
from engine.insight.frontier import frontier_groups
from engine.runs.store import Run

PAGE = "depth"
REFRESH_SECONDS = 2.0


def main() -> None:
    """Lays the page out: what starts a frontier, and the results of one."""
    st.title("Depth")
    st.markdown(
        "How deep does fine-tuning have to go? The same model is trained with only its head, then "
        "with its last stage too, its last two, and so on to all of them, on the same images, "
        "split, seed and learning rate: what each further stage buys and costs."
    )
    groups = {runs[0].group_id: runs for runs in frontier_groups(store().all_runs())}
    if not groups:
        st.info(
            "No frontier yet. Press the button below: the runs start by themselves, the quickest "
            "first, and the charts grow as they end.",
            icon=":material/layers:",
        )
    with st.expander("Start a frontier", expanded=not groups, icon=":material/add:"):
        started = depth_form(PAGE)
    if started:
        st.query_params["frontier"] = started
        st.rerun()
    if not groups:
        return
    group_id = _pick(groups)
    is_active = any(run.is_active for run in groups[group_id])
    every = REFRESH_SECONDS if is_active else None
    st.fragment(depth_results, run_every=every)(PAGE, group_id, is_active)


def _pick(groups: dict[str, list[Run]]) -> str:
    asked = st.query_params.get("frontier", "")
    if asked and asked not in groups:
        st.warning(
            plain(f"There is no frontier {asked!r}; the newest one is shown."),
            icon=":material/link_off:",
        )
    shown = asked if asked in groups else next(iter(groups))
    key = f"{PAGE}.chosen.{shown}"

    def remember() -> None:
        st.query_params["frontier"] = st.session_state[key]

    return str(
        st.selectbox(
            "Frontier",
            list(groups),
            index=list(groups).index(shown),
            format_func=lambda group_id: _label(groups[group_id]),
            help="The address keeps the choice, so it can be bookmarked or sent to someone.",
            key=key,
            on_change=remember,
        )
    )


def _label(runs: list[Run]) -> str:
    spec = runs[0].spec
    when = datetime.fromtimestamp(runs[0].created_at).strftime("%d %b %H:%M")
    folder = Path(spec.data.folder)
    data = folder.parent.name if folder.name == "base" else folder.name
    return f"{when} · {data} · {spec.model.backbone} at {spec.images.size} px · {len(runs)} runs"


main()
