"""Puts the settings of a run on the Train page, to be started again or changed first."""

import streamlit as st

from dashboard.recipe_choice import CONTROLS, fill
from dashboard.source_choice import show_data
from engine.recipes import Recipe
from engine.spec import RunSpec

TRAIN = "train"


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
