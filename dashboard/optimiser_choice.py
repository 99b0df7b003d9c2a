"""The choice of optimiser and schedule, and a drawing of the rates that follow from it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.palette import run_colour
from dashboard.runs import plain
from dashboard.schedule_chart import Planned, schedule_figure
from dashboard.show import show_chart
from dashboard.strategy_choice import Chosen
from dashboard.widgets import choice, grid_slider, learning_rate_slider, number_slider, switch
from engine.spec import OptimiserSpec, field_info
from engine.training.optimiser_names import OPTIMISERS, TORCH_OPTIMISERS

OTHER = "other"
OTHERS = tuple(name for name in OPTIMISERS if name not in TORCH_OPTIMISERS)
FIRST_OTHER = "lamb"
BACKBONE_LR = 1e-4
WEIGHT_DECAYS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2, 0.1)
DROP_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def optimiser_section(page: str) -> dict[str, Any]:
    """Shows the controls; returns the values of an OptimiserSpec but for the head's rate."""
    left, right = st.columns(2)
    with left:
        name = _optimiser_choice(page)
    with right:
        decay = grid_slider(page, "optimiser.weight_decay", WEIGHT_DECAYS)
        values = {"name": name, "weight_decay": decay}
        if name not in ("adamw", "adam"):
            values["momentum"] = number_slider(page, "optimiser.momentum", high=0.99, step=0.01)
    values["schedule"] = choice(page, "optimiser.schedule", explains=True)
    left, right = st.columns(2)
    with left:
        values |= _schedule_settings(page, values["schedule"])
    with right:
        values["backbone_lr"] = _backbone_rate(page)
    return values


def _optimiser_choice(page: str) -> str:
    info = field_info("optimiser.name")
    listed = "\n".join(f"- **{name}**: {OPTIMISERS[name]}" for name in TORCH_OPTIMISERS)
    picked = st.segmented_control(
        "Optimiser",
        [*TORCH_OPTIMISERS, OTHER],
        default=info.default,
        required=True,
        help=f"{info.description}\n\n{listed}\n- **{OTHER}**: one of timm's",
        key=f"{page}.optimiser.name",
        persist_state="session",
    )
    if picked != OTHER:
        return str(picked)
    other = st.selectbox(
        "Which of timm's optimisers",
        OTHERS,
        index=OTHERS.index(FIRST_OTHER),
        help="All that timm brings and that need no further library. Type to search.",
        key=f"{page}.optimiser.other",
        persist_state="session",
    )
    st.caption(plain(f"{OPTIMISERS[other]}."))
    return str(other)


def _schedule_settings(page: str, schedule: str) -> dict[str, Any]:
    """Shows the settings that this schedule reads, and no others."""
    values: dict[str, Any] = {}
    if schedule != "one_cycle":
        values["warmup"] = number_slider(page, "optimiser.warmup", step=0.05)
    if schedule == "exponential":
        values["decay_rate"] = number_slider(page, "optimiser.decay_rate", low=0.01, step=0.01)
        values["decay_steps"] = number_slider(page, "optimiser.decay_steps", high=10_000)
        values["staircase"] = switch(page, "optimiser.staircase")
    if schedule in ("step", "plateau"):
        values["drop_factor"] = grid_slider(page, "optimiser.drop_factor", DROP_FACTORS)
    if schedule == "step":
        values["drop_every"] = number_slider(page, "optimiser.drop_every", high=50)
    if schedule == "plateau":
        values["patience"] = number_slider(page, "optimiser.patience", high=20)
    return values


def _backbone_rate(page: str) -> float:
    info = field_info("optimiser.backbone_lr")
    own = st.toggle(
        "Backbone at a rate of its own",
        help=info.description,
        key=f"{page}.optimiser.own_backbone_lr",
        persist_state="session",
    )
    if not own:
        return float(info.default)
    label = info.json_schema_extra["label"]
    return learning_rate_slider(page, "", BACKBONE_LR, label, "optimiser.backbone_lr")


def rates_preview(page: str, chosen: Sequence[Chosen]) -> None:
    """Draws the learning rates over the run, for each strategy that was chosen."""
    places: Counter[str] = Counter()
    planned = []
    for one in chosen:
        temperature = one.strategy.temperature
        colour = run_colour(temperature, places[temperature])
        planned.append(Planned(one.strategy.label, colour, one.plan.curve()))
        places[temperature] += 1
    show_chart(
        schedule_figure(planned),
        key=f"{page}.rates",
        name="Planned learning rates",
        alt="Planned learning rates over the epochs, head and backbone of each strategy",
    )
    st.caption("Solid: the head. Dashed: the backbone, that is its fastest stage.")
    if plateau := _plateau_sentence(chosen[0].plan.optimiser):
        st.caption(plateau)


def _plateau_sentence(optimiser: OptimiserSpec) -> str:
    if optimiser.schedule != "plateau":
        return ""
    epochs = "an epoch" if optimiser.patience == 1 else f"{optimiser.patience} epochs"
    after = f"not become lower for more than {epochs}" if optimiser.patience else "not become lower"
    return (
        "Drops are not drawn: they come from what is measured. Whenever the validation loss has "
        f"{after}, all rates are multiplied by {optimiser.drop_factor:g}."
    )
