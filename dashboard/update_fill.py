"""Puts settings on the Update page: those of the model that is picked, or of an update again."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.source_choice import show_data
from dashboard.update_model import FILE, RUN
from dashboard.update_names import name_key
from engine.spec import RunSpec, field_info
from engine.strategies import STRATEGIES
from engine.update.known import is_run
from engine.update.methods import METHODS
from engine.update.request import Base

UPDATE = "update"
# What the page has a control for, or what an update does not take from the run before it.
_ON_PAGE = ("data.", "update.", "strategy.", "steering", "seed", "optimiser.lr", "training.epochs")
EPOCHS = "training.epochs"


def fill_from_base(page: str, base: Base) -> None:
    """Sets what methods share as the model was trained, where another one has been picked."""
    state = st.session_state
    if state.get(f"{page}.filled") == base.start:
        return
    state[f"{page}.filled"] = base.start
    _set_training(page, base.spec)


def show_on_update(spec: RunSpec) -> None:
    """Sets every control of the Update page as the spec of an update has it."""
    state, update = st.session_state, spec.update
    state[f"{UPDATE}.model"] = RUN if is_run(update.start) else FILE
    if not is_run(update.start):
        state[f"{UPDATE}.checkpoint"] = update.start
    show_data(UPDATE, spec.data)
    for name, meant in update.names:
        state[name_key(UPDATE, update.start, name)] = meant
    state[f"{UPDATE}.methods"] = [update.method]
    flat = spec.flat()
    for path in METHODS[update.method].settings:
        suffix = f".{update.method}.method" if path.startswith("strategy.") else ""
        state[f"{UPDATE}.{path}{suffix}"] = flat[path]
    _set_training(UPDATE, spec)
    state[f"{UPDATE}.seeds"] = 1
    state[f"{UPDATE}.filled"] = update.start
    state[f"{UPDATE}.copied"] = spec.model_dump_json()


def address_of(spec: RunSpec) -> dict[str, str]:
    """Returns what the Update page's address says of the model that a spec updates."""
    return {"run": spec.update.start} if is_run(spec.update.start) else {}


def _set_training(page: str, spec: RunSpec) -> None:
    state, own = st.session_state, spec.strategy.name
    state[f"{page}.strategy.name"] = own
    for one in STRATEGIES.values():
        is_own = one.name == own
        for setting in one.settings:
            path = f"strategy.{setting}"
            value = getattr(spec.strategy, setting) if is_own else field_info(path).default
            state[f"{page}.{path}.{one.name}"] = value
        state[f"{page}.optimiser.lr.{one.name}"] = spec.optimiser.lr if is_own else one.default_lr
    # A model that took no steps does not say how many are worth it.
    takes_steps = not spec.update.start or METHODS[spec.update.method].steps
    state[f"{page}.{EPOCHS}"] = spec.training.epochs if takes_steps else field_info(EPOCHS).default
    state[f"{page}.seed"] = spec.seed


def copied_settings(page: str, base: Base) -> Mapping[str, Any]:
    """Shows and returns those settings of the copied update that have no control on the page.

    There are some where it was started elsewhere; else an update has them from the model.

    Args:
        page: prefix of the state keys.
        base: what is updated.
    """
    text = st.session_state.get(f"{page}.copied")
    spec = RunSpec.parse(text) if text else None
    if spec is None or spec.update.start != base.start:
        return {}
    # What the method brings with it, it brings again.
    of_base = base.spec.flat() | dict(METHODS[spec.update.method].defaults)
    more = {
        path: value
        for path, value in spec.flat().items()
        if not path.startswith(_ON_PAGE) and value != of_base[path]
    }
    if not more:
        return {}
    listed = ", ".join(
        f"{field_info(path).json_schema_extra['label']} {value}" for path, value in more.items()
    )
    with st.container(border=True):
        st.markdown(
            ":material/content_copy: As in the update whose settings these are, and not as the "
            f"model was trained: {listed}."
        )
        if st.button(
            "Take them from the model",
            icon=":material/undo:",
            help="Methods then differ from how the model was trained in nothing but what is shown "
            "on this page.",
            key=f"{page}.forget",
        ):
            del st.session_state[f"{page}.copied"]
            st.rerun()
    return more
