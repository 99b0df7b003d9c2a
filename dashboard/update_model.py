"""Which model is updated: that of a run, the latest one or the one updated last, or of a file."""

from collections.abc import Sequence

import streamlit as st

from dashboard.elsewhere import why_not_again
from dashboard.roots import allowed_weights
from dashboard.runs import asked_runs, label_of, percent, plain, store
from engine.data.found import listed_classes
from engine.errors import SpecError, ThawError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.models.catalogue import backbone_record
from engine.runs.store import Run
from engine.strategies import STRATEGIES
from engine.update.request import Base, base_of_file, base_of_run

RUN, FILE = "run", "file"
SOURCES = {RUN: "A finished run", FILE: "A checkpoint"}


def base_section(page: str) -> Base | None:
    """Shows the choice of a model, with what it is; returns it, None while there is none.

    Args:
        page: prefix of the state keys.
    """
    st.subheader("1 · Model", anchor=False)
    asked = asked_runs()[:1]
    _follow_address(page, asked)
    source = st.segmented_control(
        "Where the model is",
        list(SOURCES),
        default=RUN,
        required=True,
        format_func=SOURCES.__getitem__,
        help="The kept model of a run that has ended, or a checkpoint file of Thaw on the machine "
        "that it runs on.",
        key=f"{page}.model",
        persist_state="session",
    )
    try:
        return _of_run(page, asked) if source == RUN else _of_file(page)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _follow_address(page: str, asked: Sequence[Run]) -> None:
    """Shows the run that the address names, whatever was chosen before."""
    followed = f"{page}.followed"
    if asked and st.session_state.get(followed) != asked[0].id:
        st.session_state[f"{page}.model"] = RUN
        st.session_state[followed] = asked[0].id


def _of_run(page: str, asked: Sequence[Run]) -> Base | None:
    """Returns the kept model of the run that is picked.

    Raises:
        SpecError: it has none, or goes on, or came from a file and cannot be used here.
        DataError: the list of its images is missing or damaged.
    """
    runs = store().all_runs()
    usable = [run for run in runs if has_model(run)]
    by_id = {run.id: run for run in (*asked, *usable)}
    if not by_id:
        st.info(
            "There is no model to update yet: train one on the Train page first. As soon as a run "
            "has ended, it can be picked here.",
            icon=":material/model_training:",
        )
        st.page_link("app_pages/train.py", label="Go to Train", icon=":material/tune:")
        return None
    last = by_id.get(st.session_state.get(f"{page}.last", ""))
    run = _picked(page, by_id, asked[0] if asked else last or _first_shown(runs, usable))
    if reason := why_not_again(run):
        raise SpecError(reason)
    base = base_of_run(run)
    _show(base, run.summary.get("best_val_accuracy"))
    return base


def _first_shown(runs: Sequence[Run], usable: Sequence[Run]) -> Run:
    """Returns the latest model, or what was updated since: what became of that is asked for."""
    by_id = {run.id: run for run in usable}
    for run in runs:
        updated = by_id.get(run.spec.update.start)
        if updated or run.id in by_id:
            return updated or run
    return usable[0]


def has_model(run: Run) -> bool:
    """Returns whether a run has ended and kept a model that can be updated."""
    return not run.is_active and (run_folder(run.id) / CHECKPOINT_FILE).is_file()


def _picked(page: str, by_id: dict[str, Run], shown: Run) -> Run:
    key = f"{page}.run.{shown.id}"

    def remember() -> None:
        st.query_params["run"] = st.session_state[key]

    picked = st.selectbox(
        "Model to update",
        list(by_id),
        index=list(by_id).index(shown.id),
        format_func=lambda run_id: label_of(by_id[run_id]),
        help="Runs that have ended and kept a model, the latest first. The address keeps the "
        "choice.",
        key=key,
        on_change=remember,
    )
    # One that ends meanwhile, an update of this model say, does not take its place.
    st.session_state[f"{page}.last"] = st.session_state[f"{page}.followed"] = picked
    if st.query_params.get("run") != picked:
        st.query_params["run"] = picked
    return by_id[picked]


def _of_file(page: str) -> Base | None:
    """Returns the model of the checkpoint that is named.

    Raises:
        WeightsError: it lies where nothing may be read, or is none of Thaw.
    """
    path = st.text_input(
        "Checkpoint",
        placeholder="/home/me/best.safetensors",
        help="The path of a .safetensors file that a run of Thaw wrote. With manifest.json beside "
        "it, as in the run's folder, it also tells which images it learnt from.",
        key=f"{page}.checkpoint",
        persist_state="session",
    ).strip()
    if not path:
        st.info(
            "Type the path of a checkpoint of Thaw on the machine that it runs on.",
            icon=":material/folder_open:",
        )
        return None
    base = base_of_file(allowed_weights(path))
    _show(base, None)
    return base


def _show(base: Base, accuracy: float | None) -> None:
    spec = base.spec
    judged = f" It tells {percent(accuracy)} of its validation images right." if accuracy else ""
    names = listed_classes(base.classes).removeprefix("the class").removeprefix("es").strip()
    st.markdown(
        f"**{len(base.classes)} class{'es' if len(base.classes) > 1 else ''}**: {plain(names)}. "
        f"{plain(backbone_record(spec.model.backbone).label)} at {spec.images.size} px, trained "
        f"as *{STRATEGIES[spec.strategy.name].label}*.{judged}"
    )
