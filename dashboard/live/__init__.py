"""The live chart: a component fed by the event stream, never by reruns of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from engine.fields import Part
from engine.spec import Act

_FOLDER = Path(__file__).parent
# In the order in which they are put together.
STYLES = ("live.css", "stages.css")
SCRIPTS = ("plotly.js", "stages.js", "update.js", "series.js", "legend.js", "live.js")
_HEARD = "live.heard"
# Opened pages of one session that are remembered: each visit to the Live page is a new one.
_PAGES_KEPT = 20


class AskedAct(Part):
    """One change that a person asked for.

    Attributes:
        number: counts up from 1 on the page that it was asked on.
        run: the run's id.
        act: what is to be changed.
    """

    number: int
    run: str
    act: Act


class AskedActs(Part):
    """All that was asked for on one opened page and is not known there to have come true.

    Attributes:
        page: tells opened pages from each other.
        asked: in order.
    """

    page: str
    asked: tuple[AskedAct, ...]


@dataclass(frozen=True)
class Asked:
    """What a person asked for on the live charts.

    Attributes:
        stop: id of a run that is to stop.
        pause: id of a run that is to pause.
        resume: id of a run that is to go on.
        acts: changes in runs that go on, in order.
    """

    stop: str | None = None
    pause: str | None = None
    resume: str | None = None
    acts: tuple[AskedAct, ...] = ()


def sources(files: Sequence[str]) -> str:
    """Returns files of this folder, one after the other."""
    return "\n".join((_FOLDER / file).read_text(encoding="utf-8") for file in files)


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "thaw_live",
        html='<div class="thaw-live"></div>',
        css=sources(STYLES),
        js=sources(SCRIPTS),
        isolate_styles=False,
    )


def live_charts(run_ids: Sequence[str], follow: bool) -> Asked:
    """Shows runs as they go on; returns what the person asked of them.

    Args:
        run_ids: runs to show.
        follow: also show every run that becomes active.

    Raises:
        SpecError: what came from the page is no act.
    """
    result = _component()(
        key="live-charts",
        data={"runs": list(run_ids), "follow": follow},
        on_stop_change=lambda: None,
        on_pause_change=lambda: None,
        on_resume_change=lambda: None,
        on_act_change=lambda: None,
    )
    return Asked(result.stop, result.pause, result.resume, _not_heard_before(result.act))


def _not_heard_before(sent: dict[str, Any] | None) -> tuple[AskedAct, ...]:
    if sent is None:
        return ()
    acts = AskedActs.parse(sent)
    heard = st.session_state.get(_HEARD, {})
    fresh = tuple(one for one in acts.asked if one.number > heard.get(acts.page, 0))
    if fresh:
        others = [page for page in heard if page != acts.page][-_PAGES_KEPT + 1 :]
        kept = {page: heard[page] for page in others}
        st.session_state[_HEARD] = kept | {acts.page: fresh[-1].number}
    return fresh
