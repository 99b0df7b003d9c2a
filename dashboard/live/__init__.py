"""The live chart: a component fed by the event stream, never by reruns of the page."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).parent


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "thaw_live",
        html='<div class="thaw-live"></div>',
        css=(_FOLDER / "live.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "live.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )


def live_charts(run_ids: Sequence[str], follow: bool) -> str | None:
    """Shows runs as they go on; returns the id of a run that the person asked to stop.

    Args:
        run_ids: runs to show.
        follow: also show every run that becomes active.
    """
    result = _component()(
        key="live-charts",
        data={"runs": list(run_ids), "follow": follow},
        on_stop_change=lambda: None,
    )
    asked: str | None = result.stop
    return asked
