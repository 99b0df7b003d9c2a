"""Recipes on the Train page: one click fills every control."""

from typing import Any

import streamlit as st

from dashboard.optimiser_choice import BACKBONE_LR, OTHER, OTHERS
from engine.data.facts import DataFacts, data_facts
from engine.errors import DataError
from engine.recipes import RECIPES, Recipe
from engine.spec import DataSpec, RunSpec, field_info
from engine.strategies import STRATEGIES

# Settings that have no control here: what a page chooses first, and what only a run decides.
ELSEWHERE = ("strategy.name", "optimiser.lr", "steering", "device")
# Parts that have none: the Update page asks for a model to update and how.
PARTS_ELSEWHERE = ("data", "update")
# Every setting that has a control, by dotted name; the learning rate has one a strategy, as have
# the settings of strategies.
CONTROLS = tuple(
    path
    for path in RunSpec(data=DataSpec(folder=".")).flat()
    if path not in ELSEWHERE and path.partition(".")[0] not in PARTS_ELSEWHERE
)


def recipe_choice(page: str, data: DataSpec | None) -> None:
    """Shows a button a recipe; a click sets the page's controls, which can then be changed.

    Args:
        page: prefix of the state keys.
        data: that was chosen, which some recipes adapt to; None where there is none yet.
    """
    with st.expander("Start from a recipe", icon=":material/menu_book:"):
        st.caption("One click fills every control below; change what you like afterwards.")
        columns = st.columns(2)
        for index, recipe in enumerate(RECIPES.values()):
            columns[index % 2].button(
                recipe.label,
                key=f"{page}.recipe.{recipe.name}",
                help=recipe.sentence,
                on_click=fill,
                args=(page, recipe, data),
                width="stretch",
            )
    if filled := st.session_state.get(f"{page}.recipe"):
        recipe = RECIPES[filled]
        st.caption(f"Filled from **{recipe.label}**. {recipe.sentence}")


def fill(page: str, recipe: Recipe, data: DataSpec | None = None) -> None:
    """Sets every control of the page: to the recipe's value, or to the spec's default.

    Args:
        page: prefix of the state keys.
        recipe: what to fill in.
        data: what the recipe adapts to, if it does.
    """
    values: dict[str, Any] = {path: field_info(path).default for path in CONTROLS}
    values |= recipe.settings_for(recipe_facts(recipe, data))
    name, rate = values.pop("strategy.name"), values.pop("optimiser.lr")
    for path, value in _of_controls(values, name, rate).items():
        st.session_state[f"{page}.{path}"] = value
    st.session_state[f"{page}.strategy"] = [name]
    st.session_state[f"{page}.recipe"] = recipe.name


def recipe_facts(recipe: Recipe, data: DataSpec | None) -> DataFacts | None:
    """Returns what the recipe adapts to; None where it does not, or the data cannot be used."""
    if data is None or recipe.adapt is None:
        return None
    try:
        return data_facts(data)
    except DataError:
        return None


def _of_controls(values: dict[str, Any], name: str, rate: float) -> dict[str, Any]:
    """Returns the values by control, where that is not simply one a setting.

    Args:
        values: by dotted name of the setting.
        name: of the recipe's strategy.
        rate: its learning rate.
    """
    controls = {path: value for path, value in values.items() if not path.startswith("strategy.")}
    for one in STRATEGIES.values():
        for setting in one.settings:
            path = f"strategy.{setting}"
            value = values[path] if one.name == name else field_info(path).default
            controls[f"{path}.{one.name}"] = value
        controls[f"optimiser.lr.{one.name}"] = rate if one.name == name else one.default_lr
    optimiser, own = controls["optimiser.name"], controls["optimiser.backbone_lr"]
    if optimiser in OTHERS:
        controls |= {"optimiser.name": OTHER, "optimiser.other": optimiser}
    controls["optimiser.own_backbone_lr"] = own > 0
    controls["optimiser.backbone_lr"] = own or BACKBONE_LR
    return controls
