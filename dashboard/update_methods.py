"""How a model is updated: methods with their settings, and what those that train share."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.runs import plain
from dashboard.strategy_choice import COLUMNS, GRIDS, STEPS, fault_of, setting_control
from dashboard.training_choice import seed_input
from dashboard.widgets import choice, grid_slider, learning_rate_slider, number_slider
from engine.models.catalogue import backbone_record
from engine.spec import field_info
from engine.strategies import STRATEGIES, Strategy, StrategySettings
from engine.update.foreseen import Way
from engine.update.methods import METHODS, STILL, Method
from engine.update.request import Base

FIRST_METHODS = ("naive", "replay")
MOST_SEEDS = 5
METHOD_GRIDS: dict[str, tuple[float, ...]] = {
    "update.distillation": (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0),
    "update.importance": (
        0.0,
        0.01,
        0.03,
        0.1,
        0.3,
        1.0,
        3.0,
        10.0,
        30.0,
        100.0,
        300.0,
        1e3,
        1e4,
        1e5,
    ),
}
METHOD_STEPS: dict[str, tuple[float, float]] = {
    "update.replay_share": (0.05, 0.05),
    "update.temperature": (0.5, 0.5),
}


def methods_section(page: str) -> tuple[list[Method], dict[str, dict[str, Any]]]:
    """Shows the methods to choose any number from, with their settings.

    Returns:
        Those that are chosen, in their own order, and the dotted settings of each.
    """
    picked = st.pills(
        "How old classes are kept from being forgotten",
        list(METHODS),
        selection_mode="multi",
        default=list(FIRST_METHODS),
        format_func=lambda name: METHODS[name].label,
        help="Each one chosen is a run of its own on the same new images, judged on the same old "
        "and new ones, so that they can be compared.",
        key=f"{page}.methods",
        persist_state="session",
        wrap=True,
    )
    with st.popover("What they do", type="tertiary", icon=":material/help:"):
        for one in METHODS.values():
            st.markdown(f"**{one.label}** ({plain(one.name)}). {one.sentence}")
            st.caption(one.source)
    methods = [method for name, method in METHODS.items() if name in picked]
    return methods, _cards(page, methods)


def _cards(page: str, methods: Sequence[Method]) -> dict[str, dict[str, Any]]:
    """Shows a card a method; returns the settings of each."""
    settings: dict[str, dict[str, Any]] = {}
    columns = min(len(methods), COLUMNS)
    for first in range(0, len(methods), COLUMNS):
        row = methods[first : first + COLUMNS]
        for method, column in zip(row, st.columns(columns), strict=False):
            with column, st.container(border=True, height="stretch"):
                st.markdown(f"**{method.label}**")
                st.caption(f"{method.sentence} *{method.source}*")
                settings[method.name] = {
                    path: _setting(page, path, method) for path in method.settings
                }
    return settings


def _setting(page: str, path: str, method: Method) -> Any:
    """Shows the control of a setting that a method reads; strategies may read it, too."""
    part, _, name = path.partition(".")
    start = method.defaults.get(path)
    if part == "strategy":
        suffix, label = f".{method.name}.method", _label(path, method)
        if name in GRIDS:
            grid = GRIDS[name]
            return grid_slider(page, path, grid, default=start, suffix=suffix, label=label)
        high, step = STEPS.get(name, (None, None))
        return number_slider(
            page, path, high=high, step=step, default=start, suffix=suffix, label=label
        )
    if path in METHOD_GRIDS:
        return grid_slider(page, path, METHOD_GRIDS[path])
    if path in METHOD_STEPS:
        low, step = METHOD_STEPS[path]
        return number_slider(page, path, low=low, step=step)
    return choice(page, path, explains=True)


def _label(path: str, method: Method) -> str:
    return f"{field_info(path).json_schema_extra['label']}, {method.label.lower()}"


def learning_section(
    page: str, base: Base, methods: Sequence[Method], settings: dict[str, dict[str, Any]]
) -> tuple[list[Way], int]:
    """Shows what methods that train share; returns all ways to update, and how many seeds each.

    Args:
        page: prefix of the state keys.
        base: what is updated.
        methods: that are chosen.
        settings: of each.
    """
    moving = [method for method in methods if not method.still]
    strategy, shared = _strategy_section(page, base) if moving else (None, {})
    left, right = st.columns(2)
    epochs: dict[str, Any] = {}
    with left:
        if any(method.steps for method in methods):
            epochs = {"training.epochs": int(number_slider(page, "training.epochs", high=100))}
        still = [method for method in methods if method.still and method.steps]
        if still and (strategy is None or strategy.name != STILL):
            label = f"Learning rate, {still[0].label.lower()}"
            rate = learning_rate_slider(page, f".{STILL}", STRATEGIES[STILL].default_lr, label)
        else:
            rate = shared.get("optimiser.lr", STRATEGIES[STILL].default_lr)
    with right:
        seeds = _seeds_input(page)
        seed = seed_input(page)
    ways = []
    for method in methods:
        given = {"seed": seed} | (epochs if method.steps else {})
        if method.still:
            given |= {"optimiser.lr": rate}
        else:
            given |= shared
        ways.append(Way(method.name, given | settings[method.name]))
    return ways, seeds


def _strategy_section(page: str, base: Base) -> tuple[Strategy, dict[str, Any]]:
    """Shows which weights learn; returns the strategy and the dotted settings that follow."""
    names = list(STRATEGIES)
    left, right = st.columns(2)
    with left:
        name = st.selectbox(
            "What learns",
            names,
            format_func=lambda one: STRATEGIES[one].label,
            help="The strategy of all methods that train the backbone. It begins with that of the "
            "model.",
            key=f"{page}.strategy.name",
            persist_state="session",
        )
        strategy = STRATEGIES[name]
        st.caption(f"{strategy.sentence} *{strategy.source}*")
    record = backbone_record(base.spec.model.backbone)
    with right:
        lr = learning_rate_slider(page, f".{strategy.name}", strategy.default_lr, "Learning rate")
        values = {one: setting_control(page, one, strategy, record) for one in strategy.settings}
    if fault := fault_of(strategy, StrategySettings.parse(values), record):
        st.error(plain(fault), icon=":material/error:")
    shared = {f"strategy.{one}": value for one, value in values.items()}
    return strategy, {"strategy.name": name, "optimiser.lr": lr} | shared


def _seeds_input(page: str) -> int:
    seeds = st.slider(
        "Runs of each method (seeds)",
        1,
        MOST_SEEDS,
        1,
        help="Seeds count up from the one below; the images stay the same. With three or more, "
        "what differs between methods can be told from chance.",
        key=f"{page}.seeds",
        persist_state="session",
    )
    return int(seeds)
