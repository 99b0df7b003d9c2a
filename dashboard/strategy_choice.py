"""The choice of strategies: each with its learning rate, its own settings and its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.runs import plain
from dashboard.stage_picture import stage_bars, stage_legend, stage_note, stage_picture
from dashboard.widgets import grid_slider, learning_rate_slider, number_slider, pick
from engine.models.catalogue import BackboneRecord
from engine.spec import OptimiserSpec, field_info
from engine.strategies import STRATEGIES, Strategy, StrategySettings
from engine.training.plan import RatePlan

PAIR = ("frozen", "full")
COLUMNS = 2
_PULLS = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# Settings of strategies that are chosen from a few values, and (right end, step) of others.
GRIDS: dict[str, tuple[float, ...]] = {
    "tune_scale": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "rank": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "lora_alpha": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0),
    "pull": _PULLS,
    "head_pull": _PULLS,
}
STEPS: dict[str, tuple[float | None, float]] = {
    "unfreeze_every": (20, 1),
    "probe_share": (None, 0.05),
    "lr_decay": (None, 0.05),
    "alpha": (None, 0.05),
}


@dataclass(frozen=True)
class Setting:
    """What pictures of strategies need to know, chosen elsewhere on the page.

    Attributes:
        record: the backbone.
        optimiser: values of an OptimiserSpec but for the head's learning rate.
        epochs: in the run.
        steps_per_epoch: optimiser steps in each.
        num_head: learnable numbers in the head; None while the number of classes is not known.
        statistics_move: whether BatchNorm's statistics follow the pictures in frozen stages too.
    """

    record: BackboneRecord
    optimiser: dict[str, Any]
    epochs: int
    steps_per_epoch: int
    num_head: int | None
    statistics_move: bool


@dataclass(frozen=True)
class Chosen:
    """A strategy that is to be run.

    Attributes:
        strategy: itself.
        settings: of the strategy.
        plan: its phases and learning rates.
        fault: why it cannot be run on the chosen backbone, in one sentence; empty where it can.
    """

    strategy: Strategy
    settings: StrategySettings
    plan: RatePlan
    fault: str = ""


def strategy_pills(page: str) -> list[Strategy]:
    """Shows all strategies to choose any number from; returns those chosen, in their own order."""
    picked = st.pills(
        "How the pre-trained weights are updated",
        list(STRATEGIES),
        selection_mode="multi",
        default=list(PAIR),
        format_func=lambda name: STRATEGIES[name].label,
        help="Each one chosen is a run on the same images, split, seed and order, so that they "
        "can be compared.",
        key=f"{page}.strategy",
        persist_state="session",
        wrap=True,
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        with st.popover("What they do", type="tertiary", icon=":material/help:"):
            for one in STRATEGIES.values():
                st.markdown(f"**{one.label}**. {one.sentence}")
                st.caption(one.source)
        st.html(stage_legend(), width="content")
    return [strategy for name, strategy in STRATEGIES.items() if name in picked]


def strategy_cards(page: str, strategies: Sequence[Strategy], known: Setting) -> list[Chosen]:
    """Shows a card a strategy; returns what is chosen on them."""
    chosen = []
    columns = min(len(strategies), COLUMNS)
    for first in range(0, len(strategies), COLUMNS):
        row = strategies[first : first + COLUMNS]
        for strategy, column in zip(row, st.columns(columns), strict=False):
            with column, st.container(border=True, height="stretch"):
                chosen.append(_card(page, strategy, known))
    return chosen


def _card(page: str, strategy: Strategy, known: Setting) -> Chosen:
    record = known.record
    st.markdown(f"**{strategy.label}**")
    st.caption(f"{strategy.sentence} *{strategy.source}*")
    label = f"Learning rate, {in_sentence(strategy.label)}"
    lr = learning_rate_slider(page, f".{strategy.name}", strategy.default_lr, label)
    settings = StrategySettings.parse(
        {name: setting_control(page, name, strategy, record) for name in strategy.settings}
    )
    plan = RatePlan(
        OptimiserSpec.parse(known.optimiser | {"lr": lr}),
        strategy.plan(record.stage_names, known.epochs, settings),
        known.epochs,
        known.steps_per_epoch,
    )
    bars = stage_bars(plan, record, strategy, settings.rank, known.num_head)
    st.html(stage_picture(bars, stage_note(bars, known.statistics_move)))
    fault = fault_of(strategy, settings, record)
    if fault:
        st.error(plain(fault), icon=":material/error:")
    return Chosen(strategy, settings, plan, fault)


def fault_of(strategy: Strategy, settings: StrategySettings, record: BackboneRecord) -> str:
    """Returns in one sentence why a strategy cannot be run on a backbone; empty where it can."""
    if record.count(strategy.select, settings.rank, record.stage_names):
        return ""
    return (
        f"{record.label} has no {strategy.select} that could learn; choose another strategy or "
        "backbone."
    )


def in_sentence(label: str) -> str:
    """Returns a strategy's label as it is written within a sentence."""
    is_name = not label.partition(" ")[0][1:].islower()
    return label if is_name else label[0].lower() + label[1:]


def setting_control(page: str, name: str, strategy: Strategy, record: BackboneRecord) -> Any:
    """Shows the control of one setting; it is the strategy's own, though others may read it too."""
    path, suffix = f"strategy.{name}", f".{strategy.name}"
    if name == "last_stages":
        return _last_stages(page, path, suffix, len(record.stages))
    if name == "block":
        labels = {stage.name: stage.label for stage in record.stages}
        stages = record.stage_names
        return pick(page, path, stages, stages[min(1, len(stages) - 1)], labels.__getitem__, suffix)
    readers = [one for one in STRATEGIES.values() if name in one.settings]
    label = field_info(path).json_schema_extra["label"]
    if len(readers) > 1:
        label = f"{label}, {in_sentence(strategy.label)}"
    if name in GRIDS:
        return grid_slider(page, path, GRIDS[name], suffix=suffix, label=label)
    high, step = STEPS.get(name, (None, None))
    return number_slider(page, path, high=high, step=step, suffix=suffix, label=label)


def _last_stages(page: str, path: str, suffix: str, num_stages: int) -> int:
    """Shows a slider from no stage to all; another backbone may have fewer than were chosen."""
    key = f"{page}.{path}{suffix}"
    if st.session_state.get(key, 0) > num_stages:
        st.session_state[key] = num_stages
    return int(grid_slider(page, path, range(num_stages + 1), suffix=suffix, text=str))
