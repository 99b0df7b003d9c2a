"""Train: choose data, set the sliders, start one run, the pair, or as many as you like."""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import dashboard
from dashboard.cache_section import cache_section
from dashboard.data_choice import data_section, pictures_section
from dashboard.data_summary import DataSummary
from dashboard.depth_form import offer_depth
from dashboard.instant_section import instant_section
from dashboard.lr_finder_section import lr_finder_section
from dashboard.model_choice import model_section
from dashboard.optimiser_choice import optimiser_section, rates_preview
from dashboard.plan_summary import launch_section, not_ready
from dashboard.recipe_choice import recipe_choice
from dashboard.runs import plain
from dashboard.strategy_choice import Chosen, Setting, strategy_cards, strategy_pills
from dashboard.training_choice import (
    batch_norm_section,
    length_section,
    regularisation_section,
    seed_input,
    speed_section,
)
from engine.data.batches import num_batches
from engine.errors import ThawError
from engine.models.catalogue import backbone_record, head_parameters
from engine.spec import DataSpec, RunSpec

PAGE = "train"
STYLES = [Path(dashboard.__file__).parent / name for name in ("launch.css", "stage_picture.css")]


def main() -> None:
    """Lays the page out: settings on the left, what will happen and the button on the right."""
    for style in STYLES:
        st.html(style)
    st.title("How should this model be updated with your images?")
    st.markdown(
        "Pick images, leave the sliders or move them, press the button. Thaw trains the same "
        "pre-trained network **frozen** (only its new head learns) and **full** (every weight "
        "learns) on your pictures, and shows which was worth it."
    )
    settings, launch = st.columns([3, 2], gap="large")
    with settings:
        data, summary = data_section(PAGE)
        recipe_choice(PAGE, data)
        values, chosen, finder = _settings_section(summary)
    with launch, st.container(border=True, key=f"{PAGE}-launch"):
        st.subheader("What will happen", anchor=False)
        specs = _launch_section(data, summary, values, chosen)
    if specs:
        with launch:
            instant_section(PAGE, specs)
            cache_section(PAGE)
        with finder:
            lr_finder_section(PAGE, specs)


def _settings_section(
    summary: DataSummary | None,
) -> tuple[dict[str, Any], list[Chosen], DeltaGenerator]:
    """Shows the controls; returns the spec's parts but for data, and the strategies to run.

    With them comes the place for the learning-rate finder, which needs whole specs.

    What stands on top shows what follows from the settings below, so it is drawn last.
    """
    strategy, pictures, model, learning = (st.container() for _ in range(4))
    with strategy:
        st.subheader("2 · Strategy", anchor=False)
        strategies = strategy_pills(PAGE)
        cards, finder = st.container(), st.container()
        training = length_section(PAGE)
    with pictures:
        st.subheader("3 · Pictures", anchor=False)
        images = pictures_section(PAGE)
    with model:
        st.subheader("4 · Model", anchor=False)
        model_values = model_section(PAGE, images)
    with learning:
        st.subheader("5 · Learning", anchor=False)
        training |= batch_norm_section(PAGE, strategies)
        with st.expander("Optimiser and learning rate over the run", icon=":material/show_chart:"):
            optimiser = optimiser_section(PAGE)
            preview = st.container()
        with st.expander("Regularisation", icon=":material/shield:"):
            kept_simple, more_model = regularisation_section(PAGE)
        with st.expander("Speed and memory", icon=":material/speed:"):
            kept_simple |= speed_section(PAGE)
        seed = seed_input(PAGE)
    if model_values is not None:
        model_values |= more_model
    values = {
        "model": model_values,
        "images": images.model_dump(),
        "optimiser": optimiser,
        "training": training | kept_simple,
        "seed": seed,
    }
    with cards:
        chosen = strategy_cards(PAGE, strategies, _setting(values, summary))
    if chosen and summary is not None:
        with preview:
            rates_preview(PAGE, chosen)
    return values, chosen, finder


def _setting(values: dict[str, Any], summary: DataSummary | None) -> Setting:
    """Returns what the pictures of strategies need to know."""
    record = backbone_record(st.session_state[f"{PAGE}.model.backbone"])
    model, training = values["model"], values["training"]
    num_head = None
    if summary is not None and model is not None:
        units, classes = model["hidden_units"], len(summary.classes)
        num_head = head_parameters(model["head"], record.num_features, units, classes)
    num_train = 1 if summary is None else summary.num_train
    return Setting(
        record=record,
        optimiser=values["optimiser"],
        epochs=training["epochs"],
        steps_per_epoch=num_batches(num_train, training["batch_size"]),
        num_head=num_head,
        statistics_move=training["batch_norm"] == "update",
    )


def _launch_section(
    data: DataSpec | None,
    summary: DataSummary | None,
    values: dict[str, Any],
    chosen: list[Chosen],
) -> list[RunSpec]:
    """Shows what will happen and the button; returns the specs, none where they are not ready."""
    if data is None or summary is None:
        not_ready("images")
    elif values["model"] is None:
        not_ready("a weights file")
    elif not chosen:
        not_ready("a strategy")
    elif any(one.fault for one in chosen):
        not_ready("another strategy or backbone")
    else:
        try:
            specs = [_spec(data, values, one) for one in chosen]
        except ThawError as error:
            st.error(plain(str(error)), icon=":material/error:")
            not_ready("other settings")
            return []
        launch_section(specs, summary, st.session_state.get(f"{PAGE}.seeds", 1))
        offer_depth(specs)
        return specs
    return []


def _spec(data: DataSpec, values: dict[str, Any], one: Chosen) -> RunSpec:
    """Returns the spec of a run.

    Raises:
        SpecError: settings do not go together.
    """
    settings = one.settings.model_dump(include=set(one.strategy.settings))
    return RunSpec.parse(
        values
        | {
            "data": data.model_dump(),
            "strategy": settings | {"name": one.strategy.name},
            "optimiser": one.plan.optimiser.model_dump(),
        }
    )


main()
