"""The learning-rate finder on the Train page: try rates, see the curve, adopt a rate."""

import math
from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from dashboard.lr_finder_chart import range_figure
from dashboard.runs import plain, store
from dashboard.show import show_chart
from dashboard.stage_picture import rate_text
from dashboard.widgets import LEARNING_RATES, pick
from engine.events import ACTIVE
from engine.models.catalogue import backbone_record
from engine.runs.rate_finder import FinderState, finder_state, start_finder, stop_finder
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.plan import rate_plan
from engine.training.range_test import Group, RangeTest

INTRODUCTION = (
    "Tries rates from 1e-7 to 1 on a copy of the model, one training step each: where the loss "
    "falls, a rate works; where it shoots up, it is too large. A starting point to train from, "
    "not the last word."
)


def lr_finder_section(page: str, specs: Sequence[RunSpec]) -> None:
    """Shows the finder for one of the runs that are about to be started.

    Args:
        page: prefix of the state keys, those of the controls that a rate is put into too.
        specs: one a strategy.
    """
    with st.expander("Find a learning rate", icon=":material/troubleshoot:"):
        st.caption(INTRODUCTION)
        spec = _choice(page, specs)
        state = finder_state(spec)
        if state is not None and state.is_working:
            _follow(page, spec)
            return
        if state is not None:
            _show_end(state)
        if state is not None and state.status == "finished":
            _show_found(page, spec, specs, state)
        _start_button(page, spec, again=state is not None and state.status == "finished")


def nearest_rate(rate: float) -> float:
    """Returns the value of the learning-rate slider that is nearest on its scale."""
    return min(LEARNING_RATES, key=lambda one: abs(math.log(one / rate)))


def moves_backbone(spec: RunSpec) -> bool:
    """Returns whether any stage of the backbone ever learns."""
    stages = backbone_record(spec.model.backbone).stage_names
    return any(phase.rates for phase in rate_plan(spec, stages, steps_per_epoch=1).phases)


def adopt(page: str, spec: RunSpec, group: Group, rate: float) -> None:
    """Puts a rate into the page's control of the head or of the backbone, and moves no other.

    A backbone without a rate of its own learns at the head's. So when the head's changes, it is
    given the one that it has had so far.
    """
    state, prefix = st.session_state, f"{page}.optimiser"
    if group == "backbone":
        state[f"{prefix}.own_backbone_lr"] = True
        state[f"{prefix}.backbone_lr"] = rate
        return
    if moves_backbone(spec) and not spec.optimiser.backbone_lr:
        state[f"{prefix}.own_backbone_lr"] = True
        state[f"{prefix}.backbone_lr"] = spec.optimiser.lr
    state[f"{prefix}.lr.{spec.strategy.name}"] = rate


def _choice(page: str, specs: Sequence[RunSpec]) -> RunSpec:
    by_name = {spec.strategy.name: spec for spec in specs}
    names = list(by_name)
    if len(names) == 1:
        return by_name[names[0]]
    label = {name: STRATEGIES[name].label for name in names}
    return by_name[
        pick(page, "strategy.name", names, names[0], label.__getitem__, suffix=".lr_finder")
    ]


@st.fragment(run_every=1)
def _follow(page: str, spec: RunSpec) -> None:
    """Shows how far a finder is; once it has ended, the page is drawn anew."""
    state = finder_state(spec)
    if state is None or not state.is_working:
        st.rerun()
    share = min(state.done / state.total, 1.0) if state.total else 0.0
    task = state.task[0].upper() + state.task[1:]
    st.progress(share, f"{task}: {state.done} of {state.total}" if state.total else f"{task} …")
    _warn_of_runs()
    st.button(
        "Stop",
        key=f"{page}.lr_finder.stop",
        icon=":material/stop:",
        help="Ends after the present step; there is no curve then.",
        on_click=stop_finder,
        args=(spec,),
    )


def _start_button(page: str, spec: RunSpec, again: bool) -> None:
    _warn_of_runs()
    label = STRATEGIES[spec.strategy.name].label
    st.button(
        "Measure again" if again else f"Find rates for {label}",
        key=f"{page}.lr_finder.start",
        type="tertiary" if again else "secondary",
        icon=":material/refresh:" if again else ":material/search:",
        help="Takes seconds for the head, and up to about two minutes more for the backbone, "
        "longer where a step is slow.",
        on_click=start_finder,
        args=(spec,),
    )


def _warn_of_runs() -> None:
    if store().all_runs(ACTIVE):
        st.caption(
            ":material/warning: A run is going on or waiting. Finder and run share the machine, "
            "so each makes the other slower."
        )


def _show_end(state: FinderState) -> None:
    if state.status == "failed":
        st.error(plain(state.reason), icon=":material/error:")
    elif state.status == "stopped":
        st.caption("Stopped before it had found anything.")


def _show_found(page: str, spec: RunSpec, specs: Sequence[RunSpec], state: FinderState) -> None:
    if any(test.rates for test in state.tests):
        show_chart(
            range_figure(state.tests),
            key=f"{page}.lr_finder.curves",
            name="Learning rate finder",
            alt="Training loss against the learning rate, for head and backbone",
        )
        st.caption(
            "A dot is one batch; the line is their running mean, which lags behind. The diamond "
            "is the suggestion."
        )
    for test in state.tests:
        st.markdown(f"**{test.group.capitalize()}.** {plain(test.reason)}")
        if test.method:
            st.caption(plain(test.method))
    with st.container(horizontal=True):
        for test in state.tests:
            if test.suggestion is not None:
                _adopt_button(page, spec, test, test.suggestion)
    moved = [one for one in specs if moves_backbone(one)]
    if len(moved) > 1 and state.test("backbone") is not None:
        st.caption("All strategies share one rate of the backbone where it has one of its own.")
    st.caption(f"Measured {datetime.fromtimestamp(state.at):%d %B %Y, %H:%M}.")


def _adopt_button(page: str, spec: RunSpec, test: RangeTest, suggestion: float) -> None:
    rate = nearest_rate(suggestion)
    optimiser = spec.optimiser
    if test.group == "head":
        used = optimiser.lr == rate
    else:
        used = (optimiser.backbone_lr or optimiser.lr) == rate
    text = rate_text(rate)
    stays = test.group == "head" and moves_backbone(spec) and not optimiser.backbone_lr
    st.button(
        f"{text} is in use for the {test.group}" if used else f"Use {text} for the {test.group}",
        key=f"{page}.lr_finder.use.{test.group}",
        disabled=used,
        icon=":material/check:" if used else ":material/tune:",
        help=f"The slider's nearest value to {suggestion:.1e}."
        + (f" The backbone keeps {rate_text(optimiser.lr)}." if stays else ""),
        on_click=adopt,
        args=(page, spec, test.group, rate),
    )
