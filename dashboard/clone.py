"""Puts the settings of a run on the page that made it, to be started again or changed first."""

import streamlit as st

from dashboard.recipe_choice import CONTROLS, fill
from dashboard.source_choice import show_data
from dashboard.update_fill import address_of, show_on_update
from engine.recipes import Recipe
from engine.spec import RunSpec

TRAIN = "train"


def open_with(spec: RunSpec) -> None:
    """Goes to the page that makes such runs, with every control as the spec has it.

    An update is made on the Update page: the Train page knows no model to update.
    """
    if spec.update.start:
        show_on_update(spec)
        st.switch_page("app_pages/update.py", query_params=address_of(spec))
    show_on_train(spec)
    st.switch_page("app_pages/train.py")


def show_on_train(spec: RunSpec) -> None:
    """Sets every control of the Train page as the spec has it."""
    held = (*CONTROLS, "strategy.name", "optimiser.lr")
    settings = {path: value for path, value in spec.flat().items() if path in held}
    if spec.model.weights not in ("pretrained", "random"):
        settings["model.weights"] = "file"
        st.session_state[f"{TRAIN}.weights_file"] = spec.model.weights
    fill(TRAIN, Recipe("clone", "Settings of a run", "As a run had them.", settings))
    # It is no recipe that the page could name.
    st.session_state.pop(f"{TRAIN}.recipe", None)
    show_data(TRAIN, spec.data)
