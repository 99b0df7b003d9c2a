"""The form that starts a search: what all trials share, what is searched, and how."""

from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dashboard.recipe_choice import recipe_facts
from dashboard.roots import allowed_images
from dashboard.runs import label_of, plain, store
from dashboard.search_form_axes import SEARCHED, axis_control, setting_label
from dashboard.source_choice import folder_choice
from engine.data.remedies import current_remedies
from engine.errors import ThawError
from engine.recipes import RECIPES
from engine.runs.queue import num_slots
from engine.runs.search_space import SearchSpec, laid_over, nested
from engine.runs.search_study import start_search
from engine.runs.store import Run
from engine.spec import DataSpec, RunSpec, field_info
from engine.update.methods import METHODS

NEWEST, OF_THE_RUN = "newest", "run"
SAMPLERS = {"tpe": "Learning (TPE)", "random": "Random", "grid": "Grid"}
EPOCHS = "training.epochs"
FIRST_RECIPE = "strategy-frozen"
FIRST_SEARCHED = ("optimiser.lr", "strategy.name")


def search_form(page: str) -> str | None:
    """Shows the form; returns the id of the search that was just started, if one was.

    Args:
        page: prefix of the state keys.
    """
    shared, launch = st.columns([3, 2], gap="large")
    with shared:
        base = _base_choice(page)
        space = _space_choice(page)
    with launch, st.container(border=True):
        settings = _how(page, space)
        if base is None:
            st.markdown("Choose images first.")
            st.button(
                "Start the search",
                disabled=True,
                width="stretch",
                type="primary",
                help="Becomes ready once the images can be used.",
            )
            return None
        return _launch(base, space, settings)


def _base_choice(page: str) -> RunSpec | None:
    """Returns what all trials share, None while there are no images that can be used."""
    newest = next(iter(store().all_runs()), None)
    options = ([NEWEST] if newest else []) + list(RECIPES)
    picked = st.selectbox(
        "Settings that all trials share",
        options,
        index=options.index(FIRST_RECIPE),
        format_func=lambda name: _base_label(name, newest),
        help="What is searched below takes the place of the setting of the same name.",
        key=f"{page}.base",
        persist_state="session",
    )
    own = newest if picked == NEWEST else None
    data = _images_choice(page, own)
    if data is None:
        return None
    if own is not None:
        return own.spec.model_copy(update={"data": data, "steering": ()})
    settings = RECIPES[picked].settings_for(recipe_facts(RECIPES[picked], data))
    return RunSpec.parse(nested(settings) | {"data": data.model_dump()})


def _base_label(name: str, newest: Run | None) -> str:
    if name == NEWEST and newest is not None:
        return f"As in the newest run: {label_of(newest)}"
    return RECIPES[name].label


def _images_choice(page: str, run: Run | None) -> DataSpec | None:
    if run is not None and run.spec.update.start:
        return _images_of_update(run)
    more = {OF_THE_RUN: "Those of the run"} if run is not None else {}
    try:
        folder = folder_choice(page, more, ".run" if run else ".recipe")
        if folder is None:
            return None
        if run is not None and folder == OF_THE_RUN:
            data = run.spec.data
        else:
            data = DataSpec.parse({"folder": folder})
            remedies = current_remedies(Path(data.folder))
            data = data.model_copy(update={"remedies": remedies})
        allowed_images(data)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    return data


def _images_of_update(run: Run) -> DataSpec | None:
    """Returns the new images of an update: what its names mean was said of those alone."""
    st.caption(
        plain(
            f"Each trial updates the same model with the same images, {run.spec.data.folder}, by "
            f"the same method, {METHODS[run.spec.update.method].label}."
        )
    )
    try:
        allowed_images(run.spec.data, least_classes=1)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    return run.spec.data


def _space_choice(page: str) -> dict[str, Any]:
    """Returns the searched settings, each with its choices or its range, unchecked."""
    picked = st.multiselect(
        "What to search",
        SEARCHED,
        default=FIRST_SEARCHED,
        format_func=setting_label,
        help="Each one more makes the search longer: begin with two or three. Where the strategy "
        "is searched and the learning rate is not, each strategy gets its own usual rate.",
        key=f"{page}.searched",
        persist_state="session",
    )
    columns = st.columns(2)
    space: dict[str, Any] = {}
    for index, path in enumerate(picked):
        with columns[index % 2]:
            space[path] = axis_control(page, path)
    return space


def _how(page: str, space: dict[str, Any]) -> dict[str, Any]:
    """Shows how the search goes about; returns those fields of a SearchSpec."""
    info = field_info("sampler", SearchSpec)
    listed = "\n".join(
        f"- **{SAMPLERS[n]}**: {s}" for n, s in info.json_schema_extra["choices"].items()
    )
    sampler = st.segmented_control(
        "How settings are chosen",
        list(get_args(info.annotation)),
        default=info.default,
        required=True,
        wrap=True,
        format_func=SAMPLERS.__getitem__,
        help=f"{info.description}\n\n{listed}",
        key=f"{page}.sampler",
        persist_state="session",
    )
    settings: dict[str, Any] = {"sampler": sampler}
    if sampler == "grid":
        points = st.slider(
            "Points of each range",
            2,
            10,
            4,
            help="A grid takes so many values from each range, both ends among them.",
            key=f"{page}.points",
            persist_state="session",
        )
        for axis in space.values():
            if isinstance(axis, dict):
                axis["points"] = points
    else:
        settings["trials"] = st.slider(
            "Trials (runs)",
            2,
            100,
            20,
            help=field_info("trials", SearchSpec).description,
            key=f"{page}.trials",
            persist_state="session",
        )
    if EPOCHS not in space:
        settings["epochs"] = st.slider(
            "Epochs of each trial",
            1,
            100,
            10,
            help=field_info(EPOCHS).description,
            key=f"{page}.epochs",
            persist_state="session",
        )
    settings["pruning"] = st.toggle(
        field_info("pruning", SearchSpec).json_schema_extra["label"],
        True,
        help=field_info("pruning", SearchSpec).description,
        key=f"{page}.pruning",
        persist_state="session",
    )
    return settings


def _launch(base: RunSpec, space: dict[str, Any], settings: dict[str, Any]) -> str | None:
    """Says what will happen and shows the button; returns the id of the search it started."""
    settings = dict(settings)
    epochs = settings.pop("epochs", base.training.epochs)
    base = laid_over(base, {EPOCHS: epochs})
    spec: SearchSpec | None = None
    try:
        spec = SearchSpec.parse({"base": base, "space": space, **settings})
        st.markdown(_plan(spec, num_slots()))
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
    clicked = st.button(
        "Start the search",
        disabled=spec is None,
        type="primary",
        width="stretch",
        icon=":material/search:",
        help="Starts a process that queues one run after another; the page may be closed.",
    )
    return start_search(spec).id if clicked and spec is not None else None


def _plan(spec: SearchSpec, slots: int) -> str:
    folder = Path(spec.base.data.folder)
    name = folder.parent.name if folder.name == "base" else folder.name
    at_once = "one at a time" if slots == 1 else f"{slots} at once"
    what = "combinations" if spec.sampler == "grid" else "trials"
    epochs = spec.base.training.epochs
    length = "" if EPOCHS in spec.space else f" of {epochs} epoch{'s' if epochs != 1 else ''}"
    return f"**{spec.num_trials} {what}**{length} on {plain(name)}, {at_once}."
