"""Recipes on the Train page: one click fills every control."""

from typing import Any

import streamlit as st

from engine.recipes import RECIPES, Recipe
from engine.spec import field_info
from engine.strategies import STRATEGIES

# Every setting that has a control, by dotted name; the learning rate has one a strategy.
CONTROLS = (
    "model.backbone",
    "model.weights",
    "model.head",
    "model.hidden_units",
    "model.dropout",
    "images.size",
    "images.fit",
    "images.normalisation",
    "images.augmentation",
    "optimiser.name",
    "optimiser.weight_decay",
    "optimiser.schedule",
    "optimiser.decay_rate",
    "optimiser.decay_steps",
    "optimiser.staircase",
    "training.epochs",
    "training.batch_size",
    "training.label_smoothing",
    "training.early_stopping",
    "seed",
)


def recipe_choice(page: str) -> None:
    """Shows a button a recipe; a click sets the page's controls, which can then be changed."""
    with st.expander("Start from a recipe", icon=":material/menu_book:"):
        st.caption("One click fills every control below; change what you like afterwards.")
        columns = st.columns(2)
        for index, recipe in enumerate(RECIPES.values()):
            columns[index % 2].button(
                recipe.label,
                key=f"{page}.recipe.{recipe.name}",
                help=recipe.sentence,
                on_click=fill,
                args=(page, recipe),
                width="stretch",
            )
    if filled := st.session_state.get(f"{page}.recipe"):
        recipe = RECIPES[filled]
        st.caption(f"Filled from **{recipe.label}**. {recipe.sentence}")


def fill(page: str, recipe: Recipe) -> None:
    """Sets every control of the page: to the recipe's value, or to the spec's default."""
    values: dict[str, Any] = {path: field_info(path).default for path in CONTROLS}
    values |= recipe.settings
    strategy, rate = values.pop("strategy.name"), values.pop("optimiser.lr")
    values |= {f"optimiser.lr.{one.name}": one.default_lr for one in STRATEGIES.values()}
    values[f"optimiser.lr.{strategy}"] = rate
    for path, value in values.items():
        st.session_state[f"{page}.{path}"] = value
    st.session_state[f"{page}.strategy"] = strategy
    st.session_state[f"{page}.recipe"] = recipe.name
